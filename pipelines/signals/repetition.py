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
    table, keys, distinct = _empty_table(most), np.empty(most + 1, np.uint64), np.empty(most + 1, np.uint64)
    positions, ranks = np.empty(most + 1, np.uint32), np.empty(most + 1, np.uint32)
    counts, is_first = np.empty(most + 1, np.int32), np.empty(most + 1, np.bool_)
    ends, covered, covered_to = np.zeros(most + 1, np.int32), np.empty(most + 1, np.int32), np.empty(most + 1, np.int32)
    base = np.uint32(1)
    for text in range(offsets.shape[0] - 1):
        num_units = offsets[text + 1] - offsets[text]
        if num_units == 0:
            continue
        part = slice(offsets[text], offsets[text + 1])
        _sum_lengths(lengths[part], ends)
        base = _first_free(base, num_units, table)
        grams = _rank(ids[part], table, base, ranks, counts, distinct)
        base += np.uint32(grams)
        out[text, 0] = grams / num_units
        for i in range(num_units):
            positions[i] = i
        kept = _keep_repeated(positions, ranks, counts, is_first, num_units)
        for size in range(2, 11):
            pairs = _pair_up(positions, ranks, kept, keys)
            if pairs == 0:
                break
            base = _first_free(base, pairs, table)
            grams = _rank(keys[:pairs], table, base, ranks, counts, distinct)
            base += np.uint32(grams)
            if grams == pairs:
                break
            kept = _keep_repeated(positions, ranks, counts, is_first, pairs)
            if size <= 4:
                top = _top_chars(positions[:kept], ranks, grams, ends, size, covered, covered_to)
                out[text, size - 1] = top / ends[num_units]
            else:
                out[text, size - 1] = _repeated_chars(positions[:kept], is_first, ends, size) / ends[num_units]


@kernel
def _empty_table(most: int) -> np.ndarray:
    slots = 4
    while 2 * slots < 3 * most:
        slots *= 2
    return np.zeros(slots, np.uint32)


@kernel
def _first_free(base: np.uint32, count: int, table: np.ndarray) -> np.uint32:
    """The `base` for `count` more numbers; 1 and an empty table where they would not fit 32 bits."""
    if np.int64(base) + count < 0xFFFFFFFF:
        return base
    table[:] = 0
    return np.uint32(1)


@kernel
def _sum_lengths(lengths: np.ndarray, ends: np.ndarray) -> None:
    """Characters before each unit; ends[0] is 0 already."""
    total = np.int32(0)
    for i in range(lengths.shape[0]):
        total += lengths[i]
        ends[i + 1] = total


@kernel
def _rank(  # noqa: PLR0917 - a kernel takes its arrays by position
    keys: np.ndarray,
    table: np.ndarray,
    base: np.uint32,
    ranks: np.ndarray,
    counts: np.ndarray,
    distinct: np.ndarray,
) -> int:
    """Numbers equal keys alike, from 0 in order of their first place; how many there are, and how often each stands.

    A slot holds `base` + a number, whose key is in `distinct`; one below `base` is left over from earlier and free.
    Four bytes a slot and the distinct keys side by side stay in the first-level cache for most texts. The key stands
    at the next new number before it is looked up, so a free slot is found like a known key, by one comparison.
    """
    slots = 4
    shift = np.uint64(62)
    while 2 * slots < 3 * keys.shape[0]:
        slots *= 2
        shift -= np.uint64(1)
    mask = np.uint64(slots - 1)
    used = np.uint32(0)
    for i in range(keys.shape[0]):
        key = keys[i]
        distinct[used] = key
        counts[used] = 0
        slot = (key * np.uint64(0x9E3779B97F4A7C15)) >> shift
        held = table[slot]
        rank = np.uint32(held - base) if held >= base else used
        while distinct[rank] != key:
            slot = (slot + np.uint64(1)) & mask
            held = table[slot]
            rank = np.uint32(held - base) if held >= base else used
        table[slot] = base + rank
        counts[rank] += 1
        ranks[i] = rank
        used = np.uint32(used + np.uint32(held < base))
    return int(used)


@kernel
def _keep_repeated(positions: np.ndarray, ranks: np.ndarray, counts: np.ndarray, is_first: np.ndarray, num: int) -> int:
    """Keeps, in place, the n-grams that stand more than once; whether each stands there first. How many they are."""
    kept = fresh = np.uint32(0)
    for k in range(np.uint32(num)):
        rank = ranks[k]
        is_new = rank == fresh  # numbers grow, so a first place has the next new number
        positions[kept], ranks[kept], is_first[kept] = positions[k], rank, is_new
        fresh = np.uint32(fresh + np.uint32(is_new))
        kept = np.uint32(kept + np.uint32(counts[rank] > 1))
    return int(kept)


@kernel
def _pair_up(positions: np.ndarray, ranks: np.ndarray, num: int, keys: np.ndarray) -> int:
    """Keeps, in place, where two repeated (n-1)-grams stand one unit apart; their pair is the n-gram's key."""
    kept = np.uint32(0)
    for k in range(max(num - 1, 0)):
        at = positions[k]
        follows = positions[k + 1] == at + 1
        positions[kept] = at
        keys[kept] = (np.uint64(ranks[k]) << np.uint64(32)) | np.uint64(ranks[k + 1])
        kept = np.uint32(kept + np.uint32(follows))
    return int(kept)


@kernel
def _top_chars(  # noqa: PLR0917 - a kernel takes its arrays by position
    positions: np.ndarray,
    ranks: np.ndarray,
    num_grams: int,
    ends: np.ndarray,
    size: int,
    covered: np.ndarray,
    covered_to: np.ndarray,
) -> int:
    """Characters that the most covering repeated n-gram covers, overlaps of its own occurrences once."""
    covered[:num_grams] = 0
    covered_to[:num_grams] = 0
    top = np.int32(0)
    for k in range(positions.shape[0]):
        rank, at = ranks[k], positions[k]
        end = ends[at + np.uint32(size)]
        chars = covered[rank] + end - max(ends[at], covered_to[rank])
        covered[rank] = chars
        covered_to[rank] = end
        top = max(top, chars)
    return int(top)


@kernel
def _repeated_chars(positions: np.ndarray, is_first: np.ndarray, ends: np.ndarray, size: int) -> int:
    """Characters in n-grams that stand earlier too."""
    total = done = np.int32(0)
    for k in range(positions.shape[0]):
        at = positions[k]
        end = ends[at + np.uint32(size)]
        total += 0 if is_first[k] else end - max(ends[at], done)
        done = done if is_first[k] else end
    return int(total)
