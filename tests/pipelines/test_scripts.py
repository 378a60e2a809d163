"""Tests of counting scripts."""

import pytest

from ctllm.pipelines.scripts import HAN, HANS, HANT, KANA, LATIN, count_scripts, dominant_scripts, han_shares


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
    assert dominant_scripts(count_scripts([text]), min_han_share=0.2) == [script]


def test_characters_of_both_forms_tell_nothing() -> None:
    """后, 里, 干 and 着 exist in both writings: they count as Han only. 国 and 們 tell."""
    counts = count_scripts(["后里干着国們abcの"])[0]
    assert (counts[HAN], counts[HANS], counts[HANT], counts[LATIN], counts[KANA]) == (4, 1, 1, 3, 1)


def test_han_share_is_of_letters_and_zero_for_japanese() -> None:
    """Digits, spaces and punctuation do not count; kanji in Japanese are not Chinese."""
    assert han_shares(count_scripts(["汉字 ab, 12", "汉字的の字字字字字字字字字", "漢字とかな", "12"])).tolist() == [
        0.5,
        12 / 13,
        0.0,
        0.0,
    ]
