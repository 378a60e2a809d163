"""Tests of splitting blocks into lines."""

from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.sources.compression import Damage
from ctllm.pipelines.sources.lines import Line, split_lines
from ctllm.pipelines.sources.records import Failure


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
