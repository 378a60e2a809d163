"""What is highlighted is what was counted: marks against the measured signals, on texts of every kind."""

import itertools
from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.pipelines.marks import (
    CHARACTER_SIGNALS,
    LINE_SIGNALS,
    PATTERNS,
    WORD_SIGNALS,
    Span,
    find_marks,
)
from ctllm.pipelines.signals.measure import Measurer
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.words import unit_bounds
from ctllm.schemas.curation_config import CurationConfig, VocabulariesConfig
from ctllm.schemas.document import DOCUMENTS

BASE = Path(__file__).resolve().parents[2] / "examples" / "corpus" / "base"
VOCABULARY = SpamVocabulary(VocabulariesConfig())
STRANGE = """首页 | 新闻 | 体育
首页 | 新闻 | 体育
【公告】今天休息。。。。

阅读全文
• 第一
• 第二
请访问 https://a.example/x?y=1 或 www.b.example
在线博彩平台 真人荷官
Copyright 2024 All rights reserved
12 34 56 78
LOUD WORDS HERE 你好 # { }

同一段话在此。
再来一行。

同一段话在此。
再来一行。

锟斤拷 javascript is required…
3.14, 2.71, 1.41 �"""


def texts() -> list[str]:
    """A few real texts of each lane and one of everything that rules dislike."""
    real = [
        path.read_text(encoding="utf-8")
        for lane in ("zh", "en", "code")
        for path in sorted((BASE / lane).glob("*"))[:3]
    ]
    return [*real, STRANGE, STRANGE * 2, "", "一"]


@pytest.fixture(scope="module")
def measured() -> list[tuple[str, dict[str, float]]]:
    """Every text with its signals."""
    rows = [
        {name: None if DOCUMENTS.field(name).nullable else "" for name in DOCUMENTS.names}
        | {"key": number, "snapshot": 0, "lang_score": 1.0, "lane": "zh", "text": text}
        for number, text in enumerate(texts())
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=DOCUMENTS)
    return list(zip(texts(), Measurer(CurationConfig()).measure(batch).to_pylist(), strict=True))


def marked(text: str, signal: str) -> list[Span]:
    """The marks of a signal that has a place; they are in order and apart."""
    spans = find_marks(text, signal, vocabulary=VOCABULARY)
    assert spans is not None
    assert all(start < end for start, end in spans)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    return spans


def chars_in(spans: list[Span]) -> int:
    """Characters marked."""
    return sum(end - start for start, end in spans)


def units_in(text: str, spans: list[Span]) -> tuple[int, int]:
    """Units wholly marked and their characters."""
    inside = [(s, e) for s, e in zip(*unit_bounds(text), strict=True) if any(a <= s and e <= b for a, b in spans)]
    return len(inside), sum(int(e - s) for s, e in inside)


def lines_in(text: str, spans: list[Span]) -> tuple[int, int]:
    """Lines marked and their characters without the whitespace around them."""
    lines = [text[a:b] for a, b in spans]
    stripped = [line.strip() for each in lines for line in each.split("\n") if line.strip()]
    return len(stripped), sum(map(len, stripped))


def test_marks_are_what_shares_of_characters_count(measured: list[tuple[str, dict[str, float]]]) -> None:
    """Marked characters by all characters is the share that was measured, for every signal that counts characters."""
    for text, signals in measured:
        count = max(len(text), 1)
        for signal in (
            "punctuation_share",
            "symbol_share",
            "alnum_share",
            "hash_share",
            "curly_bracket_share",
            *PATTERNS,
        ):
            share = chars_in(marked(text, signal)) / count
            assert share == pytest.approx(signals[signal], abs=1e-6), (signal, text[:20])


def test_marks_are_what_shares_of_words_count(measured: list[tuple[str, dict[str, float]]]) -> None:
    """Words by the vocabularies, function words, numbers and repeated n-grams cover what was measured."""
    for text, signals in measured:
        units, chars = (max(each, 1) for each in units_in(text, [(0, len(text))]))
        for signal in ("stop_word_share", "non_alpha_word_share"):
            assert units_in(text, marked(text, signal))[0] / units == pytest.approx(signals[signal], abs=1e-6), signal
        for signal in (
            *VOCABULARY.signals,
            "top_2gram_share",
            "top_4gram_share",
            "duplicate_5gram_share",
            "duplicate_10gram_share",
        ):
            assert units_in(text, marked(text, signal))[1] / chars == pytest.approx(signals[signal], abs=1e-6), signal


def test_marks_are_what_shares_of_lines_count(measured: list[tuple[str, dict[str, float]]]) -> None:
    """Marked lines by all lines, or their characters by all, is the share that was measured."""
    for text, signals in measured:
        lines, chars = (max(each, 1) for each in lines_in(text, [(0, len(text))]))
        for signal in (
            "end_mark_line_share",
            "bullet_line_share",
            "readmore_line_share",
            "brief_line_share",
            "ellipsis_line_share",
            "data_line_share",
        ):
            assert lines_in(text, marked(text, signal))[0] / lines == pytest.approx(signals[signal], abs=1e-6), signal
        for signal in (
            "short_line_share",
            "boilerplate_share",
            "c4_line_share",
            "duplicate_line_share",
            "duplicate_paragraph_share",
        ):
            assert lines_in(text, marked(text, signal))[1] / chars == pytest.approx(signals[signal], abs=1e-6), signal


def test_every_signal_is_marked_somewhere() -> None:
    """The text of everything that rules dislike has a mark of each signal that has a place."""
    placed = CHARACTER_SIGNALS | WORD_SIGNALS | LINE_SIGNALS | PATTERNS.keys()
    for signal in sorted(
        placed | {"gambling_share", "duplicate_line_share", "duplicate_paragraph_share", "top_2gram_share"}
    ):
        assert marked(STRANGE, signal), signal
    assert [STRANGE[a:b] for a, b in marked(STRANGE, "url_share")] == ["https://a.example/x?y=1", "www.b.example"]
    assert [STRANGE[a:b] for a, b in marked(STRANGE, "max_line_chars")] == [
        "请访问 https://a.example/x?y=1 或 www.b.example"
    ]


def test_signals_of_the_whole_text_have_no_place() -> None:
    """Lengths, means, entropy and scores are of the whole text: None, not an empty list."""
    for signal in (
        "num_chars",
        "num_words",
        "char_entropy",
        "mean_word_chars",
        "lang_score",
        "quality_score",
        "ctllm_num_chars",
    ):
        assert find_marks(STRANGE, signal, vocabulary=VOCABULARY) is None


def test_what_overlaps_is_counted_once() -> None:
    """哈哈 stands three times in four characters, 子丑 three times in six: that is the one that covers most."""
    text = "哈哈哈哈。子丑寅子丑卯子丑。"
    assert [text[start:end] for start, end in marked(text, "top_2gram_share")] == ["子丑"] * 3
    assert marked(text, "duplicate_2gram_share") == [(1, 4), (8, 10), (11, 13)]
