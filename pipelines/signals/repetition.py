"""Repetition inside a text: how much one n-gram covers, how much was said before. Units are those of `words`.

Exact up to equal 64-bit numbers of units. Natural text repeats pairs of units and little else, so all pairs are counted
in buckets; how often the pairs inside an n-gram stand at most bounds what it can cover, and where one of them stands
once it is no repetition. Only the places that are left are looked up and compared: a twentieth for the n-grams that
cover most, a quarter for the 5-grams. Of these, each longer n-gram asks only whether the match goes on.
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

_BLOCK = 64  # places whose largest bound is noted; chosen
_FACTOR = 0x9E3779B97F4A7C15  # odd, 2**64 by the golden ratio (Knuth, TAOCP 3, 6.4)
_MOST_PAIRS = 0xFFFF  # a count of pairs goes no further, and then bounds nothing
_UNBOUNDED, _FREE = 0xFFFFFFFF, 0xFFFFFFFF


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
    seen, buckets = np.empty(1 << _table_bits(2 * most), np.uint64), np.empty(1 << _table_bits(8 * most), np.uint16)
    table, places_N, firsts_N = np.empty(len(seen), np.uint32), np.empty(most, np.uint32), np.empty(most, np.uint32)
    pairs_N, lows_N, bounds_N = np.empty(most, np.uint32), np.empty(most, np.uint32), np.empty(most, np.uint32)
    ends, peaks = np.zeros(most + 1, np.uint32), np.empty(most // _BLOCK + 1, np.uint32)
    more_N, covered_N = np.empty((2, most), np.uint32), np.empty((2, most), np.uint32)
    for text in range(offsets.shape[0] - 1):
        num_units = offsets[text + 1] - offsets[text]
        if num_units == 0:
            continue
        units = ids[offsets[text] : offsets[text + 1]]
        _sum_lengths(lengths[offsets[text] : offsets[text + 1]], ends)
        out[text, 0] = _count_distinct(units, seen) / num_units
        pairs, lows = pairs_N[: num_units - 1], lows_N[: num_units - 1]
        _count_pairs(units, buckets, pairs)
        lows[:] = pairs
        for size in range(2, min(num_units, 4) + 1):
            bounds = bounds_N[: num_units - size + 1]
            _bound(lows, pairs[size - 2 :], ends, ends[size:], bounds, peaks)
            top = _top_chars(units, bounds, peaks, ends, np.uint64(size), table, places_N, firsts_N, covered_N)
            out[text, size - 1] = top / ends[num_units]
        num = _list_unruled(bounds, places_N) if num_units > 4 else 0
        num = _keep_later(units, places_N[:num], np.uint64(5), table, firsts_N)
        for size in range(5, 11):
            if num == 0:
                break
            out[text, size - 1] = _covered_chars(places_N[:num], ends, size) / ends[num_units]
            num = _lengthen(units, places_N, firsts_N, num, np.uint64(size + 1), table, more_N)


@kernel
def _table_bits(num_slots: int) -> int:
    """The power of two of a table with at least so many slots."""
    bits = 2
    while (1 << bits) < num_slots:
        bits += 1
    return bits


@kernel
def _sum_lengths(lengths: np.ndarray, ends: np.ndarray) -> None:
    """Characters before each unit; ends[0] is 0 already."""
    total = np.uint32(0)
    for i in range(lengths.shape[0]):
        total += np.uint32(lengths[i])
        ends[i + 1] = total


@kernel
def _count_distinct(ids: np.ndarray, seen: np.ndarray) -> int:
    """How many numbers differ. They are well mixed, so their first bits are the slot; none is 0 but by chance."""
    bits = _table_bits(2 * ids.shape[0])
    table = seen[: 1 << bits]
    table[:] = 0
    shift, mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
    used = np.uint64(0)
    for i in range(ids.shape[0]):
        unit = ids[i]
        slot = unit >> shift
        held = table[slot]
        while held != unit and held != 0:  # noqa: PLR1714 - not `in`, which is slower
            slot = (slot + np.uint64(1)) & mask
            held = table[slot]
        used += np.uint64(held == 0)
        table[slot] = unit
    return int(np.int64(used))


@kernel
def _count_pairs(ids: np.ndarray, buckets: np.ndarray, pairs: np.ndarray) -> None:
    """How often each pair of neighbours stands, at most: as often as all pairs of its bucket."""
    bits = _table_bits(8 * ids.shape[0])
    counts = buckets[: 1 << bits]
    counts[:] = 0
    shift = np.uint32(32 - min(bits, 32))
    first, second = ids[:-1], ids[1:]
    for i in range(pairs.shape[0]):
        mixed = np.uint32(np.uint32(np.uint32(first[i]) * np.uint32(_FACTOR >> 32 | 1)) + np.uint32(second[i]))
        pairs[i] = mixed >> shift
    for i in range(pairs.shape[0]):
        counts[pairs[i]] += np.uint16(counts[pairs[i]] != _MOST_PAIRS)
    for i in range(pairs.shape[0]):
        pairs[i] = counts[pairs[i]]


@kernel
def _bound(  # noqa: PLR0917 - a kernel takes its arrays by position
    lows: np.ndarray, pairs: np.ndarray, begins: np.ndarray, ends: np.ndarray, bounds: np.ndarray, peaks: np.ndarray
) -> None:
    """Characters that the n-gram at each place covers at most, 0 where it stands once; the largest of each block.

    `lows`, how often the n-gram at each place stands at most, is that of the (n-1)-gram; its last pair is in `pairs`.
    """
    for i in range(bounds.shape[0]):
        low = lows[i] if lows[i] < pairs[i] else pairs[i]  # not min(), which does not run on vectors
        chars = np.uint32(ends[i] - begins[i])
        lows[i] = low
        bound = np.uint32(low * chars) if (low < _MOST_PAIRS) & (chars < _MOST_PAIRS) else np.uint32(_UNBOUNDED)
        bounds[i] = bound if low > 1 else np.uint32(0)
    for block in range((bounds.shape[0] + _BLOCK - 1) // _BLOCK):
        peak = np.uint32(0)
        part = bounds[block * _BLOCK : (block + 1) * _BLOCK]
        for i in range(part.shape[0]):
            peak = part[i] if part[i] > peak else peak
        peaks[block] = peak


@kernel
def _top_chars(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    bounds: np.ndarray,
    peaks: np.ndarray,
    ends: np.ndarray,
    size: np.uint64,
    table: np.ndarray,
    places: np.ndarray,
    firsts: np.ndarray,
    covered: np.ndarray,
) -> int:
    """Characters that the most covering repeated n-gram covers, overlaps of its own occurrences once.

    Equal n-grams have equal bounds, so a list of the places from a bound on holds all occurrences of what is in it.
    """
    best = np.uint32(0)
    for peak in peaks[: (bounds.shape[0] + _BLOCK - 1) // _BLOCK]:
        best = max(best, peak)
    top, limit = 0, np.uint32(best - best // np.uint32(4))  # mostly the best is among these, and no other can be
    while top < limit:
        num = _list_from(bounds, peaks, limit, places)
        _find_first(ids, places[:num], size, table, firsts)
        top = _most_covered(places[:num], firsts, ends, size, covered)
        limit = np.uint32(top + 1) if top < limit and limit > top + 1 else np.uint32(0)
    return top


@kernel
def _list_from(bounds: np.ndarray, peaks: np.ndarray, limit: np.uint32, places: np.ndarray) -> int:
    """Writes the places whose bound is at least `limit`; how many they are."""
    used = np.uint64(0)
    for block in range((bounds.shape[0] + _BLOCK - 1) // _BLOCK):
        if peaks[block] >= limit:
            for i in range(block * _BLOCK, min((block + 1) * _BLOCK, bounds.shape[0])):
                places[used] = i
                used += np.uint64(bounds[i] >= limit)
    return int(np.int64(used))


@kernel
def _most_covered(
    places: np.ndarray, firsts: np.ndarray, ends: np.ndarray, size: np.uint64, covered: np.ndarray
) -> int:
    """The most characters that equal n-grams cover, of those that stand twice."""
    top = np.uint32(0)
    for k in range(places.shape[0]):
        begin, end, first = ends[places[k]], ends[places[k] + size], firsts[k]
        if first == k:
            covered[0, k] = end - begin
        else:
            covered[0, first] += end - max(begin, covered[1, first])
            top = max(top, covered[0, first])
        covered[1, first] = end
    return int(top)


@kernel
def _list_unruled(bounds: np.ndarray, places: np.ndarray) -> int:
    """Writes where the 5-gram may be repeated, because both its 4-grams may; how many places they are."""
    used = np.uint64(0)
    this, following = bounds[:-1], bounds[1:]
    for i in range(this.shape[0]):
        places[used] = i
        used += np.uint64((this[i] != 0) & (following[i] != 0))  # not min(), which makes a branch of it
    return int(np.int64(used))


@kernel
def _find_first(ids: np.ndarray, places: np.ndarray, size: np.uint64, table: np.ndarray, firsts: np.ndarray) -> None:
    """For each n-gram of a list the first in it that is equal, unit by unit, by its number in the list."""
    bits = _table_bits(2 * places.shape[0])
    slots = table[: 1 << bits]
    slots[:] = _FREE
    shift, mask = np.uint64(64 - bits), np.uint64((1 << bits) - 1)
    for k in range(places.shape[0]):
        at = np.uint64(places[k])
        value = np.uint64(0)
        for place in range(size):
            value = (value + ids[at + place]) * np.uint64(_FACTOR)
        slot = value >> shift
        first = min(slots[slot], np.uint32(k))  # where the slot is free, the n-gram itself: a branch less to predict
        while not _equal(ids, np.uint64(places[first]), at, size):
            slot = (slot + np.uint64(1)) & mask
            first = min(slots[slot], np.uint32(k))
        slots[slot] = firsts[k] = first


@kernel
def _equal(ids: np.ndarray, one: np.uint64, other: np.uint64, size: np.uint64) -> bool:
    difference = np.uint64(0)
    for place in range(size):
        difference |= ids[one + place] ^ ids[other + place]
    return bool(difference == 0)


@kernel
def _keep_later(ids: np.ndarray, places: np.ndarray, size: np.uint64, table: np.ndarray, firsts: np.ndarray) -> int:
    """Keeps, in place, the n-grams that stand in the list before, and writes where first; how many they are."""
    _find_first(ids, places, size, table, firsts)
    for k in range(places.shape[0]):
        firsts[k] = places[firsts[k]]
    kept = np.uint64(0)
    for k in range(places.shape[0]):
        place, first = places[k], firsts[k]
        places[kept], firsts[kept] = place, first
        kept += np.uint64(first != place)
    return int(np.int64(kept))


@kernel
def _covered_chars(places: np.ndarray, ends: np.ndarray, size: int) -> int:
    """Characters in the n-grams at `places`, overlaps once."""
    total = done = np.uint32(0)
    for k in range(places.shape[0]):
        end = ends[places[k] + np.uint64(size)]
        total += end - max(ends[places[k]], done)
        done = end
    return int(total)


@kernel
def _lengthen(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    places: np.ndarray,
    firsts: np.ndarray,
    num: int,
    size: np.uint64,
    table: np.ndarray,
    more: np.ndarray,
) -> int:
    """From the (n-1)-grams that stand before to such n-grams, in place; how many they are.

    Where an n-gram goes on as its first (n-1)-gram does, that is its first place too. Those that do not can only be
    equal among themselves.
    """
    last, stop = size - np.uint64(1), np.int64(num)
    if places[stop - 1] + size > ids.shape[0]:
        stop -= 1
    kept = others = np.uint64(0)
    for k in range(stop):
        at, first = np.uint64(places[k]), np.uint64(firsts[k])
        goes_on = ids[at + last] == ids[first + last]
        more[0, others], places[kept], firsts[kept] = at, at, first
        others += np.uint64(not goes_on)
        kept += np.uint64(goes_on)
    found = _keep_later(ids, more[0, :others], size, table, more[1])
    return int(_merge(places, firsts, np.int64(kept), more[:, :found]))


@kernel
def _merge(places: np.ndarray, firsts: np.ndarray, num: int, more: np.ndarray) -> int:
    """Puts a second list into the first `num`, both in order of their places; how many there are then."""
    left, right = num - 1, more.shape[1] - 1
    for k in range(num + more.shape[1] - 1, -1, -1):
        if right < 0:
            break
        if left >= 0 and places[left] > more[0, right]:
            places[k], firsts[k] = places[left], firsts[left]
            left -= 1
        else:
            places[k], firsts[k] = more[0, right], more[1, right]
            right -= 1
    return int(num + more.shape[1])
