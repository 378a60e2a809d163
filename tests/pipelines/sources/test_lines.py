"""Tests of splitting blocks into lines."""

import gzip
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.sources.compression import Damage
from ctllm.pipelines.sources.lines import Line, bytes_of_lines, lines_of, split_lines
from ctllm.pipelines.sources.records import Failure
from ctllm.pipelines.sources.split import Split


@given(st.lists(st.binary(min_size=1).map(lambda data: data.replace(b"\r", b"\n"))))
def test_borders_of_blocks_do_not_matter(blocks: list[bytes]) -> None:
    """However the bytes are cut into blocks, the lines are those of the whole, each at its offset."""
    data = b"".join(blocks)
    lines = list(split_lines(blocks, offset=5, max_bytes=1 << 20))
    assert [line.data for line in lines if isinstance(line, Line)] == data.split(b"\n")[: len(lines)]
    assert len(lines) == data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    assert all(data[line.offset - 5 :].startswith(line.data) for line in lines if isinstance(line, Line))


def test_a_long_line_is_a_failure_and_the_next_is_read() -> None:
    """A line at the bound is kept, a longer one is refused with its first bytes, over any number of blocks."""
    blocks = [b"x" * 10 + b"\n" + b"a" * 6, b"a" * 6, b"a\nend"]
    found = list(split_lines(blocks, offset=0, max_bytes=10))
    message = "a line of 13 bytes is more than sources.max_document_bytes=10"
    assert found == [Line(0, b"x" * 10), Failure(11, "too_large", message, b"a" * 13), Line(25, b"end")]


def test_damage_ends_the_line_at_hand() -> None:
    """The line that damage cuts is the failure; the next member starts a new line."""
    found = list(split_lines([b"one\ntw", Damage("truncated", "cut"), b"three\n"], offset=0, max_bytes=10))
    assert found == [Line(0, b"one"), Failure(4, "truncated", "cut", b"tw"), Line(6, b"three")]


@pytest.mark.parametrize("end", [b"\n", b""])
def test_lines_that_start_in_a_block_have_their_own_bytes(tmp_path: Path, end: bytes) -> None:
    """A long line counts where it starts; blocks without a start have none; all have the bytes of the file."""
    data = b"a\n" + b"x" * 57 + b"\n\nbb\n" + b"y" * 30 + end
    path = tmp_path / "a.jsonl"
    path.write_bytes(data)
    bounds = [*range(0, len(data), 10), len(data)]
    blocks = [Split(0, str(path), "jsonl", "a", first, last, last - first) for first, last in pairwise(bounds)]
    found = [bytes_of_lines(block) for block in blocks]
    ends = 1 if end else 0  # the last line's own
    lines = [sum(len(line.data) + 1 for line in lines_of(block, max_bytes=99)) for block in blocks]
    assert found == [each - (1 - ends if index == 6 else 0) for index, each in enumerate(lines)]
    assert sum(found) == len(data)
    assert (found[0], found[1]) == (60, 0)


def test_a_file_without_lines_is_as_large_as_it_is(tmp_path: Path) -> None:
    """Pages, archives and compressed lines are one piece."""
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b"{}\n{}\n"))
    for name, kind in (("a.warc", "warc"), ("a.jsonl.gz", "jsonl")):
        assert bytes_of_lines(Split(0, str(tmp_path / name), kind, "a", 0, 7, 7)) == 7
