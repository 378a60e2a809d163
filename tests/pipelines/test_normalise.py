"""Tests of line endings and control characters."""

import re

from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.normalise import normalise


def test_every_newline_form_becomes_a_line_feed() -> None:
    """Windows, old Macintosh, form feed and Unicode line separators all end lines."""
    assert normalise("一\r\n二\r三\x0b四\x0c五\x85六\u2028七\u2029八") == "一\n二\n三\n四\n五\n六\n七\n八"


def test_control_characters_go_and_tabs_stay() -> None:
    """NUL, escape, delete and C1 controls are dropped; a tab of a table or of source code is text."""
    assert normalise("a\x00b\x1b[0m\tc\x7fd\x80e\x9f") == "ab[0m\tcde"


def test_chinese_punctuation_and_full_width_forms_stay() -> None:
    """The text's own characters are published as they are: width, quotes, ideographic spaces, zero-width joiners."""
    text = "\u3000\u3000“他说：‘１２３，ＡＢＣ！’……”——《书》·©\u200d\u200b\ufeff㊀"
    assert normalise(text) == text


def test_half_a_surrogate_pair_is_left_for_the_reader_to_refuse() -> None:
    """A broken JSON escape does not crash normalisation."""
    assert normalise("a\ud800\x00") == "a\ud800"


@given(st.text())
def test_agrees_with_a_plain_regular_expression(text: str) -> None:
    """The fast path decides as the slow one does, and normalising twice changes nothing."""
    slow = re.sub("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]", "", re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text))
    assert normalise(text) == slow
    assert normalise(slow) == slow
