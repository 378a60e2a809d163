"""Text buffers and code points are those of the Python strings."""

import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, is_utf8, text_buffers


def decoded(column: pa.Array) -> list[str]:
    """The texts of a column, through buffers and code points."""
    codepoints, offsets = decode_utf8(*text_buffers(column))
    return ["".join(map(chr, codepoints[offsets[i] : offsets[i + 1]])) for i in range(len(column))]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("汉𠀀𰻞👩‍👩‍👧ＡÀ\n"))))
def test_decoding_gives_the_code_points_of_every_text(texts: list[str]) -> None:
    """Kernels see exactly the characters of the text, of every plane."""
    assert decoded(pa.array(texts, pa.large_string())) == texts


@given(st.lists(st.tuples(st.sampled_from("a汉𠀀é"), st.integers(300, 800)), max_size=4), st.text("a汉𠀀é"))
def test_runs_longer_than_a_block_are_decoded(runs: list[tuple[str, int]], end: str) -> None:
    """Blocks of ASCII take another way than the others: what lies between them, and at the end of a text, is whole."""
    text = "".join(character * count for character, count in runs) + end
    assert decoded(pa.array([text, end, text], pa.large_string())) == [text, end, text]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_a_slice_of_a_column_holds_only_its_own_texts(kind: pa.DataType) -> None:
    """Slicing a batch never leaks text of its neighbours, for narrow and wide offsets."""
    column = pa.array(["前", "", "𠀀é😀", "a", "后"], kind)
    assert decoded(column[1:4]) == ["", "𠀀é😀", "a"]
    assert decoded(column[2:2]) == []


def test_buffers_of_a_large_string_column_are_not_copied() -> None:
    """Measuring a batch does not double its memory."""
    column = pa.array(["中文", "text"], pa.large_string())
    data, offsets = text_buffers(column)
    assert data.ctypes.data == column.buffers()[2].address
    assert offsets.tolist() == [0, 6, 10]


_BOUNDS = bytes.fromhex("00 7F 80 8F 90 9F A0 BF C0 C1 C2 DF E0 E1 EC ED EE EF F0 F1 F3 F4 F5 FF")


def is_valid(text: bytes) -> bool:
    """As Python has it."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_bytes_are_utf8_where_python_can_read_them() -> None:
    """All sequences of the bytes at which the rules change: of up to three, and of four that begin as four bytes do."""
    short = (each for size in range(1, 4) for each in itertools.product(_BOUNDS, repeat=size))
    long = itertools.product(b"\xf0\xf1\xf3\xf4\xf5", *[_BOUNDS] * 3)
    for sequence in map(bytes, itertools.chain(short, long)):
        offsets = np.array([0, len(sequence)])
        assert is_utf8(np.frombuffer(sequence, np.uint8), offsets) == is_valid(sequence), sequence


@given(st.text("a汉𠀀é", max_size=300), st.binary(max_size=4), st.text("a汉𠀀é", max_size=6))
def test_broken_bytes_are_seen_within_long_texts(before: str, within: bytes, after: str) -> None:
    """At any place, in the part that runs on vectors and behind it."""
    text = before.encode() + within + after.encode()
    assert is_utf8(np.frombuffer(text, np.uint8), np.array([0, len(text)])) == is_valid(text)


def test_a_character_does_not_reach_into_the_next_text() -> None:
    """Each text is judged by itself: 汉 cut in two is not UTF-8 in either, one after the other is."""
    data = np.frombuffer("汉".encode(), np.uint8)
    assert is_utf8(data, np.array([0, 3, 3]))
    assert not is_utf8(data, np.array([0, 1, 3]))
