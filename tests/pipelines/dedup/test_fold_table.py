"""The fold table: what becomes of each code point."""

import unicodedata

import opencc
import pytest

from ctllm.pipelines.dedup.fold_table import (
    CJK,
    CLASS_MASK,
    CLASS_SHIFT,
    DROPPED,
    FOLDED_MASK,
    LETTER,
    MARK,
    NEEDS_CONTEXT,
    SEPARATOR,
    SYMBOL,
    fold_table,
)


def entry(character: str, *, fold_variants: bool = True, code: bool = False) -> tuple[str, int]:
    """Folded character and class."""
    value = int(fold_table(fold_variants=fold_variants, code=code)[ord(character)])
    return chr(value & FOLDED_MASK), value >> CLASS_SHIFT & CLASS_MASK


@pytest.mark.parametrize(
    ("character", "folded", "kind"),
    [
        ("中", "中", CJK), ("國", "国", CJK), ("裡", "里", CJK), ("著", "着", CJK), ("衞", "卫", CJK),
        ("か", "か", CJK), ("ー", "ー", CJK), ("한", "한", CJK), ("Ａ", "a", LETTER), ("é", "é", LETTER),
        ("９", "9", LETTER), ("①", "1", LETTER), ("ς", "σ", LETTER), ("\u0301", "\u0301", MARK),
    ],
)  # fmt: skip
def test_character_folds(character: str, folded: str, kind: int) -> None:
    """Width, case and regional variants of a character give one character of one class."""
    assert entry(character) == (folded, kind)


def test_punctuation_symbols_and_space_separate_in_prose_only() -> None:
    """Punctuation and white space end a word in prose; in code operators are tokens and `_` is a letter."""
    for character in "，。、・ \n\t\u3000+_★$\ufffd\ue000":
        assert entry(character)[1] == SEPARATOR
    assert [entry(each, code=True) for each in "+（_ "] == [
        ("+", SYMBOL),
        ("(", SYMBOL),
        ("_", LETTER),
        (" ", SEPARATOR),
    ]


def test_invisible_characters_are_as_if_not_there() -> None:
    """A zero-width space, a byte-order mark, a soft hyphen or a variation selector does not break a word."""
    assert [entry(each)[1] for each in "\u200b\ufeff\u00ad\ufe0f\U000e0100"] == [DROPPED] * 5


def test_characters_that_need_their_neighbours_are_flagged() -> None:
    """㎡ becomes two characters and an accent may join the letter before: a table cannot say that alone."""
    table = fold_table(fold_variants=True, code=False)
    flagged = [bool(table[ord(each)] & NEEDS_CONTEXT) for each in "㎡℃ﬁ⑴\u0301ﾞ\u1161中Ａ，"]
    assert flagged == [True] * 7 + [False] * 3


def test_punctuation_of_several_characters_is_one_separator_in_prose() -> None:
    """… is three full stops, which separate as one; in code each of them is a token, so it is expanded there."""
    for character in "…‥″⁉":
        flags = [
            int(fold_table(fold_variants=True, code=code)[ord(character)]) & NEEDS_CONTEXT for code in (False, True)
        ]
        assert (entry(character)[1], flags) == (SEPARATOR, [0, NEEDS_CONTEXT])
    assert fold_table(fold_variants=True, code=False)[ord("´")] & NEEDS_CONTEXT  # a space and an accent


def test_unflagged_characters_fold_as_unicode_says() -> None:
    """Without variants the table is NFKC and lower case for every letter of the first three planes."""
    table = fold_table(fold_variants=False, code=False)
    for codepoint in range(0x30000):
        kind = int(table[codepoint]) >> CLASS_SHIFT & CLASS_MASK
        if not table[codepoint] & NEEDS_CONTEXT and kind in (LETTER, CJK) and chr(codepoint) != "İ":
            expected = unicodedata.normalize("NFKC", chr(codepoint)).lower().replace("ς", "σ")
            assert chr(int(table[codepoint]) & FOLDED_MASK) == expected


def test_converted_text_folds_to_the_same(essays: list[str]) -> None:
    """Simplified Chinese and what opencc makes of it for Taiwan or Hong Kong differ in at most 1 character in 100."""
    table = fold_table(fold_variants=True, code=False)
    for essay in essays:
        for variant in ("s2t", "s2tw", "s2hk"):
            converted = opencc.OpenCC(variant).convert(essay)
            assert converted != essay
            differing = sum(table[ord(one)] != table[ord(other)] for one, other in zip(essay, converted, strict=True))
            assert differing <= len(essay) / 100


@pytest.mark.parametrize("code", [False, True])
def test_ascii_is_read_without_its_neighbours(code: bool) -> None:
    """An ASCII character ends a word, belongs to one or is a token: no accent, nothing dropped, no NFKC."""
    table = fold_table(fold_variants=True, code=code)[:0x80]
    kinds = (table >> CLASS_SHIFT) & CLASS_MASK
    assert set(kinds.tolist()) == {SEPARATOR, LETTER} | ({SYMBOL} if code else set())
    assert not (table & NEEDS_CONTEXT).any()
