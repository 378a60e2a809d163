"""Damaged files are damaged where they should be, and nowhere else."""

import gzip
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.examples.corpus.expected import Expected


@pytest.mark.parametrize(
    ("name", "mark", "count"),
    [("cut.jsonl.gz", b'{"id": "before-damage', 2), ("cut.warc.gz", b"WARC-Target-URI: http://www.qingshi", 4)],
)
def test_cut_files_are_whole_up_to_the_cut(
    corpus: tuple[Path, list[Expected]], name: str, mark: bytes, count: int
) -> None:
    """Every whole record of a cut file can be unpacked (two pages are four WARC records), then the end is missing."""
    data = (corpus[0] / "broken" / name).read_bytes()
    with pytest.raises(EOFError):
        gzip.decompress(data)
    unpacked = b""
    while data:
        member = zlib.decompressobj(31)
        unpacked += member.decompress(data)
        data = member.unused_data
    assert unpacked.count(mark) == count


def test_nothing_can_be_made_of_files_that_hold_only_damage(corpus: tuple[Path, list[Expected]]) -> None:
    """The empty file is empty, broken bytes are no UTF-8, the torn table is no Parquet file."""
    broken = corpus[0] / "broken"
    assert (broken / "empty.txt").read_bytes() == b""
    with pytest.raises(UnicodeDecodeError):
        (broken / "bytes.txt").read_bytes().decode("utf-8")
    with pytest.raises(pa.ArrowInvalid):
        pq.read_table(broken / "torn.parquet")
