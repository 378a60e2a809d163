"""Finding the published text of a run."""

from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.schemas.curated import curated_parts
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import file_digest, write_parquet
from ctllm.schemas.manifest import finish_stage


def test_parts_come_sorted_with_lane_and_digest(tmp_path: Path) -> None:
    """Parts of all lanes, by lane and number, with the manifest's digests; the run or its curated/ may be given."""
    for name in ("zh/part-00001", "zh/part-00000", "code/part-00001"):
        write_parquet(f"{tmp_path}/curated/{name}.parquet", pa.table({"key": [1]}))
    finish_stage(f"{tmp_path}/curated", stage="publish", fingerprint="f", counts={}, seconds=0)
    parts = curated_parts(str(tmp_path))
    assert [(part.lane, part.name) for part in parts] == [
        ("code", "code-part-00001"),
        ("zh", "zh-part-00000"),
        ("zh", "zh-part-00001"),
    ]
    assert all(file_digest(part.path) == part.sha256 for part in parts)
    assert curated_parts(f"{tmp_path}/curated") == parts


def test_unfinished_and_empty_runs_are_told_apart(tmp_path: Path) -> None:
    """A run that was not published and a run that kept nothing need different help."""
    (tmp_path / "curated").mkdir()
    with pytest.raises(InputError, match="run `ctllm curate` to the end first"):
        curated_parts(str(tmp_path))
    finish_stage(f"{tmp_path}/curated", stage="publish", fingerprint="f", counts={}, seconds=0)
    with pytest.raises(InputError, match="no document was kept"):
        curated_parts(str(tmp_path))
