"""Signals of source code follow from its lines, indentation included."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.characters import class_table
from ctllm.pipelines.signals.code import measure_code
from ctllm.pipelines.signals.lines import split_lines

COMMENTS = ("#", "//", "/*", "*", "--", ";", "<!")


def measured(texts: list[str]) -> list[dict[str, float]]:
    """Signals of one text by name."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    signals = measure_code(codepoints, split_lines(codepoints, offsets, classes=class_table()[codepoints]))
    return [{name: float(values[i]) for name, values in signals.items()} for i in range(len(texts))]


def plain(text: str) -> dict[str, float]:
    """The same values with plain Python strings."""
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    return {
        "max_line_chars": max(map(len, lines), default=0),
        "mean_code_line_chars": sum(map(len, lines)) / max(len(lines), 1),
        "comment_share": sum(line.strip().startswith(COMMENTS) for line in lines) / max(len(lines), 1),
    }


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.text(st.sampled_from("x=1 \t\n\n#/*-;<!汉𠀀"), max_size=40), max_size=4))
def test_code_signals_equal_a_plain_python_version(texts: list[str]) -> None:
    """Longest line, mean line and comment share are what splitting Python strings gives, for empty files too."""
    assert measured(texts) == [pytest.approx(plain(text)) for text in texts]
