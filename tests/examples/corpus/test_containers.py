"""Containers can be read by other programs and hold no time of day."""

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import zstandard
from fastwarc.warc import ArchiveIterator

from ctllm.examples.corpus import containers


def test_a_warc_holds_its_records_in_members_of_their_own(tmp_path: Path) -> None:
    """Fastwarc finds the warcinfo and the record, with URL, id and payload, each in a gzip member."""
    path = tmp_path / "a.warc.gz"
    capture = containers.Capture("conversion", "雨", "http://a.example/1", "text/plain", "下雨了。".encode())
    containers.write_warc(path, [capture])
    with path.open("rb") as file:
        found = [(dict(record.headers), record.reader.read()) for record in ArchiveIterator(file, parse_http=False)]
    assert [headers["WARC-Type"] for headers, _ in found] == ["warcinfo", "conversion"]
    assert found[1][0]["WARC-Record-ID"] == containers.record_id("雨")
    assert found[1][0]["WARC-Target-URI"] == "http://a.example/1"
    assert found[1][1].decode() == "下雨了。"
    assert path.read_bytes().count(b"\x1f\x8b\x08\x00\x00\x00\x00\x00") == 2  # magic, no flags, time 0


def test_json_lines_are_packed_by_their_name(tmp_path: Path) -> None:
    """The same line comes out of .jsonl, .jsonl.gz and .jsonl.zst."""
    line = containers.json_line(id="1", text="雨")
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        containers.write_json_lines(tmp_path / name, [line])
    assert (tmp_path / "a.jsonl").read_text("utf-8") == '{"id": "1", "text": "雨"}\n'
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).decode() == f"{line}\n"
    packed = (tmp_path / "a.jsonl.zst").read_bytes()
    assert zstandard.ZstdDecompressor().decompress(packed).decode() == f"{line}\n"


def test_tables_have_two_row_groups(tmp_path: Path) -> None:
    """A Parquet file holds the rows in order, in more than one row group."""
    rows = [{"id": str(number), "text": "雨" * number} for number in range(4)]
    containers.write_table(tmp_path / "a.parquet", rows)
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.num_row_groups == 2
    assert file.read().to_pylist() == rows
