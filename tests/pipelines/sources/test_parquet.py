"""Tests of reading Parquet."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.sources.parquet import read_parquet_rows
from ctllm.pipelines.sources.records import Failure, Record, RecordBlock
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import SourceConfig


def errors(found: list[Record | Failure]) -> list[tuple[int, str]]:
    """Row and kind of the failures."""
    return [(each.offset, each.error) for each in found if isinstance(each, Failure)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_rows_become_records(kind: pa.DataType, read: Any, tmp_path: Path) -> None:
    """Text of every string type is read, with id, URL, title, date, licence and language of code."""
    path = tmp_path / "a.parquet"
    columns = {
        "text": pa.array(["字", "x"]).cast(kind), "id": pa.array([5, None]), "url": ["http://a", None],
        "title": ["题", ""], "date": ["2024", None], "license": ["MIT", None], "path": [None, "a.go"],
    }  # fmt: skip
    pq.write_table(pa.table(columns), path)
    assert read(path) == [
        Record("5", 0, "字", url="http://a", title="题", date="2024", license="MIT"),
        Record(f"{path}#1", 1, "x", code_language="go"),
    ]


def test_good_rows_stay_in_arrow(tmp_path: Path) -> None:
    """A batch without a bad row is one block, its texts never Python strings; a bad row makes records of its batch."""
    path = tmp_path / "a.parquet"
    for bad, num_blocks in ((b"\xe6\xb1\x89", 1), (b"\xe6\xb1", 0)):
        texts = pa.array(["字".encode() * 9, bad], pa.binary())
        pq.write_table(pa.table({"text": texts, "id": ["a", "b"]}), path)
        config = SourceConfig()
        (split,) = plan_splits([str(path)], config=config)
        found = list(read_parquet_rows(split, config=config))
        assert sum(isinstance(each, RecordBlock) for each in found) == num_blocks
        assert [type(each) for each in found] == ([RecordBlock] if num_blocks else [Record, Failure])


def test_other_columns_may_be_broken_or_of_another_type(read: Any, tmp_path: Path) -> None:
    """A title that is no UTF-8 fails its row alone; a URL that is a number is none, whether in a block or not."""
    path = tmp_path / "a.parquet"
    for title, num_failed in ((b"\xff", 1), (b"b", 0)):
        columns = {"text": ["字", "x"], "url": [1, 2], "title": pa.array([b"a", title]), "id": ["", "own"]}
        pq.write_table(pa.table(columns), path)
        found = read(path)
        assert found[0] == Record(f"{path}#0", 0, "字", title="a")
        assert errors(found) == [(1, "broken_encoding")] * num_failed
        assert num_failed or found[1] == Record("own", 1, "x", title="b")


def test_a_path_leads_into_structs(read: Any, tmp_path: Path) -> None:
    """`meta.url` is the field url of a struct; a column of that name goes before; broken UTF-8 in it is a failure."""
    path = tmp_path / "a.parquet"
    texts = pa.array([b"\xff", "字".encode(), None]).cast(pa.binary())
    doc = pa.StructArray.from_arrays([pa.Array.from_buffers(pa.string(), 3, texts.buffers())], ["body"])
    meta = pa.array([None, {"url": "http://a", "n": 1}, None], pa.struct([("url", pa.string()), ("n", pa.int32())]))
    pq.write_table(pa.table({"doc": doc, "meta": meta, "my.id": ["a", "b", "c"]}), path)
    found = read(path, text_field="doc.body", url_field="meta.url", id_field="my.id", title_field="meta.none")
    assert found[1] == Record("b", 1, "字", url="http://a")
    assert errors(found) == [(0, "broken_encoding"), (2, "missing_text")]
    assert errors(read(path, text_field="doc.none")) == errors(read(path, text_field="none.at.all"))
    assert errors(read(path, text_field="doc.body.deeper")) == [(0, "wrong_schema")]


def test_rows_are_numbered_over_row_groups_and_splits(read: Any, tmp_path: Path) -> None:
    """However a file is cut, the ids of its rows are those of the file."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [f"{row:09}" * 300 for row in range(100)]}), path, row_group_size=7)
    found = read(path, block_size_bytes=1 << 16)
    assert [(each.id, each.text[:9]) for each in found] == [(f"{path}#{row}", f"{row:09}") for row in range(100)]


def test_bad_rows_are_failures(read: Any, tmp_path: Path) -> None:
    """Nulls and bytes that are no UTF-8 are counted row by row, in string columns too, which Arrow does not check."""
    path = tmp_path / "a.parquet"
    broken = pa.array(["a", None, "b"]).cast(pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, pa.array([b"a", None, b"\xff\xfe"]).buffers())
    for column in (text, broken.take(pa.array([0, 1, 2]))):
        pq.write_table(pa.table({"text": column}), path)
        found = read(path)
        expected = [(1, "missing_text"), (2, "broken_encoding")] if column is text else [(1, "missing_text")]
        assert errors(found) == expected
        assert len(found) == 3


def test_a_file_of_numbers_is_one_failure(read: Any, tmp_path: Path) -> None:
    """Without the text column the file cannot be read; a text column of numbers fails row by row."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"body": ["a"]}), path)
    assert errors(read(path)) == [(0, "wrong_schema")]
    assert len(read(path, text_field="body")) == 1
    pq.write_table(pa.table({"text": [1, 2]}), path)
    assert errors(read(path)) == [(0, "not_text"), (1, "not_text")]


def test_empty_cut_and_foreign_files_are_one_failure(read: Any, tmp_path: Path) -> None:
    """No bytes, no rows, a missing footer and something else under the name .parquet are each counted once."""
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"] * 100}), path)
    data = path.read_bytes()
    kinds = []
    for content in (b"", data[:-20], b"not parquet at all"):
        path.write_bytes(content)
        kinds.append(errors(read(path)))
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    kinds.append(errors(read(path)))
    assert kinds == [[(0, "empty_file")], [(0, "unreadable")], [(0, "unreadable")], [(0, "empty_file")]]


def test_a_damaged_row_group_is_one_failure(read: Any, tmp_path: Path) -> None:
    """The other row groups are read."""
    path = tmp_path / "a.parquet"
    pq.write_table(
        pa.table({"text": [f"{row:09}" * 100 for row in range(30)]}), path, row_group_size=10, compression="zstd"
    )
    column = pq.ParquetFile(path).metadata.row_group(1).column(0)
    start = column.dictionary_page_offset or column.data_page_offset
    data = bytearray(path.read_bytes())
    data[start + 40 : start + column.total_compressed_size] = b"\xff" * (column.total_compressed_size - 40)
    path.write_bytes(data)
    found = read(path)
    assert errors(found) == [(10, "broken_record")]
    assert [each.text[:9] for each in found if isinstance(each, Record)] == [
        f"{row:09}" for row in (*range(10), *range(20, 30))
    ]
