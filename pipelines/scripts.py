"""Which script a text is written in, counted from code points; simplified and traditional Han told apart.

A character counts for one form only where it does not exist in the other: simplified ones are those that OpenCC turns
into another character and Big5 does not have (国, but not 后), traditional ones the same with GB 2312 (國, but not 着).
"""

from functools import cache
from typing import Literal

import numpy as np
import opencc

from ctllm.pipelines.batch import TextBatch, kernel

Script = Literal["hans", "hant", "latin", "kana", "hangul", "other"]

NONE, LATIN, HAN, HANS, HANT, KANA, HANGUL, OTHER = range(8)
NUM_CLASSES = 8

NUM_COUNTED_CHARS = 20_000  # the majority does not change beyond; bounds the cost of books; chosen, untested
MIN_KANA_SHARE = 0.1  # Japanese prose has 40 to 60 % kana; a Chinese text may quote の; chosen, untested

_HAN_RANGES = ((0x3400, 0x4DC0), (0x4E00, 0xA000), (0xF900, 0xFB00), (0x20000, 0x323B0))
_KANA_RANGES = ((0x3041, 0x30FB), (0x30FC, 0x3100), (0x31F0, 0x3200), (0xFF66, 0xFF9E))
_HANGUL_RANGES = ((0x1100, 0x1200), (0x3130, 0x3190), (0xA960, 0xA980), (0xAC00, 0xD7B0))
_LATIN_RANGES = ((0x41, 0x5B), (0x61, 0x7B), (0xC0, 0x250), (0x1E00, 0x1F00), (0xFF21, 0xFF3B), (0xFF41, 0xFF5B))


def count_scripts(texts: TextBatch) -> np.ndarray:
    """Letters of each class in the first `NUM_COUNTED_CHARS` characters: (texts, NUM_CLASSES), int64."""
    counts = np.zeros((len(texts), NUM_CLASSES), np.int64)
    _count(texts.codepoints, texts.offsets, script_table(), counts)
    return counts


@kernel
def _count(codepoints: np.ndarray, offsets: np.ndarray, classes: np.ndarray, counts: np.ndarray) -> None:
    """Eight counters of a byte each in one word, emptied before any can overflow: five times as fast as an array.

    Over slices from 0 on, so that no index is looked at for being negative: twice as fast again.
    """
    for text in range(offsets.shape[0] - 1):
        end = min(offsets[text + 1], offsets[text] + NUM_COUNTED_CHARS)
        for start in range(offsets[text], end, 255):
            part = codepoints[start : min(start + 255, end)]
            packed = np.uint64(0)
            for i in range(part.shape[0]):
                packed += np.uint64(1) << (np.uint64(classes[part[i]]) << np.uint64(3))
            for kind in range(NUM_CLASSES):
                counts[text, kind] += np.int64((packed >> np.uint64(8 * kind)) & np.uint64(0xFF))


def han_shares(counts: np.ndarray) -> np.ndarray:
    """Han characters among all letters: (texts,), float64; 0 for texts without letters and for Japanese."""
    letters = counts[:, LATIN:].sum(axis=1)
    han = counts[:, HAN : HANT + 1].sum(axis=1)
    is_japanese = counts[:, KANA] >= MIN_KANA_SHARE * np.maximum(han + counts[:, KANA], 1)
    return np.where(is_japanese, 0.0, han / np.maximum(letters, 1))


def dominant_scripts(counts: np.ndarray, *, min_han_share: float) -> np.ndarray:
    """The script of each text: Han from `min_han_share` of the letters on, else the one with most letters.

    (texts,), str. Han without a character that tells (short classical texts) counts as simplified.
    """
    han = np.where(counts[:, HANT] > counts[:, HANS], "hant", "hans")
    japanese = np.where(counts[:, KANA] > 0, counts[:, KANA] + counts[:, HAN : HANT + 1].sum(axis=1), 0)
    others = np.stack([counts[:, LATIN], japanese, counts[:, HANGUL], counts[:, OTHER]], axis=1)
    most = np.array(["latin", "kana", "hangul", "other"])[others.argmax(axis=1)]  # of equals the first
    without_letters = ~counts[:, LATIN:].any(axis=1)
    return np.where(han_shares(counts) >= min_han_share, han, np.where(without_letters, "other", most))


@cache
def script_table() -> np.ndarray:
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
