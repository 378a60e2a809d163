"""Finds many phrases at once in the units of a batch: some hundred terms of a list, or a million n-grams.

A filter of their heads, a few units long, says no at nearly every place. Where all phrases are longer than a head, only
one place in so many is looked at, because a phrase holds several heads; and since one head may be there by chance, but
hardly those beside it too, these are asked for before any phrase is looked up.

Chinese text against 433 phrases at 950 MB/s of CPU, against a million n-grams at 700 (2026-11-25, a busy machine).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.words import Units, units_of

_BASE = 0x9E3779B97F4A7C15  # odd multiplier of the rolling polynomial mod 2**64 over well mixed unit numbers
_MAX_HEAD_UNITS = 3  # at every place, more would rule out little more; chosen
_MAX_SPARSE_HEAD_UNITS = 5  # 6 is as fast against a million n-grams, 7 and 8 are slower, 2026-11-25
_BITS_PER_HASH = 256  # of a filter; half as many candidates as at 64, a sixth less time; 512 is no faster, 2026-11
_BITS_PER_HASH_IF_MANY = 8  # a million n-grams then take 1 MiB, near the core: twice as fast as 32, 2026-11-25
_MANY = 1 << 14  # a filter of 512 KiB at 256 bits; chosen
_BLOCK = 2048  # places whose candidates are listed, then looked up; chosen


@dataclass(frozen=True)
class Matches:
    """Where phrases stand, in order of their first unit; longer phrases that start at the same unit come later."""

    starts: np.ndarray
    """(matches,), int64: unit of the batch"""
    lengths: np.ndarray
    """(matches,), int64, units"""
    phrases: np.ndarray
    """(matches,), int64: number of the phrase"""

    def renumbered(self, rows: np.ndarray) -> "Matches":
        """Those whose phrase has another number in `rows`, not -1, with it: what one of several lists would find."""
        phrases = rows[self.phrases]
        is_listed = phrases >= 0
        return Matches(self.starts[is_listed], self.lengths[is_listed], phrases[is_listed])


@dataclass(frozen=True)
class PhraseIndex:
    """Distinct phrases by hash; a phrase's number is its row in `hashes`."""

    hashes: np.ndarray
    """(phrases,), uint64, ascending"""
    sizes: np.ndarray
    """(distinct lengths,), int64, ascending"""
    known: np.ndarray
    """(a power of two,), uint64: filter of `hashes`"""
    singles: np.ndarray
    """(a power of two,), uint64: the same for the phrases of one unit"""
    heads: np.ndarray
    """(a power of two,), uint64: the same for the heads of the others, at each of their first `stride` units"""
    head_units: int
    """At least 2; the shortest phrase of more than one unit bounds it"""
    stride: int
    """One place in so many is looked at: a phrase holds as many heads"""

    @classmethod
    def build(cls, units: Units, starts: np.ndarray, sizes: np.ndarray) -> "PhraseIndex":
        """An index over the unit sequences that begin at `starts` and are `sizes` long, at least 1."""
        hashes = np.unique(hash_phrases(units, starts, sizes))
        is_single = sizes == 1
        shortest = int(sizes[~is_single].min()) if not is_single.all() else _MAX_HEAD_UNITS
        head_units, stride = min(shortest, _MAX_HEAD_UNITS), 1
        if shortest > _MAX_SPARSE_HEAD_UNITS and not is_single.any():
            head_units = _MAX_SPARSE_HEAD_UNITS
            stride = shortest - head_units + 1
        places = np.unique(np.add.outer(starts[~is_single], np.arange(stride)))
        heads = hash_phrases(units, places, np.full(len(places), head_units))
        singles = hash_phrases(units, starts[is_single], sizes[is_single])
        filters = _filter(hashes), _filter(singles), _filter(heads)
        return cls(hashes, np.unique(sizes), *filters, head_units, stride)

    @classmethod
    def of_terms(cls, terms: Sequence[str]) -> "PhraseIndex":
        """An index over terms; one without units, of symbols alone, can be nowhere and is left out."""
        units = units_of(list(terms))
        sizes = np.diff(units.offsets)
        return cls.build(units, units.offsets[:-1][sizes > 0], sizes[sizes > 0])

    def rows_in(self, part: "PhraseIndex") -> np.ndarray:
        """The number that each phrase has in `part`, -1 where it has none: (phrases,), int64."""
        return np.where(np.isin(self.hashes, part.hashes), np.searchsorted(part.hashes, self.hashes), -1)

    def find(self, units: Units) -> Matches:
        """Every occurrence of every phrase that lies within one text."""
        matches = np.empty((3, 1024 + len(units.ids) // 16), np.int64)
        found = self._write(units, matches)
        if found > matches.shape[1]:
            matches = np.empty((3, found), np.int64)
            self._write(units, matches)
        return Matches(matches[0, :found], matches[1, :found], matches[2, :found])

    def _write(self, units: Units, matches: np.ndarray) -> int:
        """How many matches there are; writes as many as `matches` has room for."""
        texts, table = (units.ids, units.offsets), (self.hashes, self.sizes, self.known)
        if not len(self.hashes):
            return 0
        if self.stride == 1:
            return int(_find_at_all(*texts, *table, self.singles, self.heads, self.head_units, matches))
        return int(_find_at_some(*texts, *table, self.heads, self.head_units, self.stride, matches))


def hash_phrases(units: Units, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Hashes of the unit sequences that begin at `starts` and are `sizes` long: uint64."""
    hashes: np.ndarray = _hash(units.ids, starts, sizes)
    return hashes


def _filter(hashes: np.ndarray) -> np.ndarray:
    bits = _BITS_PER_HASH_IF_MANY if len(hashes) > _MANY else _BITS_PER_HASH
    words = np.zeros(1 << max(4, (bits * len(hashes) // 64).bit_length()), np.uint64)
    _fill(words, hashes)
    return words


@kernel
def _hash(ids: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    hashes = np.zeros(starts.shape[0], np.uint64)
    for phrase in range(starts.shape[0]):
        for at in range(starts[phrase], starts[phrase] + sizes[phrase]):
            hashes[phrase] = hashes[phrase] * np.uint64(_BASE) + ids[at]
    return hashes


@kernel
def _fill(words: np.ndarray, hashes: np.ndarray) -> None:
    for value in hashes:
        words[(value >> np.uint64(20)) & np.uint64(words.shape[0] - 1)] |= np.uint64(1) << (value >> np.uint64(58))


@kernel
def _may_hold(words: np.ndarray, value: np.uint64) -> bool:
    word = words[(value >> np.uint64(20)) & np.uint64(words.shape[0] - 1)]
    return bool((word >> (value >> np.uint64(58))) & np.uint64(1))


@kernel
def _find_at_all(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    sizes: np.ndarray,
    known: np.ndarray,
    singles: np.ndarray,
    heads: np.ndarray,
    head_units: int,
    matches: np.ndarray,
) -> int:
    """Looks at every place; heads have 2 or 3 units. How many matches there are; writes what `matches` has room for."""
    found = text = 0
    places = np.empty(_BLOCK, np.uint32)
    for start in range(0, ids.shape[0], _BLOCK):
        block = ids[start : start + _BLOCK + head_units - 1]
        num = _list_candidates(block, min(_BLOCK, ids.shape[0] - start), singles, heads, head_units, places)
        for k in range(num):
            at = start + np.int64(places[k])
            while offsets[text + 1] <= at:
                text += 1
            found = _find_at(ids[at : offsets[text + 1]], at, hashes, sizes, known, matches, found)
    return found


@kernel
def _list_candidates(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray, num: int, singles: np.ndarray, heads: np.ndarray, head_units: int, places: np.ndarray
) -> int:
    """Writes which of `num` places may begin a phrase, whatever text it ends in; how many they are.

    Without a branch: a candidate in twenty is too few to predict and too many to miss.
    """
    used = np.uint64(0)
    num_heads = min(num, max(ids.shape[0] - head_units + 1, 0))
    for at in range(num_heads):
        head = ids[at] * np.uint64(_BASE) + ids[at + 1]
        if head_units > 2:
            head = head * np.uint64(_BASE) + ids[at + 2]
        places[used] = at
        used += np.uint64(_may_hold(singles, ids[at]) | _may_hold(heads, head))
    for at in range(num_heads, num):
        places[used] = at
        used += np.uint64(1)
    return int(used)


@kernel
def _is_head(heads: np.ndarray, ids: np.ndarray) -> bool:
    """Whether `ids` may be the head of a phrase."""
    value = np.uint64(0)
    for unit in ids:
        value = value * np.uint64(_BASE) + unit
    return bool(_may_hold(heads, value))


@kernel
def _last_head(heads: np.ndarray, ids: np.ndarray, last: int, wanted: int, head_units: int) -> int:
    """The last place up to `wanted` such that all after `last`, which is a head, are heads too."""
    while last < wanted and last + head_units < ids.shape[0] and _is_head(heads, ids[last + 1 : last + 1 + head_units]):
        last += 1
    return last


@kernel
def _find_at_some(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    sizes: np.ndarray,
    known: np.ndarray,
    heads: np.ndarray,
    head_units: int,
    stride: int,
    matches: np.ndarray,
) -> int:
    """Looks at one place in `stride`. How many matches there are; writes what `matches` has room for."""
    found = 0
    for text in range(offsets.shape[0] - 1):
        begin, end = offsets[text], offsets[text + 1]
        for at in range(begin, end - head_units + 1, stride):
            if not _is_head(heads, ids[at : at + head_units]):
                continue
            first = last = at  # all places from first to last are heads
            while first > max(begin, at - stride + 1) and _is_head(heads, ids[first - 1 : first - 1 + head_units]):
                first -= 1
            for start in range(first, at + 1):
                last = _last_head(heads, ids[:end], last, start + stride - 1, head_units)
                if last < start + stride - 1:
                    break
                found = _find_at(ids[start:end], start, hashes, sizes, known, matches, found)
    return found


@kernel
def _find_at(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    at: int,
    hashes: np.ndarray,
    sizes: np.ndarray,
    known: np.ndarray,
    matches: np.ndarray,
    found: int,
) -> int:
    """Looks up the phrases of every size that begin with `ids`; `found` and how many of them there are."""
    value, read = np.uint64(0), 0
    for size in sizes:
        if size > ids.shape[0]:
            break
        while read < size:
            value = value * np.uint64(_BASE) + ids[read]
            read += 1
        if not _may_hold(known, value):
            continue
        row = np.searchsorted(hashes, value)
        if row < hashes.shape[0] and hashes[row] == value:
            if found < matches.shape[1]:
                matches[0, found], matches[1, found], matches[2, found] = at, size, row
            found += 1
    return found
