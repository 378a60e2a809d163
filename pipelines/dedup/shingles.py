"""Shingles: the set of distinct windows of tokens, as 64-bit hashes, in one space for all scripts.

A window begins at every token and its length follows from that token: `shingle_chars` where it is a CJK character,
`shingle_words` where it is a word or an operator. So Han runs give character n-grams, Latin text word n-grams, and
a Latin name amid Han text breaks nothing.
"""

import numba as nb
import numpy as np

MIN_SHINGLES = 20
"""A text with fewer distinct shingles has none at all (chosen: 24 Han characters; below, one changed character in a
title, 第三季度 for 第四季度, is another document). Only its exact signature speaks for it."""

_FACTOR = np.uint64(0xD6E8FEB86659FD93)  # odd; Steele and Vigna 2021, "spectrally good multipliers"
_FMIX_1 = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3 fmix64
_FMIX_2 = np.uint64(0xC4CEB9FE1A85EC53)
_SHIFT = np.uint64(33)
_ONE = np.uint64(1)


def distinct_shingles(
    tokens: np.ndarray, offsets: np.ndarray, *, num_chars: int, num_words: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct shingles of every text as they appear: (shingles,), uint64, never 0, and (texts + 1,) int64 offsets."""
    hashes = _windows(tokens, num_chars)
    if num_words != num_chars:
        hashes = np.where(tokens & _ONE, hashes, _windows(tokens, num_words))
    shingles = np.empty(len(tokens) + 1, np.uint64)  # the kernel writes one ahead
    shingle_offsets = np.empty(len(offsets), np.int64)
    longest = int(np.diff(offsets).max(initial=1))
    seen = np.empty(1 << (4 * longest).bit_length(), np.uint64)
    used = _distinct(tokens, offsets, num_chars, num_words, hashes, seen, shingles, shingle_offsets)
    return shingles[:used], shingle_offsets


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _windows(tokens: np.ndarray, length: int) -> np.ndarray:
    """Hash of the `length` tokens from each one on; at the end of a text it runs into the next and is not used.

    Token by token over the whole array rather than window by window: so it is vectorised, four times as fast.
    """
    hashes = tokens.copy()
    for further in range(1, length):
        later = tokens[further:]
        for i in range(later.shape[0]):
            hashes[i] = hashes[i] * _FACTOR + later[i]
    for i in range(hashes.shape[0]):
        mixed = (hashes[i] ^ (hashes[i] >> _SHIFT)) * _FMIX_1
        mixed = (mixed ^ (mixed >> _SHIFT)) * _FMIX_2
        mixed ^= mixed >> _SHIFT
        hashes[i] = mixed | np.uint64(mixed == 0)
    return hashes


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _distinct(  # noqa: PLR0917 - a kernel takes its arrays by position
    tokens: np.ndarray,
    offsets: np.ndarray,
    num_chars: int,
    num_words: int,
    hashes: np.ndarray,
    seen: np.ndarray,
    shingles: np.ndarray,
    shingle_offsets: np.ndarray,
) -> int:
    """`seen` is an open-addressing table, emptied per text (0) and a quarter full at most: few probes."""
    used = 0
    shingle_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        first = used
        end = offsets[text + 1]
        size = 4
        while size < 4 * (end - offsets[text]):
            size *= 2
        seen[:size] = 0
        mask = np.uint64(size - 1)
        for start in range(offsets[text], end):
            if start + (num_chars if tokens[start] & _ONE else num_words) > end:
                continue
            shingle = hashes[start]
            slot = shingle & mask
            while seen[slot] != 0 and seen[slot] != shingle:
                slot = (slot + _ONE) & mask
            shingles[used] = shingle
            used += seen[slot] == 0  # written either way, counted when new
            seen[slot] = shingle
        if used - first < MIN_SHINGLES:
            used = first
        shingle_offsets[text + 1] = used
    return used
