"""Finds many phrases at once in the units of a batch: one rolling hash, a bitmap that says no, a table that says which."""

from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.words import Units

_BASE = 0x9E3779B97F4A7C15  # odd multiplier of the rolling polynomial mod 2**64 over well mixed unit numbers
_BITS_PER_PHRASE = 16  # bitmap density: one in sixteen lookups goes on to the table; chosen, untested


@dataclass(frozen=True)
class Matches:
    """Where phrases stand, in order of their first unit; longer phrases that start at the same unit come later."""

    starts: np.ndarray
    """(matches,), int64: unit of the batch"""
    lengths: np.ndarray
    """(matches,), int64, units"""
    phrases: np.ndarray
    """(matches,), int64: number of the phrase"""


@dataclass(frozen=True)
class PhraseIndex:
    """Distinct phrases by hash; a phrase's number is its row in `hashes`."""

    hashes: np.ndarray
    """(phrases,), uint64, ascending"""
    sizes: np.ndarray
    """(distinct lengths,), int64, ascending"""
    bitmap: np.ndarray
    """(a power of two,), bool: where some phrase's hash may be"""
    heads: np.ndarray
    """(a power of two,), bool: the same for the first `sizes[0]` units of every phrase"""

    @classmethod
    def build(cls, units: Units, starts: np.ndarray, sizes: np.ndarray) -> "PhraseIndex":
        """An index over the unit sequences that begin at `starts` and are `sizes` long, at least 1."""
        hashes = np.unique(hash_phrases(units, starts, sizes))
        heads = hash_phrases(units, starts, np.full(len(sizes), sizes.min(initial=1 << 30)))
        return cls(hashes, np.unique(sizes).astype(np.int64), _bitmap(hashes), _bitmap(heads))

    def find(self, units: Units) -> Matches:
        """Every occurrence of every phrase that lies within one text."""
        matches = np.empty((0, 3), np.int64)
        if len(self.hashes):
            prefixes = _prefixes(units.ids)
            table = (self.hashes, self.sizes, self.bitmap, self.heads)
            matches = np.empty((_find(prefixes, units.offsets, *table, matches), 3), np.int64)
            if len(matches):
                _find(prefixes, units.offsets, *table, matches)
        return Matches(matches[:, 0], matches[:, 1], matches[:, 2])


def _bitmap(hashes: np.ndarray) -> np.ndarray:
    bitmap = np.zeros(1 << max(10, (_BITS_PER_PHRASE * len(hashes)).bit_length()), bool)
    bitmap[(hashes >> np.uint64(40)).astype(np.int64) & (len(bitmap) - 1)] = True
    return bitmap


def hash_phrases(units: Units, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Hashes of the unit sequences that begin at `starts` and are `sizes` long: uint64."""
    prefixes = _prefixes(units.ids)
    powers = _powers(int(sizes.max(initial=0)))
    return prefixes[starts + sizes] - prefixes[starts] * powers[sizes]


@kernel
def _prefixes(ids: np.ndarray) -> np.ndarray:
    prefixes = np.zeros(ids.shape[0] + 1, np.uint64)
    for i in range(ids.shape[0]):
        prefixes[i + 1] = prefixes[i] * np.uint64(_BASE) + ids[i]
    return prefixes


@kernel
def _powers(largest: int) -> np.ndarray:
    powers = np.ones(largest + 1, np.uint64)
    for i in range(largest):
        powers[i + 1] = powers[i] * np.uint64(_BASE)
    return powers


@kernel
def _find(  # noqa: PLR0917 - a kernel takes its arrays by position
    prefixes: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    sizes: np.ndarray,
    bitmap: np.ndarray,
    heads: np.ndarray,
    matches: np.ndarray,
) -> int:
    """How many matches there are; writes them when `matches` has room for them."""
    powers = _powers(sizes[-1])
    found = 0
    for text in range(offsets.shape[0] - 1):
        for at in range(offsets[text], offsets[text + 1] - sizes[0] + 1):
            if not _may_hold(heads, prefixes[at + sizes[0]] - prefixes[at] * powers[sizes[0]]):
                continue
            for size in sizes:
                if at + size > offsets[text + 1]:
                    break
                row = _row_of(hashes, bitmap, prefixes[at + size] - prefixes[at] * powers[size])
                if row >= 0 and matches.shape[0]:
                    matches[found, 0], matches[found, 1], matches[found, 2] = at, size, row
                found += row >= 0
    return found


@kernel
def _may_hold(bitmap: np.ndarray, value: np.uint64) -> bool:
    return bool(bitmap[(value >> np.uint64(40)) & np.uint64(bitmap.shape[0] - 1)])


@kernel
def _row_of(hashes: np.ndarray, bitmap: np.ndarray, value: np.uint64) -> int:
    """Row of `value` in ascending `hashes`, -1 when it is not there."""
    if not _may_hold(bitmap, value):
        return -1
    row = np.searchsorted(hashes, value)
    return row if row < hashes.shape[0] and hashes[row] == value else -1
