"""Inputs and run directory on a remote filesystem: the whole curation through fsspec, and packages that are missing."""

import json
from pathlib import Path

import fsspec
import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import CurationConfig, SourceConfig
from ctllm.schemas.errors import MissingPartError
from ctllm.schemas.files import file_digest, walk_files


def test_a_run_from_remote_to_remote_is_the_local_one(tmp_path: Path) -> None:
    """Inputs (file, directory, glob) and run directory behind `memory://` give the accounts and bytes of local ones."""
    memory = fsspec.filesystem("memory")
    base = Path(__file__).resolve().parents[3] / "examples" / "corpus" / "base" / "zh"
    rows = [{"id": path.stem, "text": path.read_text(encoding="utf-8")} for path in sorted(base.glob("*.txt"))[:5]]
    (tmp_path / "inputs").mkdir()
    local = [str(tmp_path / "inputs" / "a.jsonl"), str(tmp_path / "inputs" / "b.jsonl")]
    Path(local[0]).write_text("".join(json.dumps(row) + "\n" for row in rows))
    Path(local[1]).write_text(json.dumps(rows[0] | {"id": "copy"}) + "\n{broken\n" + json.dumps({"text": "短"}) + "\n")
    for path in local:
        memory.pipe(f"/remote/inputs/{Path(path).name}", Path(path).read_bytes())
    memory.pipe("/remote/inputs/texts/a.txt", "一场雨过后，河水涨了三寸。".encode())
    (tmp_path / "inputs" / "texts").mkdir()
    (tmp_path / "inputs" / "texts" / "a.txt").write_text("一场雨过后，河水涨了三寸。", encoding="utf-8")
    options = RunnerOptions(workers=2)
    remote = ["memory://remote/inputs/*.jsonl", "memory://remote/inputs/texts"]
    for name, inputs, out in (
        ("remote", remote, "memory://remote/run"),
        ("local", [*local, str(tmp_path / "inputs" / "texts")], str(tmp_path / "run")),
    ):
        summary = curate(CurationConfig(), inputs=inputs, out=out, options=options)
        assert summary.accounts == {"read": 9, "kept": 5, "removed": 3, "failed": 1}, name
    assert [each for each in walk_files("memory://remote/run/curated") if each.endswith(".parquet")] == [
        each for each in walk_files(str(tmp_path / "run/curated")) if each.endswith(".parquet")
    ]
    for lane in ("zh", "en"):
        names = [each for each in walk_files(f"memory://remote/run/curated/{lane}") if each.endswith(".parquet")]
        for part in names:
            expected = file_digest(str(tmp_path / "run" / "curated" / lane / part))
            assert file_digest(f"memory://remote/run/curated/{lane}/{part}") == expected, part
    again = curate(CurationConfig(), inputs=remote, out="memory://remote/run", options=options)
    assert again.skipped == ("measure", "pairs", "lines", "decide", "publish")


@pytest.mark.parametrize(("url", "package"), [("s3://bucket/a.jsonl", "s3fs"), ("gs://bucket/a.jsonl", "gcsfs")])
def test_a_missing_package_is_named(url: str, package: str) -> None:
    """Cloud storage without its package ends in one sentence that says what to install."""
    with pytest.raises(MissingPartError, match=package):
        plan_splits([url], config=SourceConfig())
