"""Units, Han characters and words as 64-bit numbers: what repetition, vocabulary and benchmarks compare.

Equal units under NFKC and lower case have equal numbers, so 赌场 matches 赌 场 and ＡＢＣ matches abc.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import decode_utf8, kernel, text_buffers
from ctllm.pipelines.signals.characters import MARK, SINGLE, WORD, classify, fold_table
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
    ids, lengths = np.empty(len(codepoints) + 1, np.uint64), np.empty(len(codepoints) + 1, np.int32)
    unit_offsets = np.zeros(len(offsets), np.int64)
    chars = np.zeros(len(offsets) - 1, np.int64)
    tables = classes, fold_table(), _place_factors()
    used = _split(codepoints, offsets, *tables, ids, lengths, unit_offsets, chars)
    _mix(ids[1 : used + 1])
    return Units(ids[1 : used + 1], lengths[1 : used + 1], unit_offsets, chars)


def units_of(texts: list[str]) -> Units:
    """The units of Python strings; for word lists and single texts."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    return split_units(codepoints, offsets, classes=classify(codepoints))


def unit_bounds(text: str) -> tuple[np.ndarray, np.ndarray]:
    """First character of each unit of a text, and the one after its last: (units,), int64 each."""
    codepoints, _ = decode_utf8(*text_buffers(pa.array([text], pa.large_string())))
    starts, ends = np.empty(len(codepoints), np.int64), np.empty(len(codepoints), np.int64)
    used = _bound(classify(codepoints), starts, ends)
    return starts[:used], ends[:used]


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
    """Function characters and stop words by the low bits of their number: (a power of two, 4), uint64, 0 where free."""
    ids = units_of(sorted(ZH_FUNCTION_CHARACTERS | EN_STOP_WORDS)).ids
    buckets = 1 << (2 * len(ids)).bit_length()
    while np.bincount((ids % np.uint64(buckets)).astype(np.int64)).max() > _BUCKET_SIZE:
        buckets *= 2
    table = np.zeros((buckets, _BUCKET_SIZE), np.uint64)
    for unit in ids:
        row = table[int(unit) % buckets]
        row[np.argmin(row)] = unit
    return table


_BUCKET_SIZE = 4
_NUM_PLACES = 256  # a power of two; in longer words, characters that far apart may change places unnoticed


@cache
def _place_factors() -> np.ndarray:
    """Odd factor of a character by its place in a word: (256,), uint64; the steps of Knuth's MMIX generator."""
    state, factors = 0x9E3779B97F4A7C15, []
    for _ in range(_NUM_PLACES):
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        factors.append(state | 1)
    return np.array(factors, np.uint64)


@kernel
def _split(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    folds: np.ndarray,
    factors: np.ndarray,
    ids: np.ndarray,
    lengths: np.ndarray,
    unit_offsets: np.ndarray,
    chars: np.ndarray,
) -> int:
    """One step per character without a branch on what it is: the ends of words cannot be predicted.

    A unit's number is the sum of its characters times a factor for their place, mixed at the end. Row 0 of `ids` and
    `lengths` takes what stands before the first unit; the units follow.
    """
    used = value = place = np.uint64(0)
    length = np.int32(0)
    for text in range(offsets.shape[0] - 1):
        is_word, inside = False, 0
        part, bits_of = codepoints[offsets[text] : offsets[text + 1]], classes[offsets[text] : offsets[text + 1]]
        for i in range(part.shape[0]):
            bits, c = bits_of[i], part[i]
            joins = is_word & ((bits & (WORD | MARK)) != 0)
            begins = ((bits & (WORD | SINGLE)) != 0) & (not joins)
            is_word = joins | (begins & ((bits & WORD) != 0))
            folded = folds[c]  # of Han too: traditional characters count as simplified ones
            place = np.uint64(0) if begins else place + np.uint64(1)
            term = np.uint64(folded) * factors[place & np.uint64(_NUM_PLACES - 1)]
            value = (np.uint64(0) if begins else value) + (term if joins | begins else np.uint64(0))
            length = (np.int32(0) if begins else length) + np.int32(joins | begins)
            used += np.uint64(begins)
            ids[used], lengths[used] = value, length
            inside += joins | begins
        chars[text] = inside
        unit_offsets[text + 1] = used
    return int(used)


@kernel
def _bound(classes: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """Where the units that `_split` counts begin and end, in one text; returns how many."""
    used, is_word = 0, False
    for i in range(classes.shape[0]):
        bits = classes[i]
        joins = is_word and bits & (WORD | MARK) != 0
        begins = bits & (WORD | SINGLE) != 0 and not joins
        is_word = joins or (begins and bits & WORD != 0)
        if begins:
            starts[used] = i
            used += 1
        if joins or begins:
            ends[used - 1] = i + 1
    return used


@kernel
def _mix(values: np.ndarray) -> None:
    """Spreads every number over all 64 bits, in place (the finaliser of MurmurHash3)."""
    for i in range(values.shape[0]):
        value = values[i]
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        values[i] = value ^ (value >> np.uint64(33))


@kernel
def _count_members(ids: np.ndarray, offsets: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Units of each text that stand in a table of buckets: (texts,), int64."""
    counts = np.zeros(offsets.shape[0] - 1, np.int64)
    mask = np.uint64(table.shape[0] - 1)
    for text in range(offsets.shape[0] - 1):
        count = 0
        for i in range(offsets[text], offsets[text + 1]):
            unit = ids[i]
            row = unit & mask
            count += (
                (table[row, 0] == unit) | (table[row, 1] == unit) | (table[row, 2] == unit) | (table[row, 3] == unit)
            )
        counts[text] = count
    return counts
