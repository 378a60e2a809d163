"""One table that says, for every code point, what becomes of it in the hashing form and which class it belongs to.

An entry is a uint32: bits 0-20 the folded code point, bits 21-23 its class, bit 24 set where a table is not enough and
NFKC must see the neighbours (`hashing_form.normalised`). Folding is NFKC, lower case, and traditional to simplified.
"""

import functools
import unicodedata
from collections.abc import Sequence

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

_ASSIGNED = np.array([*range(1, 0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200)])  # else empty or private
_CJK_RANGES = (  # Unicode 17 blocks; punctuation in them is a separator by its category
    (0x1100, 0x11FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x312F), (0x3130, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip


def fold_table(*, fold_variants: bool, code: bool) -> np.ndarray:
    """The table: (NUM_CODEPOINTS,), uint32, read-only; built once a process, 0.2 s for prose and code together.

    `code` makes punctuation and symbols tokens (SYMBOL) instead of separators and lets `_` belong to words.
    """
    return _tables(fold_variants)[code]


@functools.cache
def _tables(fold_variants: bool) -> tuple[np.ndarray, np.ndarray]:
    """The tables of prose and of code."""
    characters = [chr(codepoint) for codepoint in _ASSIGNED]
    groups, is_format = _categories(characters)
    classes = _classes(groups, is_format)
    compatible = normalised_alone(characters)
    folded = _folded(compatible, simplified_variants() if fold_variants else {})
    prose = np.zeros(NUM_CODEPOINTS, np.uint32)  # unassigned and private code points separate
    prose[_ASSIGNED] = folded | classes[folded] << CLASS_SHIFT
    code = prose.copy()
    several = {one: others for one, others in zip(characters, compatible, strict=True) if len(others) > 1}
    for character, others in several.items():  # ㎡, ℃, ﬁ; not … in prose, where three separators are as good as one
        separates = all(classes[ord(each)] == SEPARATOR for each in others)
        prose[ord(character)] = ord(character) | SEPARATOR << CLASS_SHIFT if separates else NEEDS_CONTEXT
        code[ord(character)] = NEEDS_CONTEXT
    composing = _composing_characters(characters)
    flagged = [
        ord(one)
        for one, other in zip(characters, compatible, strict=True)
        if one not in several and (one in composing or other in composing)
    ]
    prose[flagged] |= NEEDS_CONTEXT
    code[flagged] |= NEEDS_CONTEXT
    _make_symbols_tokens(code, groups)
    prose.flags.writeable = code.flags.writeable = False
    return prose, code


def normalised_alone(characters: Sequence[str]) -> list[str]:
    """NFKC of each of these, none of them NUL: NUL between them keeps them apart, so one call does for all."""
    return unicodedata.normalize("NFKC", "\0".join(characters)).split("\0")


def _folded(compatible: Sequence[str], variants: dict[str, str]) -> np.ndarray:
    """The first character of each in lower case, the simplified one of its variants: (n,), uint32."""
    lower = "\0".join(compatible).lower().split("\0")
    others = {"ς": "σ", **variants}
    return np.array([ord(others.get(each[0], each[0])) for each in lower], np.uint32)  # only İ becomes two


def _categories(characters: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """First letter of the Unicode category of every code point, as its number: (NUM_CODEPOINTS,), uint8; 0 unassigned.

    And where the category is that of format characters: (NUM_CODEPOINTS,), bool.
    """
    letters = np.frombuffer("".join(map(unicodedata.category, characters)).encode("ascii"), np.uint8).reshape(-1, 2)
    groups, is_format = np.zeros(NUM_CODEPOINTS, np.uint8), np.zeros(NUM_CODEPOINTS, bool)
    groups[_ASSIGNED] = letters[:, 0]
    is_format[_ASSIGNED] = (letters == [ord("C"), ord("f")]).all(axis=1)
    return groups, is_format


def _classes(groups: np.ndarray, is_format: np.ndarray) -> np.ndarray:
    """The class of every code point: (NUM_CODEPOINTS,), uint32; of unassigned ones it is LETTER."""
    classes = np.full(NUM_CODEPOINTS, LETTER, np.uint32)
    for first, last in _CJK_RANGES:
        classes[first : last + 1] = CJK
    classes[groups == ord("M")] = MARK
    classes[np.isin(groups, [*b"ZCPS"])] = SEPARATOR
    classes[is_format] = classes[0xFE00:0xFE10] = classes[0xE0000:] = DROPPED
    return classes


def _composing_characters(characters: Sequence[str]) -> set[str]:
    """Characters that NFKC may join with or reorder around the one before them."""
    found = {chr(each) for each in (*range(0x1161, 0x1176), *range(0x11A8, 0x11C3))}  # conjoining vowels and finals
    found.update(filter(unicodedata.combining, characters))
    for decomposition in filter(None, map(unicodedata.decomposition, characters)):
        parts = decomposition.split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found.add(chr(int(parts[1], 16)))
    return found


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


def _make_symbols_tokens(table: np.ndarray, groups: np.ndarray) -> None:
    points = _ASSIGNED[table[_ASSIGNED] & NEEDS_CONTEXT == 0]
    folded = table[points] & FOLDED_MASK  # its category decides: the radical ⼀ is a symbol, 一 a character
    is_symbol = np.isin(groups[folded], [*b"PS"])
    kinds = np.where(folded == ord("_"), LETTER, SYMBOL).astype(np.uint32)
    table[points[is_symbol]] = (folded | kinds << CLASS_SHIFT)[is_symbol]
