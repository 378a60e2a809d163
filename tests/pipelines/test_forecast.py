"""What a curation would give, from a sample of its input."""

from pathlib import Path

import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.forecast import TABLES, forecast
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.strata import Estimate
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.files import read_json
from tests.pipelines.conftest import SPAM, prose, write_records


def test_the_whole_input_as_a_sample_is_the_curation_itself(tmp_path: Path) -> None:
    """Every total is exact, without an interval, copies across files too."""
    for number in range(3):
        records = [{"id": f"{number}-{index}", "text": prose((number + index) % 12)} for index in range(3)]
        write_records(tmp_path / "in" / f"{number}.jsonl", [*records, {"id": "spam", "text": SPAM}, "{broken"])
    inputs = [str(tmp_path / "in")]
    found = forecast(CurationConfig(), inputs=inputs, share=1.0, scratch=str(tmp_path / "scratch")).totals
    out = str(tmp_path / "run")
    summary = curate(CurationConfig(), inputs=inputs, out=out, options=RunnerOptions(workers=1))
    read, kept = summary.accounts["read"], summary.accounts["kept"]
    failed, tokens = summary.accounts["failed"], sum(lane.kept_tokens for lane in summary.lanes.values())
    assert found["documents"] == Estimate(read - failed, read - failed, read - failed)
    assert found["failed"] == Estimate(failed, failed, failed)
    assert found["kept"] == Estimate(kept, kept, kept)
    assert found["copies"].value > 0
    assert round(found["tokens kept"].value) == tokens
    assert found["kept by the rules"].value == kept + found["copies"].value
    assert read_json(f"{tmp_path}/scratch/sample/manifest.json")["config"]["guard"]["max_removed_share"] == 1


def test_a_piece_without_documents_is_no_end(tmp_path: Path) -> None:
    """The first of many files is broken: it is counted, the others give their documents."""
    write_records(tmp_path / "in" / "part-0.jsonl", ["{broken"] * 3)
    write_records(tmp_path / "in" / "part-1.jsonl", [{"id": str(index), "text": prose(index)} for index in range(5)])
    inputs, scratch = [str(tmp_path / "in")], str(tmp_path / "scratch")
    found = forecast(CurationConfig(), inputs=inputs, share=1.0, scratch=scratch).totals
    assert (found["failed"].value, found["documents"].value) == (3, 5)


def test_disk_is_what_the_tables_take(tmp_path: Path) -> None:
    """The whole input as a sample: within a tenth of the files of the run, most of which are headers here."""
    records = [{"id": str(index), "text": prose(index % 12)} for index in range(40)]
    for number in range(2):
        write_records(tmp_path / "in" / f"{number}.jsonl", records)
    inputs, out = [str(tmp_path / "in")], tmp_path / "run"
    found = forecast(CurationConfig(), inputs=inputs, share=1.0, scratch=str(tmp_path / "scratch")).totals
    curate(CurationConfig(), inputs=inputs, out=str(out), options=RunnerOptions(workers=1))
    files = [path for name in (*TABLES, "curated") for path in (out / name).rglob("part-*.parquet")]
    num_bytes = sum(path.stat().st_size for path in files)
    assert found["bytes on disk"].value == pytest.approx(num_bytes, rel=0.1)
    assert found["bytes on disk"].low < num_bytes < found["bytes on disk"].high
