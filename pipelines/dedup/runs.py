"""Runs of words as hashes: what finds long exact substrings that English documents share.

A window of the wanted length at every word would be eight bytes a word. Windows begin at anchors only, words whose
hash is the smallest of 8 in a row: two texts with a run of 7 words more than a window have an anchor in common and the
window that begins there. Nothing shorter than a window is ever found.
"""

import numpy as np

from ctllm.pipelines.batch import TextBatch, kernel
from ctllm.pipelines.dedup.lines import HashedUnits
from ctllm.pipelines.signals.characters import classify
from ctllm.pipelines.signals.words import split_units, unit_bounds

ANCHOR_WORDS = 8
"""Of so many words in a row at least one begins a window, 2 of 9 of all; every word for 1. Chosen, untested."""


def hash_runs(texts: TextBatch, *, num_words: int, chosen: np.ndarray) -> HashedUnits:
    """Windows of `num_words` words that begin at an anchor, of the texts `chosen` (texts,), bool.

    Words are compared without case and width, nothing between them counts.
    """
    parts: list[tuple[np.ndarray, ...]] = [(np.empty(0, np.int64),) * 4]
    for row in np.flatnonzero(chosen).tolist():
        own = texts.slice(row, row + 1)
        words = split_units(own.codepoints, own.offsets, classes=classify(own.codepoints)).ids
        if len(words) < num_words:
            continue
        starts, ends = unit_bounds(own.head(0, len(own.codepoints)))
        places = _anchors(words[: len(words) - num_words + 1])
        hashes = _hash_windows(words, places, num_words)
        parts.append((np.full(len(places), row), starts[places], ends[places + num_words - 1], hashes))
    texts_U, starts_U, ends_U, hashes_U = (np.concatenate(column) for column in zip(*parts, strict=True))
    return HashedUnits(texts_U, starts_U, ends_U, hashes_U.astype(np.uint64))


@kernel
def _anchors(words: np.ndarray) -> np.ndarray:
    """Places of the smallest of every 8 words in a row, the last of equal ones: ascending, int64."""
    found = np.empty(words.shape[0], np.int64)
    used = 0
    best = -1
    for last in range(words.shape[0]):
        first = last - ANCHOR_WORDS + 1
        if best < max(first, 0):
            best = max(first, 0)
            for place in range(best + 1, last + 1):
                best = place if words[place] <= words[best] else best
        elif words[last] <= words[best]:
            best = last
        is_whole = first >= 0 or last == words.shape[0] - 1
        if is_whole and (used == 0 or found[used - 1] != best):
            found[used] = best
            used += 1
    return found[:used]


@kernel
def _hash_windows(words: np.ndarray, places: np.ndarray, size: int) -> np.ndarray:
    """Hash of the `size` words from each place on: (places,), uint64, by a rolling polynomial mixed at the end."""
    base = np.uint64(0x9E3779B97F4A7C15)  # odd multiplier mod 2^64 over well mixed numbers of words
    power = np.uint64(1)
    for _ in range(size):
        power *= base
    hashes = np.empty(places.shape[0], np.uint64)
    value, begin, end = np.uint64(0), places[0], places[0]
    for i in range(places.shape[0]):
        while end < places[i] + size:
            value = value * base + words[end]
            if end - begin == size:
                value -= power * words[begin]
                begin += 1
            end += 1
        mixed = (value ^ (value >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3 fmix64
        hashes[i] = mixed ^ (mixed >> np.uint64(33))
    return hashes
