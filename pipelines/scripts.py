"""Which script a text is written in, counted from code points; simplified and traditional Han told apart.

A character counts for one form only where it does not exist in the other: simplified ones are those that OpenCC turns
into another character and Big5 does not have (国, but not 后), traditional ones the same with GB 2312 (國, but not 着).
"""

from collections.abc import Sequence
from functools import cache
from typing import Literal

import numpy as np
import opencc

Script = Literal["hans", "hant", "latin", "kana", "hangul", "other"]

NONE, LATIN, HAN, HANS, HANT, KANA, HANGUL, OTHER = range(8)
NUM_CLASSES = 8

NUM_COUNTED_CHARS = 20_000  # the majority does not change beyond; bounds the cost of books; chosen, untested
MIN_KANA_SHARE = 0.1  # Japanese prose has 40 to 60 % kana; a Chinese text may quote の; chosen, untested

_HAN_RANGES = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0))
_KANA_RANGES = ((0x3041, 0x30FB), (0x30FC, 0x3100), (0x31F0, 0x3200), (0xFF66, 0xFF9E))
_HANGUL_RANGES = ((0x1100, 0x1200), (0x3130, 0x3190), (0xA960, 0xA980), (0xAC00, 0xD7B0))
_LATIN_RANGES = ((0x41, 0x5B), (0x61, 0x7B), (0xC0, 0x250), (0x1E00, 0x1F00), (0xFF21, 0xFF3B), (0xFF41, 0xFF5B))


def count_scripts(texts: Sequence[str]) -> np.ndarray:
    """Letters of each class in the first `NUM_COUNTED_CHARS` characters: (texts, NUM_CLASSES), int64."""
    counts = np.zeros((len(texts), NUM_CLASSES), np.int64)
    classes = _class_table()
    for row, text in enumerate(texts):
        codepoints = np.frombuffer(text[:NUM_COUNTED_CHARS].encode("utf-32-le"), np.uint32)
        counts[row] = np.bincount(classes[codepoints], minlength=NUM_CLASSES)
    return counts


def han_shares(counts: np.ndarray) -> np.ndarray:
    """Han characters among all letters: (texts,), float64; 0 for texts without letters and for Japanese."""
    letters = counts[:, LATIN:].sum(axis=1)
    han = counts[:, HAN : HANT + 1].sum(axis=1)
    is_japanese = counts[:, KANA] >= MIN_KANA_SHARE * np.maximum(han + counts[:, KANA], 1)
    return np.where(is_japanese, 0.0, han / np.maximum(letters, 1))


def dominant_scripts(counts: np.ndarray, *, min_han_share: float) -> list[Script]:
    """The script of each text: Han from `min_han_share` of the letters on, else the one with most letters.

    Han without a character that tells (short classical texts) counts as simplified.
    """
    shares = han_shares(counts)
    return [_script(row, is_han=share >= min_han_share) for row, share in zip(counts, shares, strict=True)]


def _script(count: np.ndarray, *, is_han: bool) -> Script:
    if is_han:
        return "hant" if count[HANT] > count[HANS] else "hans"
    if not count[LATIN:].any():
        return "other"
    others: dict[Script, int] = {
        "latin": count[LATIN],
        "kana": count[KANA] and count[KANA] + count[HAN : HANT + 1].sum(),
        "hangul": count[HANGUL],
        "other": count[OTHER],
    }
    return max(others, key=lambda script: others[script])


@cache
def _class_table() -> np.ndarray:
    """Class of every code point: (0x110000,), uint8."""
    table = np.zeros(0x110000, np.uint8)
    table[[point for point in range(0x10000) if chr(point).isalpha()]] = OTHER
    for ranges, kind in ((_LATIN_RANGES, LATIN), (_HAN_RANGES, HAN), (_KANA_RANGES, KANA), (_HANGUL_RANGES, HANGUL)):
        for first, end in ranges:
            table[first:end] = kind
    table[[0xD7, 0xF7]] = NONE  # × and ÷ lie among the Latin letters
    table[[ord(char) for char in _only_in_one_form("s2t", "big5")]] = HANS
    table[[ord(char) for char in _only_in_one_form("t2s", "gb2312")]] = HANT
    return table


def _only_in_one_form(conversion: str, other_charset: str) -> list[str]:
    """Han characters that `conversion` changes and `other_charset` cannot write."""
    characters = [chr(point) for first, end in _HAN_RANGES[:2] for point in range(first, end)]
    converted = opencc.OpenCC(conversion).convert("\n".join(characters)).split("\n")
    changed = (char for char, other in zip(characters, converted, strict=True) if char != other)
    return [char for char in changed if not char.encode(other_charset, "ignore")]
