"""Commands on the dedup index."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq

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
    documents = pq.read_table(run / "curated" / "zh").slice(0, 1).to_pylist()
    (tmp_path / "text.txt").write_text(f"转载自网络。{documents[0]['text']}")
    asked = run_ctllm("index", "query", index, tmp_path / "text.txt", columns=300)
    assert f"│ {documents[0]['url'] or documents[0]['id']} " in asked.stdout, asked.stderr
    (tmp_path / "text.txt").write_text("别处的一句话。")
    assert run_ctllm("index", "query", index, tmp_path / "text.txt").stdout == "not in the index\n"
    bands = min((run / "bands").glob("*.parquet"))
    bands.write_bytes(bands.read_bytes()[:-1])
    damaged = run_ctllm("index", "verify", index)
    assert (damaged.returncode, f"{bands}: not as it was" in damaged.stderr) == (7, True)
    assert run_ctllm("index", "withdraw", index, "0").stdout == "snapshot 0 withdrawn\n"
    assert run_ctllm("index", "withdraw", index, "0").returncode == 3
