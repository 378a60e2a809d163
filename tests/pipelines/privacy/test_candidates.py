"""The pass over the bytes may say too much, never too little."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.privacy.candidates import Trace, find_candidates


def traces(*texts: str) -> list[tuple[int, Trace, str]]:
    """Text, trace and the characters of every candidate."""
    found = find_candidates(*text_buffers(pa.array(list(texts), pa.large_string())))
    columns = (found.texts, found.traces, found.starts, found.ends)
    return [
        (row, Trace(trace), texts[row][start:end])
        for row, trace, start, end in zip(*(column.tolist() for column in columns), strict=True)
    ]


@pytest.mark.parametrize(
    ("text", "trace", "seen"),
    [
        ("𠀀汉13800001111。", Trace.NUMBER, "13800001111"),
        ("汉138-0000-1111。", Trace.NUMBER, "138-0000-1111"),
        ("汉138 0000 1111 ", Trace.NUMBER, "138 0000 1111"),
        ("１３８００００１１１１", Trace.NUMBER, "１３８００００１１１１"),
        ("（010）88886666", Trace.NUMBER, "88886666"),
        ("010-8888666", Trace.NUMBER, "010-8888666"),
        ("a@b", Trace.ADDRESS, "@"),
        ("ａ＠b", Trace.ADDRESS, "＠"),
        ("在47.95.100.7上", Trace.HOST, "47.95.100.7"),
        ("2a00:1450::1", Trace.HOST, "2a00:"),
        ("见京A·B1C23", Trace.PLATE, "A"),
        ("我的微信：a", Trace.CONTACT, "微信"),
        ("qQ群：1", Trace.CONTACT, "qQ"),
        ("ＱＱ群：１", Trace.CONTACT, "ＱＱ"),
        ("WeChat:a", Trace.CONTACT, "WeChat"),
        ("护照号码E1", Trace.PASSPORT, "护照"),
        ("PASSPORT 1", Trace.PASSPORT, "PASSPORT"),
    ],
)
def test_every_trace(text: str, trace: Trace, seen: str) -> None:
    """Each kind of candidate is seen, at characters of its text, also behind characters of four bytes."""
    assert (1, trace, seen) in traces("前", text)


@pytest.mark.parametrize(
    "text",
    ["", "汉字而已", "2023-05-17", "1380000111", "1 2 3 4 5 6 7 8 9 10 11 12", "@media", "1.2.3", "aqq",
     "qqs:a", "京剧", "京A12", "微信扫一扫", "护照号E",
     "wxid", "ghp_0123456789ab", "a13800001111", "010-888-66-66", "docs/2021/guide/page"],
)  # fmt: skip
def test_ordinary_text_has_no_candidate(text: str) -> None:
    """Dates, lists of numbers, words that only begin alike, and paths meet no pattern."""
    assert traces(text) == []


@given(st.lists(st.text(st.sampled_from("1380-4 汉.") | st.characters(exclude_categories=["Cs"])), max_size=5))
def test_every_long_number_is_a_candidate(texts: list[str]) -> None:
    """Whatever stands around it, a run of eleven ASCII digits lies within a candidate for a number."""
    numbers = [
        (row, match.group())
        for row, text in enumerate(texts)
        for match in re.finditer(r"(?<![A-Za-z0-9_+/\-])[0-9]{11,}", text)
    ]
    seen = [(row, part) for row, trace, part in traces(*texts) if trace is Trace.NUMBER]
    for row, number in numbers:
        assert any(row == other and number in part for other, part in seen)
