"""Measuring: the four tables of a split are aligned row by row."""

import io
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.measure import GROUP_BYTES, GROUP_ROWS, TABLES, GroupedWriter
from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.document import document_keys
from ctllm.schemas.files import read_parquet


def test_tables_of_a_split_are_aligned(small_run: Path) -> None:
    """Documents, signals and bands hold the same keys in the same order, numbered by split and row."""
    run = read_run(str(small_run / "run"))
    for split in (0, 1):
        keys = {
            name: read_parquet(run.part(name, split))["key"].to_pylist() for name in ("documents", "signals", "bands")
        }
        expected = document_keys(snapshot=0, split=split, first_row=0, num_rows=len(keys["documents"])).tolist()
        assert keys == dict.fromkeys(keys, expected)


def test_tables_have_their_schemas(small_run: Path) -> None:
    """Every table follows its schema, empty ones too."""
    run = read_run(str(small_run / "run"))
    for name, schema in TABLES.items():
        for split in (0, 1):
            assert read_parquet(run.part(name, split)).schema.equals(schema)


def _group_sizes(batches: Iterable[list[str]]) -> list[int]:
    """Rows of each row group of a file written from batches of texts; the rows themselves are asserted."""
    schema = pa.schema([("text", pa.string())])
    file = io.BytesIO()
    texts: list[str] = []
    with GroupedWriter(file, schema) as writer:
        for batch in batches:
            writer.write(pa.record_batch({"text": batch}, schema=schema))
            texts += batch
    written = pq.ParquetFile(io.BytesIO(file.getvalue()))
    assert written.read()["text"].to_pylist() == texts
    return [written.metadata.row_group(group).num_rows for group in range(written.num_row_groups)]


@pytest.mark.parametrize(
    ("batch_rows", "group_rows"),
    [
        ([1] * 9, [9]),
        ([GROUP_ROWS - 1, 1, 5], [GROUP_ROWS, 5]),
        ([GROUP_ROWS - 1, 0, 7, 5], [GROUP_ROWS + 6, 5]),
        ([0, 0], []),
        ([], []),
    ],
)
def test_small_batches_share_a_row_group(batch_rows: list[int], group_rows: list[int]) -> None:
    """Batches are gathered until there are 4,096 rows, the last group has the rest, and no group is empty."""
    assert _group_sizes(["甲"] * num_rows for num_rows in batch_rows) == group_rows


def test_large_rows_do_not_wait() -> None:
    """A group is written once it holds 8 MiB, however few rows these are."""
    half = "a" * (GROUP_BYTES // 2)
    assert _group_sizes([[half[:-100]], [half[:-100]], [half], ["b"]]) == [3, 1]


def test_an_error_writes_nothing_more() -> None:
    """What was gathered before an error is not written out as if the file were whole."""
    schema = pa.schema([("text", pa.string())])
    file = io.BytesIO()
    with pytest.raises(ValueError, match="broken"), GroupedWriter(file, schema) as writer:
        writer.write(pa.record_batch({"text": ["甲"]}, schema=schema))
        raise ValueError("broken")
    assert pq.ParquetFile(io.BytesIO(file.getvalue())).metadata.num_rows == 0
