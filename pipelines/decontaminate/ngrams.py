"""Finds millions of n-grams in the units of a batch: a filter of their parts says no at nearly every place.

The index of `signals/phrases.py` is for some hundred short phrases: its heads of two or three units let ordinary text
through where there are a million n-grams, and it looks at every unit, this one at every fifth (n-grams of 10 units and
more, parts of 6).
"""

from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.words import Units

_BASE = 0x9E3779B97F4A7C15  # odd multiplier of the rolling polynomial mod 2**64 over well mixed unit numbers
MAX_HEAD_UNITS = 6  # three characters of an n-gram are ordinary text, six hardly ever; chosen
_BITS_PER_GRAM = 32  # of a filter with two bits each, both in one word: 0.4 % let through by chance; chosen


@dataclass(frozen=True)
class NgramTable:
    """Distinct n-grams by hash; a gram's number is its row in `hashes`."""

    hashes: np.ndarray
    """(grams,), uint64, ascending"""
    sizes: np.ndarray
    """(distinct lengths,), int64, ascending"""
    heads: np.ndarray
    """(a power of two,), uint64: filter of the hashes of heads, all sequences of `head_units` units in the grams"""
    grams: np.ndarray
    """(a power of two,), uint64: filter of `hashes`"""
    head_units: int

    @classmethod
    def build(cls, units: Units, starts: np.ndarray, sizes: np.ndarray) -> "NgramTable":
        """A table of the unit sequences that begin at `starts` and are `sizes` long, at least 1."""
        hashes = np.unique(hash_grams(units.ids, starts, sizes))
        head_units = int(min(sizes.min(initial=MAX_HEAD_UNITS), MAX_HEAD_UNITS))
        within = np.zeros(len(units.ids) + 1, np.int64)  # grams in which a head may begin at this unit
        np.add.at(within, starts, 1)
        np.add.at(within, starts + sizes - head_units + 1, -1)
        places = np.flatnonzero(np.cumsum(within))
        heads = np.unique(hash_grams(units.ids, places, np.full(len(places), head_units)))
        return cls(hashes, np.unique(sizes), _filter(heads), _filter(hashes), head_units)

    def find(self, units: Units) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Every occurrence within one text: first unit, units, and number of the gram; (matches,), int64 each."""
        matches = np.empty((1024, 3), np.int64)  # enough for ordinary text; else it is searched a second time
        found = 0
        if len(self.hashes):
            table = (self.hashes, self.sizes, self.heads, self.grams, self.head_units)
            found = _find(units.ids, units.offsets, *table, matches)
            if found > len(matches):
                matches = np.empty((found, 3), np.int64)
                _find(units.ids, units.offsets, *table, matches)
        return matches[:found, 0], matches[:found, 1], matches[:found, 2]


@kernel
def hash_grams(ids: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Hashes of the sequences of `ids` that begin at `starts` and are `sizes` long: uint64."""
    hashes = np.zeros(starts.shape[0], np.uint64)
    for gram in range(starts.shape[0]):
        for at in range(starts[gram], starts[gram] + sizes[gram]):
            hashes[gram] = hashes[gram] * np.uint64(_BASE) + ids[at]
    return hashes


def _filter(hashes: np.ndarray) -> np.ndarray:
    words = np.zeros(1 << max(4, (_BITS_PER_GRAM * len(hashes) // 64).bit_length()), np.uint64)
    _fill(words, hashes)
    return words


@kernel
def _bits_of(value: np.uint64) -> np.uint64:
    """The two bits of a hash in its word."""
    return (np.uint64(1) << ((value >> np.uint64(58)) & np.uint64(63))) | (
        np.uint64(1) << ((value >> np.uint64(52)) & np.uint64(63))
    )


@kernel
def _fill(words: np.ndarray, hashes: np.ndarray) -> None:
    for value in hashes:
        words[(value >> np.uint64(20)) & np.uint64(words.shape[0] - 1)] |= _bits_of(value)


@kernel
def _may_hold(words: np.ndarray, value: np.uint64) -> bool:
    bits = _bits_of(value)
    return bool(words[(value >> np.uint64(20)) & np.uint64(words.shape[0] - 1)] & bits == bits)


@kernel
def _find(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    sizes: np.ndarray,
    heads: np.ndarray,
    grams: np.ndarray,
    head_units: int,
    matches: np.ndarray,
) -> int:
    """How many matches there are; writes as many as `matches` has room for.

    Every gram in the text holds a head that begins at a multiple of `stride`, so only these are looked up.
    """
    found = 0
    stride = sizes[0] - head_units + 1
    for text in range(offsets.shape[0] - 1):
        begin, end = offsets[text], offsets[text + 1]
        for at in range(begin, end - head_units + 1, stride):
            value = np.uint64(0)
            for k in range(head_units):
                value = value * np.uint64(_BASE) + ids[at + k]
            if _may_hold(heads, value):
                for start in range(max(begin, at - stride + 1), at + 1):
                    found = _find_at(ids[start:end], start, hashes, sizes, grams, matches, found)
    return found


@kernel
def _find_at(  # noqa: PLR0917 - a kernel takes its arrays by position
    ids: np.ndarray,
    at: int,
    hashes: np.ndarray,
    sizes: np.ndarray,
    grams: np.ndarray,
    matches: np.ndarray,
    found: int,
) -> int:
    """Looks up the grams of every size that begin with `ids`; `found` and how many of them there are."""
    value, read = np.uint64(0), 0
    for size in sizes:
        if size > ids.shape[0]:
            break
        while read < size:
            value = value * np.uint64(_BASE) + ids[read]
            read += 1
        if not _may_hold(grams, value):
            continue
        row = np.searchsorted(hashes, value)
        if row < hashes.shape[0] and hashes[row] == value:
            if found < matches.shape[0]:
                matches[found, 0], matches[found, 1], matches[found, 2] = at, size, row
            found += 1
    return found
