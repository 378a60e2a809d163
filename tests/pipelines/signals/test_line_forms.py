"""Lines are brief up to 30 characters and may end in an ellipsis of either kind."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.characters import class_table
from ctllm.pipelines.signals.line_forms import measure_line_forms
from ctllm.pipelines.signals.lines import split_lines


def measured(texts: list[str]) -> list[tuple[float, float]]:
    """Brief and ellipsis share of every text, measured as one batch."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    lines = split_lines(codepoints, offsets, classes=class_table()[codepoints])
    found = measure_line_forms(codepoints, lines)
    return list(zip(found["brief_line_share"].tolist(), found["ellipsis_line_share"].tolist(), strict=True))


@given(st.lists(st.lists(st.text("a.… ", max_size=34), max_size=4), max_size=4))
def test_line_forms_equal_a_plain_version(pages: list[list[str]]) -> None:
    """Shares of lines against Python strings, for several texts at once."""
    expected = []
    for page in pages:
        lines = [line.strip() for line in page if line.strip()]
        brief = sum(len(line) <= 30 for line in lines)
        ended = sum(line.endswith(("…", "...")) for line in lines)
        expected.append((brief / max(len(lines), 1), ended / max(len(lines), 1)))
    found = measured(["\n".join(page) for page in pages])
    assert sum(found, ()) == pytest.approx(sum(expected, ()))


def test_thirty_characters_are_brief_and_two_dots_no_ellipsis() -> None:
    """Both sides of either boundary."""
    assert measured(["a" * 30, "a" * 31, "..", "...", "so…", ""]) == [(1, 0), (0, 0), (1, 0), (1, 1), (1, 1), (0, 0)]
