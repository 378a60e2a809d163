"""Links, hash signs, ellipses and brackets equal a version with regular expressions."""

import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.sign_shares import measure_sign_shares
from ctllm.pipelines.signals.signs import find_signs

TEXT = st.text(
    st.sampled_from('汉。….⋯,【】#＃9 \n𠀀ＷwHhTtpPsS:/.<>"') | st.characters(exclude_categories=["Cs"]), max_size=80
)


def measured(texts: list[str]) -> list[dict[str, float]]:
    """Signals of every text by name, measured as one batch."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    signals = measure_sign_shares(codepoints, offsets, find_signs(codepoints, offsets))
    return [{name: float(values[row]) for name, values in signals.items()} for row in range(len(texts))]


def plain(text: str) -> dict[str, float]:
    """The same with regular expressions, for texts in which no bracket is long or inside another."""
    links = re.findall(r"(?:https?://|www\.)[!-~]*?(?=[\"<>]|[^!-~]|$)", text, re.IGNORECASE | re.ASCII)
    ellipses = re.findall(r"[…⋯]|\.{3,}|。{3,}", text)
    return {
        "url_share": sum(map(len, links)) / max(len(text), 1),
        "hash_share": len(re.findall("[#＃]", text)) / max(len(text), 1),
        "ellipsis_share": sum(map(len, ellipses)) / max(len(text), 1),
        "bracket_share": sum(map(len, re.findall("【[^\n】]*】", text))) / max(len(text), 1),
    }


@settings(max_examples=300)
@given(st.lists(st.builds("{}{}{}".format, TEXT, st.sampled_from(["http://", "HTTPS://x", "www.", "...", ""]), TEXT)))
def test_signals_equal_regular_expressions(texts: list[str]) -> None:
    """Several texts at once: a link or a run that one text ends in does not go on in the next."""
    assert measured(texts) == [pytest.approx(plain(text), abs=1e-12) for text in texts]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("【广告】正文", 4),
        ("【没有尾巴\n正文】", 0),
        ("【甲】乙【丙】", 6),
        ("【" + "长" * 250 + "】", 0),
        ("【【甲】】", 4),
    ],
)
def test_brackets_cover_from_mark_to_mark_on_one_line(text: str, covered: int) -> None:
    """An unclosed bracket does not swallow the page."""
    assert measured([text])[0]["bracket_share"] * len(text) == pytest.approx(covered)
