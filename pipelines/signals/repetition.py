"""Repetition inside a text: how much one n-gram covers, how much was said before. Units are those of `words`.

Exact up to equal 64-bit numbers of units. An n-gram is the pair of its two (n-1)-grams, so each n numbers pairs of
numbers, and only where both of them are repeated: natural text costs about three passes instead of ten. The passes have
no branch that depends on whether an n-gram is new, which no processor predicts.
"""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.words import Units

TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)  # sizes of Gopher (arXiv 2112.11446, appendix A1.1)

COLUMNS = (
    "distinct_word_share",
    *(f"top_{n}gram_share" for n in TOP_SIZES),
    *(f"duplicate_{n}gram_share" for n in DUPLICATE_SIZES),
)


def measure_repetition(units: Units) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64.

    top_n: the largest share of unit characters that the occurrences of one repeated n-gram cover, overlaps once.
    duplicate_n: the share of unit characters in n-grams that stand earlier in the text, overlaps once. The first
    occurrence is free, so a text written twice has 0.5.
    """
    values = np.zeros((len(units.offsets) - 1, len(COLUMNS)))
    _measure(units.ids, units.lengths, units.offsets, values)
    return {name: values[:, column] for column, name in enumerate(COLUMNS)}


@kernel
def _measure(ids: np.ndarray, lengths: np.ndarray, offsets: np.ndarray, out: np.ndarray) -> None:
    most = 0
    for text in range(offsets.shape[0] - 1):
        most = max(most, offsets[text + 1] - offsets[text])
    table = np.zeros((_num_slots(most), 2), np.uint64)
    positions, ranks = np.empty(most + 1, np.uint32), np.empty(most + 1, np.uint32)
    counts, ends = np.empty(most + 1, np.int32), np.zeros(most + 1, np.int32)
    covered, covered_to = np.empty(most + 1, np.int32), np.empty(most + 1, np.int32)
    keys = np.empty(most + 1, np.uint64)
    base = np.uint64(1)
    for text in range(offsets.shape[0] - 1):
        num_units = offsets[text + 1] - offsets[text]
        if num_units == 0:
            continue
        part = slice(offsets[text], offsets[text + 1])
        _sum_lengths(lengths[part], ends)
        total = ends[num_units]
        distinct = _rank(ids[part], table, base, ranks, counts)
        base += np.uint64(distinct)
        out[text, 0] = distinct / num_units
        for i in range(num_units):
            positions[i] = i
        kept = num_units
        for size in range(2, 11):
            kept = _pair_up(positions, ranks, counts, kept, keys)
            if kept == 0:
                break
            grams = _rank(keys[:kept], table, base, ranks, counts)
            base += np.uint64(grams)
            if grams == kept:
                break
            if size <= 4:
                top = _top_chars(positions, ranks, counts, kept, grams, ends, size, covered, covered_to)
                out[text, size - 1] = top / total
            else:
                out[text, size - 1] = _repeated_chars(positions, ranks, kept, ends, size) / total


@kernel
def _num_slots(count: int) -> int:
    slots = 4
    while 2 * slots < 3 * count:
        slots *= 2
    return slots


@kernel
def _sum_lengths(lengths: np.ndarray, ends: np.ndarray) -> None:
    """Characters before each unit; ends[0] is 0 already."""
    total = np.int32(0)
    for i in range(lengths.shape[0]):
        total += lengths[i]
        ends[i + 1] = total


@kernel
def _rank(keys: np.ndarray, table: np.ndarray, base: np.uint64, ranks: np.ndarray, counts: np.ndarray) -> int:
    """Numbers equal keys alike, from 0 in order of their first place; how many there are, and how often each stands.

    A slot of the table holds a key and `base` + its number; one below `base` is left over from earlier and free.
    """
    slots = 4
    shift = np.uint64(62)
    while 2 * slots < 3 * keys.shape[0]:
        slots *= 2
        shift -= np.uint64(1)
    mask = np.uint64(slots - 1)
    used = np.uint64(0)
    for i in range(keys.shape[0]):
        key = keys[i]
        slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> shift
        while table[slot, 1] >= base and table[slot, 0] != key:
            slot = (slot + np.uint64(1)) & mask
        held = table[slot, 1]
        is_new = np.uint64(held < base)
        rank = used if held < base else held - base
        table[slot, 0] = key
        table[slot, 1] = base + rank
        counts[used] = 0
        counts[rank] += 1
        ranks[i] = rank
        used += is_new
    return int(used)


@kernel
def _pair_up(positions: np.ndarray, ranks: np.ndarray, counts: np.ndarray, num: int, keys: np.ndarray) -> int:
    """Keeps, in place, where two repeated (n-1)-grams stand one unit apart; their pair is the n-gram's key."""
    kept = 0
    for k in range(num - 1):
        first, second = ranks[k], ranks[k + 1]
        at = positions[k]
        follows = (positions[k + 1] == at + 1) & (counts[first] > 1) & (counts[second] > 1)
        positions[kept] = at
        keys[kept] = (np.uint64(first) << np.uint64(32)) | np.uint64(second)
        kept += follows
    return kept


@kernel
def _top_chars(  # noqa: PLR0917 - a kernel takes its arrays by position
    positions: np.ndarray,
    ranks: np.ndarray,
    counts: np.ndarray,
    num: int,
    num_grams: int,
    ends: np.ndarray,
    size: int,
    covered: np.ndarray,
    covered_to: np.ndarray,
) -> int:
    """Characters that the most covering repeated n-gram covers, overlaps of its own occurrences once."""
    covered[:num_grams] = 0
    covered_to[:num_grams] = 0
    for k in range(num):
        rank, at = ranks[k], positions[k]
        end = ends[at + size]
        begin = max(ends[at], covered_to[rank])
        covered[rank] += end - begin
        covered_to[rank] = end
    top = 0
    for rank in range(num_grams):
        top = max(top, covered[rank] if counts[rank] > 1 else 0)
    return top


@kernel
def _repeated_chars(positions: np.ndarray, ranks: np.ndarray, num: int, ends: np.ndarray, size: int) -> int:
    """Characters in n-grams that stand earlier too. Numbers grow, so a first place has the next new number."""
    total = done = 0
    fresh = 0
    for k in range(num):
        at = positions[k]
        if ranks[k] == fresh:
            fresh += 1
            continue
        total += ends[at + size] - max(ends[at], done)
        done = ends[at + size]
    return total
