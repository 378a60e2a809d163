"""Units, Han characters and words as 64-bit numbers: what repetition, vocabulary and benchmarks compare.

Equal units under NFKC and lower case have equal numbers, so 赌场 matches 赌 场 and ＡＢＣ matches abc.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import decode_utf8, kernel, text_buffers
from ctllm.pipelines.signals.characters import MARK, SINGLE, WORD, class_table, fold_table
from ctllm.pipelines.signals.vocabulary import EN_STOP_WORDS, ZH_FUNCTION_CHARACTERS

COLUMNS = ("num_words", "mean_word_chars", "stop_word_share")


@dataclass(frozen=True)
class Units:
    """The units of a batch."""

    ids: np.ndarray
    """(units,), uint64: equal for units that fold alike"""
    lengths: np.ndarray
    """(units,), int32, code points"""
    offsets: np.ndarray
    """(texts + 1,), int64: the units of each text"""

    chars: np.ndarray
    """(texts,), int64: code points that lie in units, per text"""


def split_units(codepoints: np.ndarray, offsets: np.ndarray, *, classes: np.ndarray) -> Units:
    """The units of every text."""
    ids, lengths = np.empty(len(codepoints), np.uint64), np.empty(len(codepoints), np.int32)
    unit_offsets = np.zeros(len(offsets), np.int64)
    chars = np.zeros(len(offsets) - 1, np.int64)
    used = _split(codepoints, offsets, classes, fold_table(), ids, lengths, unit_offsets, chars)
    return Units(ids[:used], lengths[:used], unit_offsets, chars)


def units_of(texts: list[str]) -> Units:
    """The units of Python strings; for word lists and single texts."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    return split_units(codepoints, offsets, classes=class_table()[codepoints])


def measure_words(units: Units) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64."""
    num_units = np.diff(units.offsets)
    nonzero = np.maximum(num_units, 1)
    return {
        "num_words": num_units.astype(np.float64),
        "mean_word_chars": units.chars / nonzero,
        "stop_word_share": _count_members(units.ids, units.offsets, _stop_units()) / nonzero,
    }


@cache
def _stop_units() -> np.ndarray:
    """Function characters and stop words as a hash table: (a power of two,), uint64, 0 where free."""
    ids = units_of(sorted(ZH_FUNCTION_CHARACTERS | EN_STOP_WORDS)).ids
    table = np.zeros(1 << (4 * len(ids)).bit_length(), np.uint64)
    for unit in ids:
        slot = int(unit) % len(table)
        while table[slot] not in (0, unit):
            slot = (slot + 1) % len(table)
        table[slot] = unit
    return table


@kernel
def _split(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    folds: np.ndarray,
    ids: np.ndarray,
    lengths: np.ndarray,
    unit_offsets: np.ndarray,
    chars: np.ndarray,
) -> int:
    used = 0
    for text in range(offsets.shape[0] - 1):
        i = offsets[text]
        while i < offsets[text + 1]:
            bits = classes[i]
            if not bits & (WORD | SINGLE):
                i += 1
                continue
            start = i
            value = np.uint64(0xCBF29CE484222325)
            while i < offsets[text + 1] and (i == start or (bits & WORD and classes[i] & (WORD | MARK))):
                value = (value ^ np.uint64(folds[codepoints[i]])) * np.uint64(0x100000001B3)
                i += 1
            value = (value ^ (value >> np.uint64(31))) * np.uint64(0x7FB5D329728EA185)  # FNV-1a leaves low bits weak
            ids[used], lengths[used] = value ^ (value >> np.uint64(29)), i - start
            chars[text] += i - start
            used += 1
        unit_offsets[text + 1] = used
    return used


@kernel
def _count_members(ids: np.ndarray, offsets: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Units of each text that stand in a hash table of units: (texts,), int64."""
    counts = np.zeros(offsets.shape[0] - 1, np.int64)
    mask = np.uint64(table.shape[0] - 1)
    for text in range(offsets.shape[0] - 1):
        for i in range(offsets[text], offsets[text + 1]):
            slot = ids[i] & mask
            while table[slot] != 0 and table[slot] != ids[i]:
                slot = (slot + np.uint64(1)) & mask
            counts[text] += table[slot] == ids[i]
    return counts
