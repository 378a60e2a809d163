"""Character signals equal a slow plain version and catch what they are named after."""

import math
import unicodedata
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.character_counts import count_characters
from ctllm.pipelines.signals.characters import classify, fold_table, measure_characters

TRICKY = "汉字𠀀𰻞々〇한かー，。！?…⋯..。【】#＃１9٣ \t\n\u3000$€😀👩\u200d👧é\ufffdＷwHh锟斤拷烫屯Ã©â€™å·"
TEXT = st.text(st.sampled_from(TRICKY) | st.characters(exclude_categories=["Cs"]), max_size=80)


def measured(text: str) -> dict[str, float]:
    """Signals of one text by name."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array([text], pa.large_string())))
    signals = measure_characters(
        codepoints, offsets, count_characters(codepoints, offsets), classes=classify(codepoints)
    )
    return {name: float(values[0]) for name, values in signals.items()}


def is_han(char: str) -> bool:
    """Whether a character is of the Han script."""
    ranges = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFD))
    return char in "々〇" or any(first <= ord(char) <= last for first, last in ranges)


def plain(text: str) -> dict[str, float]:
    """The same shares with Python's own Unicode data and counters."""
    kinds = [unicodedata.category(char) for char in text]
    visible = [char for char in text if not char.isspace()]
    num_punctuation = sum(kind[0] == "P" for kind in kinds)
    shares = [count / max(len(visible), 1) for count in Counter(visible).values()]
    return {
        "han_share": sum(map(is_han, text)) / max(len(visible), 1),
        "digit_share": kinds.count("Nd") / max(len(visible) - num_punctuation, 1),
        "punctuation_share": num_punctuation / max(len(text), 1),
        "symbol_share": sum(kind[0] == "S" for kind in kinds) / max(len(text), 1),
        "whitespace_share": sum(map(str.isspace, text)) / max(len(text), 1),
        "alnum_share": sum(kind[0] in "LN" or is_han(char) for kind, char in zip(kinds, text, strict=True))
        / max(len(text), 1),
        "distinct_char_share": len(shares) / max(len(visible), 1),
        "char_entropy": -sum(share * math.log(share) for share in shares),
    }


@given(TEXT)
def test_signals_equal_a_plain_python_version(text: str) -> None:
    """Shares and entropy are what Python's own Unicode data and counters give."""
    signals = measured(text)
    expected = {**plain(text)}
    assert {name: signals[name] for name in expected} == pytest.approx(expected, abs=1e-12)


@given(TEXT)
def test_every_share_lies_between_zero_and_one(text: str) -> None:
    """A share is never negative, above one or undefined, whatever the text."""
    signals = measured(text)
    signals.pop("char_entropy")
    assert all(0 <= value <= 1 for value in signals.values())


@pytest.mark.parametrize(("text", "expected"), [("Ａbc 汉", 0.75), ("É", 1.0), ("Ωж", 0.0), ("×÷", 0.0), ("１2", 0.0)])
def test_latin_letters_are_counted_in_every_width_and_with_accents(text: str, expected: float) -> None:
    """Full-width and accented letters are Latin; other scripts, digits and signs between the letters are not."""
    assert measured(text)["latin_share"] == expected


@pytest.mark.parametrize(
    "wrong",
    [
        "春天来了，我们去看花。".encode().decode("gbk", "replace"),
        "春天来了，我们去看花。".encode().decode("latin-1"),
        "春天来了，我们去看花。".encode("gbk").decode("latin-1"),
        "春天来了，我们去看花。".encode("gbk").decode("utf-8", "replace"),
        "The café’s “menu” is naïve.".encode().decode("cp1252", "replace"),
        "读取失败：锟斤拷锟斤拷锟斤拷",
        "调试信息：烫烫烫烫烫烫",
    ],
)
def test_a_wrong_decoding_leaves_marks(wrong: str) -> None:
    """Text decoded with the wrong charset is noticed, whichever pair of charsets was mixed up."""
    assert measured(wrong)["replacement_share"] > 0.05


@pytest.mark.parametrize(
    "right",
    [
        "目录······第一页",
        "café, naïve, Ångström, “São Paulo”…",
        "屯田和烫伤，拷问与公斤",
        "§1 °C ±3 ×2 «été» ¿qué?",
        "한국어 かな Ελληνικά",
    ],
)
def test_real_text_with_rare_characters_leaves_no_marks(right: str) -> None:
    """Accents, leaders, signs and characters that mojibake also uses are no mojibake."""
    assert measured(right)["replacement_share"] == 0


def test_folding_follows_nfkc_and_lower_case() -> None:
    """Ａ, A and a are one letter when texts are compared; a character that folds into several stays itself."""
    folds = fold_table()
    assert [chr(folds[ord(char)]) for char in "ＡAÉ１ｶ汉㎏"] == ["a", "a", "é", "1", "カ", "汉", "㎏"]
    assert folds.dtype == np.uint32
