"""Finds many phrases at once in the units of a batch: rolling hash, bitmap that says no, table that says which."""

from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.words import Units

_BASE = 0x9E3779B97F4A7C15  # odd multiplier of the rolling polynomial mod 2**64 over well mixed unit numbers
_HEAD_UNITS = 3  # heads of one to three units rule out nearly every position; measured on prose, 2026-11
_BITS_PER_PHRASE = 64  # at 16 the branch after it was mispredicted too often: 3 times slower, 2026-11


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
    """(a power of two,), bool: the same for heads, the first one to three units of every phrase"""
    head_sizes: np.ndarray
    """(distinct lengths of heads,), int64, ascending"""

    @classmethod
    def build(cls, units: Units, starts: np.ndarray, sizes: np.ndarray) -> "PhraseIndex":
        """An index over the unit sequences that begin at `starts` and are `sizes` long, at least 1."""
        hashes = np.unique(hash_phrases(units, starts, sizes))
        head_sizes = np.minimum(sizes, _HEAD_UNITS)
        heads = _bitmap(hash_phrases(units, starts, head_sizes))
        return cls(hashes, np.unique(sizes), _bitmap(hashes), heads, np.unique(head_sizes))

    def find(self, units: Units) -> Matches:
        """Every occurrence of every phrase that lies within one text."""
        matches = np.empty((1024, 3), np.int64)  # enough for ordinary text; else it is searched a second time
        found = 0
        if len(self.hashes):
            prefixes = _prefixes(units.ids)
            table = (self.hashes, self.sizes, self.bitmap, self.heads, self.head_sizes)
            found = _find(prefixes, units.offsets, *table, matches)
            if found > len(matches):
                matches = np.empty((found, 3), np.int64)
                _find(prefixes, units.offsets, *table, matches)
        matches = matches[:found]
        return Matches(matches[:, 0], matches[:, 1], matches[:, 2])


def _bitmap(hashes: np.ndarray) -> np.ndarray:
    bitmap = np.zeros(1 << max(10, (_BITS_PER_PHRASE * len(hashes)).bit_length()), bool)
    bitmap[(hashes >> np.uint64(40)).astype(np.int64) & (len(bitmap) - 1)] = True
    return bitmap


def hash_phrases(units: Units, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Hashes of the unit sequences that begin at `starts` and are `sizes` long: uint64."""
    prefixes = _prefixes(units.ids)
    powers = _powers(int(sizes.max(initial=0)))
    hashes: np.ndarray = prefixes[starts + sizes] - prefixes[starts] * powers[sizes]
    return hashes


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
    head_sizes: np.ndarray,
    matches: np.ndarray,
) -> int:
    """How many matches there are; writes as many as `matches` has room for."""
    powers = _powers(sizes[-1])
    found = 0
    for text in range(offsets.shape[0] - 1):
        for at in range(offsets[text], offsets[text + 1]):
            is_head = False
            for size in head_sizes:
                if at + size <= offsets[text + 1]:
                    is_head |= _may_hold(heads, prefixes[at + size] - prefixes[at] * powers[size])
            if not is_head:
                continue
            for size in sizes:
                if at + size > offsets[text + 1]:
                    break
                row = _row_of(hashes, bitmap, prefixes[at + size] - prefixes[at] * powers[size])
                if row >= 0 and found < matches.shape[0]:
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
    return int(row) if row < hashes.shape[0] and hashes[row] == value else -1
