"""Repetition inside a text: how much one n-gram covers, how much was said before. Units are those of `words`.

Exact up to equal 64-bit hashes. An n-gram can only be repeated where its two (n-1)-grams are, so each n looks at the
positions that n-1 left over: natural text costs about three passes instead of ten.
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
    num_texts = len(units.offsets) - 1
    values = np.zeros((num_texts, len(COLUMNS)))
    most = int(np.diff(units.offsets).max(initial=0))
    table = np.empty(2 * _power_of_two(most), np.int32)
    for text in range(num_texts):
        part = slice(units.offsets[text], units.offsets[text + 1])
        if part.stop > part.start:
            _measure_text(units.ids[part], units.lengths[part], table, values[text])
    return {name: values[:, column] for column, name in enumerate(COLUMNS)}


def _power_of_two(count: int) -> int:
    return 1 << max(count - 1, 1).bit_length()


@kernel
def _measure_text(ids: np.ndarray, lengths: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    num_units = ids.shape[0]
    ends = np.zeros(num_units + 1, np.int32)  # characters before each unit
    for i in range(num_units):
        ends[i + 1] = ends[i] + lengths[i]
    hashes = np.zeros(num_units, np.uint64)
    positions = np.arange(num_units).astype(np.int32)
    for size in range(1, 11):
        positions = _extend(hashes, ids, positions, size)
        repeated, distinct, top, duplicate = _count(hashes, positions, size, ends, table)
        if size == 1:
            out[0] = distinct / num_units
        elif size <= 4:
            out[size - 1] = top / ends[num_units]
        else:
            out[size - 1] = duplicate / ends[num_units]
        positions = repeated
        if positions.shape[0] == 0:
            break


@kernel
def _extend(hashes: np.ndarray, ids: np.ndarray, positions: np.ndarray, size: int) -> np.ndarray:
    """Positions where an n-gram of `size` may be repeated; their hashes grow by one unit in place."""
    kept = 0
    grown = np.empty(positions.shape[0], np.int32)
    for k in range(positions.shape[0]):
        at = positions[k]
        follows = size == 1 or (k + 1 < positions.shape[0] and positions[k + 1] == at + 1)
        if follows:
            value = ((hashes[at] << np.uint64(5)) | (hashes[at] >> np.uint64(59))) ^ ids[at + size - 1]
            value *= np.uint64(0x9E3779B97F4A7C15)
            hashes[at] = value ^ (value >> np.uint64(32))
            grown[kept] = at
            kept += 1
    return grown[:kept]


@kernel
def _count(
    hashes: np.ndarray, positions: np.ndarray, size: int, ends: np.ndarray, table: np.ndarray
) -> tuple[np.ndarray, int, int, int]:
    """Positions of repeated n-grams, distinct n-grams, characters the top one covers, characters said before."""
    slots = 4
    while slots < 2 * positions.shape[0]:
        slots *= 2
    table[:slots] = -1
    num_units = ends.shape[0] - 1
    covered = np.zeros(num_units, np.int32)  # by first position
    covered_to = np.zeros(num_units, np.int32)
    is_repeated = np.zeros(num_units, np.bool_)
    distinct = top = duplicate = duplicate_to = 0
    for k in range(positions.shape[0]):
        at = positions[k]
        slot = hashes[at] & np.uint64(slots - 1)
        while table[slot] >= 0 and hashes[table[slot]] != hashes[at]:
            slot = (slot + np.uint64(1)) & np.uint64(slots - 1)
        first = table[slot]
        if first < 0:
            table[slot] = at
            distinct += 1
            covered[at], covered_to[at] = ends[at + size] - ends[at], at + size
            continue
        is_repeated[at] = is_repeated[first] = True
        covered[first] += ends[at + size] - ends[max(at, covered_to[first])]
        covered_to[first] = at + size
        top = max(top, covered[first])
        duplicate += ends[at + size] - ends[max(at, duplicate_to)]
        duplicate_to = at + size
    repeated = np.empty(positions.shape[0], np.int32)
    kept = 0
    for k in range(positions.shape[0]):
        repeated[kept] = positions[k]
        kept += is_repeated[positions[k]]
    return repeated[:kept], distinct, top, duplicate
