"""Tests of counting scripts."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.scripts import (
    HAN,
    HANS,
    HANT,
    KANA,
    LATIN,
    NUM_COUNTED_CHARS,
    count_scripts,
    dominant_scripts,
    han_shares,
)


def batch(*texts: str) -> TextBatch:
    """The texts as the pipeline holds them."""
    return TextBatch.of(pa.array(texts, pa.large_string()))


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("我们国家的语言", "hans"),
        ("我們國家的語言", "hant"),
        ("床前明月光，疑是地上霜", "hans"),
        ("皇后在里面", "hans"),
        ("皇后姓范，里長姓干。著作等身，書法甚佳", "hant"),
        ("The quick brown fox", "latin"),
        ("吾輩は猫である。名前はまだ無い。", "kana"),
        ("안녕하세요", "hangul"),
        ("Привет, мир", "other"),
        ("123 ……", "other"),
        ("", "other"),
    ],
)
def test_the_script_of_a_text(text: str, script: str) -> None:
    """Simplified and traditional Han, Latin, kana, Hangul and the rest are told apart; undecided Han is simplified."""
    assert dominant_scripts(count_scripts(batch(text)), min_han_share=0.2).tolist() == [script]


def test_characters_of_both_forms_tell_nothing() -> None:
    """后, 里, 干 and 着 exist in both writings: they count as Han only. 国 and 們 tell."""
    counts = count_scripts(batch("后里干着国們abcの"))[0]
    assert (counts[HAN], counts[HANS], counts[HANT], counts[LATIN], counts[KANA]) == (4, 1, 1, 3, 1)


def test_han_share_is_of_letters_and_zero_for_japanese() -> None:
    """Digits, spaces and punctuation do not count; kanji in Japanese are not Chinese."""
    assert han_shares(
        count_scripts(batch("汉字 ab, 12", "汉字的の字字字字字字字字字", "漢字とかな", "12"))
    ).tolist() == [
        0.5,
        12 / 13,
        0.0,
        0.0,
    ]


@given(st.lists(st.text("后国們のㄱ안aé１😀 \n", max_size=20)), st.integers(1, 1000))
def test_counting_agrees_with_character_by_character(texts: list[str], times: int) -> None:
    """Every letter counts once, in texts beyond the 255 that a packed counter holds as well."""
    long = [text * times for text in texts]
    counts = count_scripts(batch(*long))
    for text, count in zip(long, counts, strict=True):
        letters = [sum(char in group for char in text) for group in ("aé", "后", "国", "們", "の", "ㄱ안")]
        assert count[[LATIN, HAN, HANS, HANT, KANA, KANA + 1]].tolist() == letters
        assert count.sum() == len(text)


def test_only_the_start_of_a_book_counts() -> None:
    """The last character that counts is number NUM_COUNTED_CHARS."""
    start = "a" * (NUM_COUNTED_CHARS - 1)
    assert count_scripts(batch(start + "后" * 9))[0, [LATIN, HAN]].tolist() == [NUM_COUNTED_CHARS - 1, 1]
