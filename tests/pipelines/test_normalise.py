"""Tests of line endings, control characters and blank texts."""

import re

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.normalise import blank_texts, normalise

TEXTS = st.lists(
    st.text(
        st.characters(exclude_categories=["Cs"])
        | st.sampled_from("\r\n\t\0\x0b\x7f\x80\x85\x9f\xa0©\u2027\u2028\u2029\u202a汉")
    )
)
SPACES = "".join(char for char in map(chr, range(0x11000)) if char.isspace())


def normalised(*texts: str) -> list[str]:
    """The texts after normalisation of their column."""
    return normalise(pa.array(texts, pa.large_string())).to_pylist()


def test_every_newline_form_becomes_a_line_feed() -> None:
    """Windows, old Macintosh, form feed and Unicode line separators all end lines."""
    assert normalised("一\r\n二\r三\x0b四\x0c五\x85六\u2028七\u2029八") == ["一\n二\n三\n四\n五\n六\n七\n八"]


def test_control_characters_go_and_tabs_stay() -> None:
    """NUL, escape, delete and C1 controls are dropped; a tab of a table or of source code is text."""
    assert normalised("a\x00b\x1b[0m\tc\x7fd\x80e\x9f") == ["ab[0m\tcde"]


def test_chinese_punctuation_and_full_width_forms_stay() -> None:
    """The text's own characters are published as they are: width, quotes, ideographic spaces, zero-width joiners."""
    text = "\u3000\u3000“他说：‘１２３，ＡＢＣ！’……”——《书》·©\u200d\u200b\ufeff㊀"
    assert normalised(text, text + "\r") == [text, text + "\n"]


def test_texts_do_not_run_into_each_other() -> None:
    """A carriage return at the end of one text and a line feed at the start of the next are two line ends."""
    assert normalised("a\r", "\nb", "", "\x00") == ["a\n", "\nb", "", ""]


def test_a_column_without_anything_to_change_is_not_copied() -> None:
    """Nearly all batches cost one look."""
    column = pa.array(["干净的文本\n", "clean\ttext"], pa.large_string())
    assert normalise(column).buffers()[2].address == column.buffers()[2].address


@given(TEXTS)
def test_agrees_with_a_plain_regular_expression(texts: list[str]) -> None:
    """The kernel decides as the slow way does, and normalising twice changes nothing."""
    newlines = (re.sub("\r\n?|[\x0b\x0c\x85\u2028\u2029]", "\n", text) for text in texts)
    slow = [re.sub("[\x00-\x08\x0e-\x1f\x7f-\x9f]", "", text) for text in newlines]
    assert normalised(*texts) == slow
    assert normalised(*slow) == slow


@given(st.lists(st.text(st.sampled_from(SPACES)) | st.text(st.sampled_from(SPACES + "a。\u200b\u2027\u1681\u3001é𠀀"))))
def test_blank_texts_are_those_that_strip_to_nothing(texts: list[str]) -> None:
    """Every white space character of Unicode is known, zero-width ones are none."""
    assert blank_texts(*text_buffers(pa.array(texts, pa.large_string()))).tolist() == [
        not text.strip() for text in texts
    ]
