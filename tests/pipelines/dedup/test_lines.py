"""Lines and paragraphs as hashes, against splitting in Python; what counts as the same line."""

import random

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.lines import HashedUnits, TokenisedLines
from ctllm.pipelines.dedup.sentences import cut_prose, list_marks


def _tokenised(*texts: str) -> TokenisedLines:
    batch = TextBatch.of(pa.array(texts, pa.large_string()))
    marks = list_marks(batch.codepoints)
    sentences = cut_prose(batch.codepoints, batch.offsets, marks=marks, min_chars=1)
    is_code = np.zeros(len(texts), bool)
    return TokenisedLines.of(batch, sentences, marks=marks, is_code=is_code, fold_variants=True)


def _spans(units: HashedUnits, texts: list[str]) -> list[tuple[int, str]]:
    rows = zip(units.texts_U.tolist(), units.starts_U.tolist(), units.ends_U.tolist(), strict=True)
    return [(text, texts[text][start:end]) for text, start, end in rows]


def test_lines_are_those_that_splitting_gives() -> None:
    """Every line of at least so many characters is found with its line feed, in the text it stands in."""
    chance = random.Random(1)
    texts = ["".join(chance.choices("天地玄黄\n", k=chance.randrange(60))) for _ in range(80)]
    expected = [
        (row, line)
        for row, text in enumerate(texts)
        for line in text.splitlines(keepends=True)
        if len(line.strip()) > 3
    ]
    assert _spans(_tokenised(*texts).lines(min_tokens=4), texts) == expected


@pytest.mark.parametrize(("one", "other", "is_same"), [
    ("版权所有：新浪公司", "版权所有　新浪公司。", True),
    ("All Rights Reserved", "ALL RIGHTS RESERVED!", True),
    ("關於我們", "关于我们", True),
    ("ＩＣＰ备案１２３", "ICP备案123", True),
    ("版权所有新浪公司", "版权所有搜狐公司", False),
    ("all rights reserved", "allrights reserved", False),
])  # fmt: skip
def test_lines_are_the_same_in_their_hashing_form(one: str, other: str, is_same: bool) -> None:
    """Case, width, marks, spaces and traditional forms do not make a line another; a word does."""
    first, second = _tokenised(f"前\n{one}\n后", f"\t{other}").lines(min_tokens=2).hashes_U
    assert (first == second) == is_same


def test_paragraphs_stand_between_lines_without_a_word() -> None:
    """Two lines or more, with blank ones or rules of dashes around; one line alone is a line."""
    text = "首页\n新闻\n\n独立的一行\n-----\n关于\n我们\n联系\n  \n"
    units = _tokenised("别的\n", text, "甲\n乙").paragraphs(min_tokens=2)
    assert _spans(units, ["别的\n", text, "甲\n乙"]) == [(1, "首页\n新闻\n"), (1, "关于\n我们\n联系\n"), (2, "甲\n乙")]
    assert len(_tokenised(text).paragraphs(min_tokens=6).hashes_U) == 1


def test_a_unit_of_exactly_the_bound_counts() -> None:
    """Ten characters are enough for a bound of ten, nine are not; marks do not count."""
    texts = ["一二三四五，六七八九十。\n", "一二三四五，六七八九。\n"]
    assert _spans(_tokenised(*texts).lines(min_tokens=10), texts) == [(0, texts[0])]


def test_equal_paragraphs_may_break_their_lines_elsewhere() -> None:
    """Line breaks are white space in a paragraph's hash."""
    one, other = _tokenised("版权所有\n新浪公司", "版权\n所有新浪\n公司").paragraphs(min_tokens=8).hashes_U
    assert one == other


def test_nothing_gives_nothing() -> None:
    """An empty batch, empty texts and texts of white space have no lines."""
    for texts in ((), ("", "", "\n\n")):
        assert len(_tokenised(*texts).lines(min_tokens=1).hashes_U) == 0
        assert len(_tokenised(*texts).paragraphs(min_tokens=1).hashes_U) == 0


def test_sentences_are_hashed_by_their_tokens() -> None:
    """Sentences within lines hash like others of the same words, and tell how many they have."""
    hashes, sizes = _tokenised("甲乙丙。丁戊 two words!", "丁戊 TWO words.").hash_sentences()
    assert sizes.tolist() == [3, 4, 4]
    assert hashes[1] == hashes[2] != hashes[0]
