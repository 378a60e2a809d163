"""Commands on the dedup index."""

import shutil
from pathlib import Path

from .conftest import Miniature, run_ctllm


def test_index_is_made_listed_verified_and_emptied(miniature: Miniature, tmp_path: Path) -> None:
    """A finished run is added, its damage is found, and it can be withdrawn; a second run of its number is refused."""
    run, index = tmp_path / "run", tmp_path / "index"
    shutil.copytree(miniature.workspace / "curated", run)
    added = run_ctllm("index", "add", index, run)
    assert added.returncode == 0, added.stderr
    assert added.stdout.startswith("snapshot 0: ")
    assert str(run) in run_ctllm("index", "ls", index).stdout
    taken = run_ctllm("index", "add", index, miniature.workspace / "curated")
    assert (taken.returncode, "snapshot: 0 is in the index" in taken.stderr) == (2, True)
    assert "as it was" in run_ctllm("index", "verify", index).stdout
    bands = min((run / "bands").glob("*.parquet"))
    bands.write_bytes(bands.read_bytes()[:-1])
    damaged = run_ctllm("index", "verify", index)
    assert (damaged.returncode, f"{bands}: not as it was" in damaged.stderr) == (7, True)
    assert run_ctllm("index", "withdraw", index, "0").stdout == "snapshot 0 withdrawn\n"
    assert run_ctllm("index", "withdraw", index, "0").returncode == 3
