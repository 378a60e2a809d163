"""128-bit signatures of whole documents: of the hashing form, and of the text as it is.

Equal ones of the form belong to texts that differ in nothing that dedup sees. Those of the text itself find what the
form cannot: copies of texts without a word, and the same file read as code here, as prose there.
"""

import numba as nb
import numpy as np

from ctllm.pipelines.batch import TextBatch

_SEEDS = (np.uint64(0x243F6A8885A308D3), np.uint64(0x13198A2E03707344))  # digits of pi
_PRIMES = (np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F))  # xxh64 primes 1 and 2
_SHIFT = np.uint64(29)


def exact_signatures(
    tokens: np.ndarray, offsets: np.ndarray, *, keys: np.ndarray, skipped: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """High and low half per text: (texts,), uint64 each. A text without tokens gets one that no other text can have.

    The first `skipped` tokens of each text, (texts,), int64, do not count.

    The halves are two independent multiply-rotate chains; not meant against an adversary.
    """
    starts = offsets[:-1] + skipped
    high, low = _hashed(tokens, starts, offsets[1:], salts=np.zeros(len(starts), np.uint64), width=1)
    empty = offsets[1:] == starts
    high[empty] = keys[empty] * _PRIMES[0]  # odd factor: different keys stay different
    low[empty] = 0  # no chain of tokens ends in 0 but by chance of 2^-64
    return high, low


def text_signatures(texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
    """High and low half per text, of its characters as they are: (texts,), uint64 each, both 0 for an empty text.

    Two characters are a step, which halves the chain of multiplications; it is begun by the length.
    """
    sizes = np.diff(texts.offsets)
    high, low = _hashed(texts.codepoints, texts.offsets[:-1], texts.offsets[1:], salts=sizes.astype(np.uint64), width=2)
    high[sizes == 0] = low[sizes == 0] = 0
    return high, low


def _hashed(
    values: np.ndarray, starts: np.ndarray, ends: np.ndarray, *, salts: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Both halves of each sequence of `values`, `width` a step; its second chain begins with its salt."""
    high, low = np.empty(len(starts), np.uint64), np.empty(len(starts), np.uint64)
    by_length = np.argsort(ends - starts, kind="stable")
    _hash_sequences(values, starts, ends, salts, width, by_length, high, low)
    return high, low


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _hash_sequences(  # noqa: PLR0917 - a kernel takes its arrays by position
    values: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    salts: np.ndarray,
    width: int,
    by_length: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
) -> None:
    """Two sequences of nearly one length at a time, for a chain waits for each of its multiplications."""
    last = by_length.shape[0] - 1
    for place in range(0, by_length.shape[0], 2):
        a, b = by_length[place], by_length[min(place + 1, last)]  # an odd last one, with itself
        one, other = values[starts[a] : ends[a]], values[starts[b] : ends[b]]
        one_high = other_high = _SEEDS[0]
        one_low, other_low = _SEEDS[1] ^ salts[a], _SEEDS[1] ^ salts[b]
        common = one.shape[0] // width
        for step in range(common):
            one_high, one_low = _step(one_high, one_low, _value(one, step, width))
            other_high, other_low = _step(other_high, other_low, _value(other, step, width))
        for step in range(common, other.shape[0] // width):
            other_high, other_low = _step(other_high, other_low, _value(other, step, width))
        if one.shape[0] % width:
            one_high, one_low = _step(one_high, one_low, np.uint64(one[one.shape[0] - 1]))
        if other.shape[0] % width:
            other_high, other_low = _step(other_high, other_low, np.uint64(other[other.shape[0] - 1]))
        high[a], low[a] = one_high * _PRIMES[1], one_low * _PRIMES[0]
        high[b], low[b] = other_high * _PRIMES[1], other_low * _PRIMES[0]


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _value(values: np.ndarray, step: int, width: int) -> np.uint64:
    """What a step takes: a token, or two characters, the later one above the other."""
    if width == 1:
        return np.uint64(values[step])
    return np.uint64(values[2 * step]) | (np.uint64(values[2 * step + 1]) << np.uint64(32))


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _step(high: np.uint64, low: np.uint64, value: np.uint64) -> tuple[np.uint64, np.uint64]:
    high = (high ^ value) * _PRIMES[0]
    low = (low + value) * _PRIMES[1]
    return high ^ (high >> _SHIFT), low ^ (low >> _SHIFT)
