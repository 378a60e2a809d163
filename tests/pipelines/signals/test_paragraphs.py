"""Paragraphs that stand in a text twice count, whatever lines they share with others."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.characters import class_table
from ctllm.pipelines.signals.lines import hash_lines, measure_lines, split_lines
from ctllm.pipelines.signals.paragraphs import measure_paragraphs


def measured(texts: list[str]) -> list[float]:
    """The share of each text, measured as one batch."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    classes = class_table()[codepoints]
    lines = split_lines(codepoints, offsets, classes=classes)
    hashes = hash_lines(codepoints, lines)
    repeats = measure_lines(codepoints, lines, classes=classes, hashes=hashes)["duplicate_line_share"] > 0
    shares: list[float] = measure_paragraphs(codepoints, lines, hashes=hashes, repeats_lines=repeats)[
        "duplicate_paragraph_share"
    ].tolist()
    return shares


def plain(text: str) -> float:
    """The same with Python strings."""
    blocks = re.split(r"\n[^\S\n]*(?:\n[^\S\n]*)+", text)
    paragraphs = [tuple(line.strip() for line in block.split("\n") if line.strip()) for block in blocks]
    sizes = [sum(map(len, paragraph)) for paragraph in paragraphs]
    repeated = sum(size for at, size in enumerate(sizes) if paragraphs[at] in paragraphs[:at])
    return repeated / max(sum(sizes), 1)


@given(st.lists(st.text("汉a \n\n\n\u3000𠀀", max_size=40), max_size=4))
def test_repeated_paragraphs_equal_a_plain_count(texts: list[str]) -> None:
    """Several texts at once, with spaces on blank lines and around paragraphs."""
    assert measured(texts) == pytest.approx([plain(text) for text in texts], abs=1e-12)


def test_a_paragraph_is_more_than_its_lines() -> None:
    """Lines that return in other company are no repeated paragraph; a paragraph twice over is half of the text."""
    assert measured(["甲\n乙\n\n乙\n甲"]) == [0.0]
    assert measured(["甲\n乙\n\n甲\n乙"]) == [0.5]
    assert measured(["甲乙\n\n甲\n乙\n\n甲乙"]) == [2 / 6]
    assert measured(["", " \n\n "]) == [0.0, 0.0]
