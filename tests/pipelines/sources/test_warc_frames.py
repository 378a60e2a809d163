"""Cutting a WARC file into records, whatever was done to its bytes."""

from collections import Counter
from collections.abc import Iterator

from hypothesis import example, given
from hypothesis import strategies as st

from ctllm.pipelines.sources.compression import Damage
from ctllm.pipelines.sources.records import Failure
from ctllm.pipelines.sources.warc_frames import Frame, read_frames

MAX_BYTES = 1 << 20
CONTENTS = st.lists(st.binary(max_size=60), min_size=1, max_size=6)


def record(content: bytes) -> bytes:
    """A record as crawlers write it."""
    return b"WARC/1.0\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n" % (len(content), content)


def read(blocks: list[bytes | Damage]) -> Iterator[Frame | Failure]:
    """All records wanted."""
    return read_frames(iter(blocks), max_bytes=MAX_BYTES, is_wanted=lambda *_: True)


def in_blocks(data: bytes, size: int) -> list[bytes | Damage]:
    """The bytes as a decompressor hands them out."""
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(CONTENTS, st.integers(1, 50))
@example([b"\r\n\r\nWARC/1.0\r\n"], 1)
def test_whole_records_come_out_as_they_are(contents: list[bytes], size: int) -> None:
    """Content and place of every record, in blocks of any size; line ends and headers within content are content."""
    found = list(read(in_blocks(b"".join(map(record, contents)), size)))
    assert [each.content for each in found if isinstance(each, Frame)] == contents
    starts = [sum(len(record(content)) for content in contents[:number]) for number in range(len(contents))]
    assert [each.offset for each in found] == starts


@given(st.lists(st.binary(max_size=60).filter(lambda each: b"WARC" not in each), min_size=3, max_size=6), st.data())
def test_a_lie_about_a_length_costs_its_record_only(contents: list[bytes], data: st.DataObject) -> None:
    """The records before and behind it are read, and the lie is counted."""
    liar = data.draw(st.integers(1, len(contents) - 2))
    size = len(contents[liar])
    lie = data.draw(st.integers(0, size + 20).filter(lambda length: length != size))  # to no other record's end
    records = [record(content) for content in contents]
    records[liar] = records[liar].replace(b"Length: %d" % size, b"Length: %d" % lie, 1)
    found = list(read(in_blocks(b"".join(records), 37)))
    whole = Counter(each.content for each in found if isinstance(each, Frame))
    others = Counter(contents[:liar] + contents[liar + 1 :])
    assert others <= whole
    assert any(isinstance(each, Failure) for each in found) or whole - others  # a lie may look whole to anybody


def test_damage_is_a_failure_and_the_rest_is_read() -> None:
    """What a decompressor could not read ends one record; the next one behind it is whole."""
    first, second, third = (record(bytes([letter]) * 30) for letter in b"abc")
    damage = Damage("broken_record", "compressed data is damaged")
    before, *failures, after = read([first + second[:40], damage, second[55:] + third])
    assert isinstance(before, Frame)
    assert isinstance(after, Frame)
    assert (before.content, after.content) == (b"a" * 30, b"c" * 30)
    assert {each.error for each in failures if isinstance(each, Failure)} == {"broken_record"}
    assert failures[0].offset == len(first)


def test_a_record_that_is_too_large_is_passed_over() -> None:
    """It is never held whole, and the next one is read."""
    large = record(b"x" * (MAX_BYTES + 1))
    found = list(read(in_blocks(large + record(b"next"), 1 << 16)))
    assert isinstance(found[0], Failure)
    assert (found[0].error, isinstance(found[1], Frame) and found[1].content) == ("too_large", b"next")
