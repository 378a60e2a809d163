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
    starts: np.ndarray
    """(units,), uint32: first code point of each in the batch; the others follow it without a gap"""
    offsets: np.ndarray
    """(texts + 1,), int64: the units of each text"""
    chars: np.ndarray
    """(texts,), int64: code points that lie in units, per text"""


def split_units(codepoints: np.ndarray, offsets: np.ndarray, *, classes: np.ndarray) -> Units:
    """The units of every text."""
    num_texts = len(offsets) - 1
    most = int(_count_begins(classes)) + num_texts + 1  # room for a unit per character is given back and taken anew
    ids, starts, lengths = (np.empty(most, kind) for kind in (np.uint64, np.uint32, np.int32))
    unit_offsets, chars = np.zeros(num_texts + 1, np.int64), np.empty(num_texts, np.int64)
    tables = fold_table(), *_place_factors()
    used = _split(codepoints, offsets, classes, *tables, ids, starts, lengths, unit_offsets, chars)
    return Units(ids[:used], lengths[:used], starts[:used], unit_offsets, chars)


def units_of(texts: list[str]) -> Units:
    """The units of Python strings; for word lists and single texts."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    return split_units(codepoints, offsets, classes=classify(codepoints))


def unit_bounds(text: str) -> tuple[np.ndarray, np.ndarray]:
    """First character of each unit of a text, and the one after its last: (units,), int64 each."""
    units = units_of([text])
    starts = units.starts.astype(np.int64)
    return starts, starts + units.lengths


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


_MASKED_PLACES = 8  # of a word, taken without a loop; 91 % of English words are not longer (2026-11-25)


@cache
def _place_factors() -> tuple[np.ndarray, np.ndarray]:
    """Odd factor of a character by its place in a word: (256,), uint64; the steps of Knuth's MMIX generator.

    And the first of them by the length of a word, 0 from there on: (`_MASKED_PLACES` + 1, `_MASKED_PLACES`), uint64.
    """
    state, factors = 0x9E3779B97F4A7C15, []
    for _ in range(_NUM_PLACES):
        state = (state * 6364136223846793005 + 1442695040888963407) & 0xFFFFFFFFFFFFFFFF
        factors.append(state | 1)
    by_place = np.array(factors, np.uint64)
    by_length = np.tril(np.tile(by_place[:_MASKED_PLACES], (_MASKED_PLACES + 1, 1)), -1)
    return by_place, by_length


@kernel
def _split(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    folds: np.ndarray,
    by_place: np.ndarray,
    by_length: np.ndarray,
    ids: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    unit_offsets: np.ndarray,
    chars: np.ndarray,
) -> int:
    """Text by text, so that what one step leaves is in the nearest cache for the next."""
    most = 0
    for text in range(offsets.shape[0] - 1):
        most = max(most, offsets[text + 1] - offsets[text])
    edges, ends = np.empty(most, np.uint8), np.empty(most + 1, np.uint32)
    folded = np.empty(most + _MASKED_PLACES, np.uint32)
    used = 0
    for text in range(offsets.shape[0] - 1):
        part = slice(offsets[text], offsets[text + 1])
        if _mark_edges(classes[part], edges):
            _mark_edges_of_marked(classes[part], edges)
        first, begin = offsets[text], starts[used:]
        num = _list_edges(edges[: offsets[text + 1] - first], begin, ends)
        chars[text] = _measure_lengths(begin[:num], ends, lengths[used : used + num])
        _fold(codepoints[part], folds, folded)
        _number(folded, begin[:num], lengths[used:], by_place, by_length, ids[used : used + num])
        for k in range(num):
            begin[k] += np.uint32(first)
        used += num
        unit_offsets[text + 1] = used
    return used


@kernel
def _count_begins(classes: np.ndarray) -> int:
    """The units of a batch at most, but for one that begins each text."""
    total = np.uint32(0)
    before, this = classes[:-1], classes[1:]
    for i in range(before.shape[0]):
        total += np.uint32(((this[i] & SINGLE) | (this[i] & ~before[i] & WORD)) != 0)
    return int(total)


@kernel
def _mark_edges(classes: np.ndarray, edges: np.ndarray) -> bool:
    """Bit 0 where a unit of a text begins, bit 1 where one ends; returns whether there is a MARK, which is left out.

    Compares with the neighbours and without a branch, so that they run on vectors.
    """
    last = classes.shape[0] - 1
    if last < 1:
        for i in range(last + 1):
            edges[i] = 3 * ((classes[i] & (WORD | SINGLE)) != 0)
        return False
    found = classes[0] | classes[last]
    edges[0] = _edges_of(np.uint16(0), classes[0], classes[1])
    edges[last] = _edges_of(classes[last - 1], classes[last], np.uint16(0))
    before, this, after, out = classes[: last - 1], classes[1:last], classes[2:], edges[1:last]
    for i in range(before.shape[0]):
        found |= this[i]
        out[i] = _edges_of(before[i], this[i], after[i])
    return bool((found & MARK) != 0)


@kernel
def _edges_of(before: np.uint16, this: np.uint16, after: np.uint16) -> np.uint8:
    is_single = (this & SINGLE) != 0
    begins = is_single | ((this & ~before & WORD) != 0)
    stops = is_single | ((this & ~after & WORD) != 0)
    return np.uint8(np.uint8(begins) | (np.uint8(stops) << np.uint8(1)))


@kernel
def _mark_edges_of_marked(classes: np.ndarray, edges: np.ndarray) -> None:
    """The same for a text with a MARK, which goes on a word and nothing else; character by character."""
    is_word = False
    for i in range(classes.shape[0]):
        bits = classes[i]
        joins = is_word and bits & (WORD | MARK) != 0
        begins = bits & (WORD | SINGLE) != 0 and not joins
        is_word = joins or (begins and bits & WORD != 0)
        goes_on = is_word and i + 1 < classes.shape[0] and classes[i + 1] & (WORD | MARK) != 0
        edges[i] = np.uint8(begins) | np.uint8(2 * ((joins or begins) and not goes_on))


@kernel
def _list_edges(edges: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> int:
    """Writes the places of both bits; how many units there are."""
    begun = ended = np.uint64(0)
    for i in range(edges.shape[0]):
        starts[begun] = i
        ends[ended] = i + 1
        begun += np.uint64(edges[i] & np.uint8(1))
        ended += np.uint64(edges[i] >> np.uint8(1))
    return int(begun)


@kernel
def _measure_lengths(starts: np.ndarray, ends: np.ndarray, lengths: np.ndarray) -> int:
    """Writes the code points of each unit; how many they are together."""
    total = np.uint32(0)
    for k in range(starts.shape[0]):
        length = np.uint32(ends[k] - starts[k])
        lengths[k] = length
        total += length
    return int(total)


@kernel
def _fold(codepoints: np.ndarray, folds: np.ndarray, folded: np.ndarray) -> None:
    """What each character counts as, Han too: traditional counts as simplified."""
    for i in range(codepoints.shape[0]):
        folded[i] = folds[codepoints[i]]
    folded[codepoints.shape[0] : codepoints.shape[0] + _MASKED_PLACES] = 0  # `_number` reads them


@kernel
def _number(  # noqa: PLR0917 - a kernel takes its arrays by position
    folded: np.ndarray,
    starts: np.ndarray,
    lengths: np.ndarray,
    by_place: np.ndarray,
    by_length: np.ndarray,
    ids: np.ndarray,
) -> None:
    """A unit's number: the sum of its characters times a factor for their place, mixed.

    Eight places are summed in every word, with factors that are 0 behind its end: where it ends cannot be predicted.
    """
    for k in range(starts.shape[0]):
        start, length = np.uint64(starts[k]), np.uint64(lengths[k])
        value = np.uint64(folded[start]) * by_place[0]
        if length > 1:
            factors = by_length[min(length, np.uint64(_MASKED_PLACES))]
            for place in range(1, _MASKED_PLACES):
                value += np.uint64(folded[start + np.uint64(place)]) * factors[place]
            for place in range(np.uint64(_MASKED_PLACES), length):
                value += np.uint64(folded[start + place]) * by_place[place & np.uint64(_NUM_PLACES - 1)]
        ids[k] = value
    for k in range(ids.shape[0]):  # spread over all 64 bits: the finaliser of MurmurHash3
        value = ids[k]
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
        value = (value ^ (value >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
        ids[k] = value ^ (value >> np.uint64(33))


@kernel
def _count_members(ids: np.ndarray, offsets: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Units of each text that stand in a table of buckets: (texts,), int64."""
    counts = np.zeros(offsets.shape[0] - 1, np.int64)
    mask = np.uint64(table.shape[0] - 1)
    for text in range(offsets.shape[0] - 1):
        part = ids[offsets[text] : offsets[text + 1]]  # an index from 0 on is not looked at for being negative
        count = 0
        for i in range(part.shape[0]):
            unit = part[i]
            row = unit & mask
            count += (
                (table[row, 0] == unit) | (table[row, 1] == unit) | (table[row, 2] == unit) | (table[row, 3] == unit)
            )
        counts[text] = count
    return counts
