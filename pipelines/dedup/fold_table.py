"""One table that says, for every code point, what becomes of it in the hashing form and which class it belongs to.

An entry is a uint32: bits 0-20 the folded code point, bits 21-23 its class, bit 24 set where a table is not enough and
NFKC must see the neighbours (`hashing_form.normalised`). Folding is NFKC, lower case, and traditional to simplified.
"""

import functools
import unicodedata

import numpy as np
import opencc

NUM_CODEPOINTS = 0x110000
FOLDED_MASK = 0x1FFFFF
CLASS_SHIFT = 21
CLASS_MASK = 7
NEEDS_CONTEXT = 1 << 24

SEPARATOR = 0  # ends a word, is no token: white space, punctuation, symbols
DROPPED = 1  # as if it were not there: zero-width characters, variation selectors
LETTER = 2  # part of a word: letters and digits of scripts that use words
MARK = 3  # part of the word before it, nothing elsewhere: accents
SYMBOL = 4  # from here on a token of its own: punctuation and operators, in code
CJK = 5  # Han, kana, hangul, bopomofo

_ASSIGNED = (
    *range(0xD800),
    *range(0xE000, 0x40000),
    *range(0xE0000, 0xE0200),
)  # other planes: empty or private
_CJK_RANGES = (  # Unicode 17 blocks; punctuation in them is a separator by its category
    (0x1100, 0x11FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x312F), (0x3130, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip


@functools.cache
def fold_table(*, fold_variants: bool, code: bool) -> np.ndarray:
    """The table: (NUM_CODEPOINTS,), uint32, read-only; built once a process, about 0.4 s.

    `code` makes punctuation and symbols tokens (SYMBOL) instead of separators and lets `_` belong to words.
    """
    table = np.zeros(NUM_CODEPOINTS, np.uint32)  # unassigned and private code points separate
    composing = _composing_characters()
    variants = simplified_variants() if fold_variants else {}
    for codepoint in _ASSIGNED:
        table[codepoint] = _entry(chr(codepoint), composing=composing, variants=variants, code=code)
    if code:
        _make_symbols_tokens(table)
    table.flags.writeable = False
    return table


def _entry(character: str, *, composing: frozenset[str], variants: dict[str, str], code: bool) -> int:
    compatible = unicodedata.normalize("NFKC", character)
    if len(compatible) > 1:  # ㎡, ℃, ﬁ; not … in prose, where three separators are as good as one
        separates = not code and all(_class_of(each) == SEPARATOR for each in compatible)
        return ord(character) | SEPARATOR << CLASS_SHIFT if separates else NEEDS_CONTEXT
    folded = compatible.lower()[0]  # only İ becomes two: i and a mark that is dropped
    folded = variants.get(folded, "σ" if folded == "ς" else folded)
    flag = NEEDS_CONTEXT if character in composing or compatible in composing else 0
    return ord(folded) | _class_of(folded) << CLASS_SHIFT | flag


def _class_of(character: str) -> int:
    codepoint = ord(character)
    category = unicodedata.category(character)
    if category == "Cf" or 0xFE00 <= codepoint <= 0xFE0F or codepoint >= 0xE0000:
        return DROPPED
    if category[0] in "ZCPS":
        return SEPARATOR
    if any(first <= codepoint <= last for first, last in _CJK_RANGES):
        return MARK if category[0] == "M" else CJK
    return MARK if category[0] == "M" else LETTER


def _composing_characters() -> frozenset[str]:
    """Characters that NFKC may join with or reorder around the one before them."""
    found = {chr(each) for each in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}  # conjoining vowels and finals
    for character in map(chr, _ASSIGNED):
        if unicodedata.combining(character):
            found.add(character)
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return frozenset(found)


@functools.cache
def simplified_variants() -> dict[str, str]:
    """Han character to the one that stands for all its variants (Hong Kong, Taiwan, traditional), where they differ.

    Character by character: on opencc's own s2t, s2tw and s2hk of 3.2 M Chinese characters 2 in 10,000 differ
    afterwards (了/瞭, 复/覆, which need the word around them); measured 2026-11.
    """
    han = "\n".join(chr(each) for first, last in _CJK_RANGES if first >= 0x3400 for each in range(first, last + 1)
                    if not 0xA000 <= each < 0xF900)  # fmt: skip
    folded = opencc.OpenCC("tw2s").convert(opencc.OpenCC("hk2s").convert(han))
    return {one: other for one, other in zip(han.split("\n"), folded.split("\n"), strict=True) if one != other}


def _make_symbols_tokens(table: np.ndarray) -> None:
    for codepoint in _ASSIGNED:
        folded = int(table[codepoint]) & FOLDED_MASK  # its category decides: the radical ⼀ is a symbol, 一 a character
        if unicodedata.category(chr(folded))[0] in "PS" and not table[codepoint] & NEEDS_CONTEXT:
            kind = LETTER if folded == ord("_") else SYMBOL
            table[codepoint] = folded | kind << CLASS_SHIFT
