"""The 128-bit signature of a whole hashing form: equal for texts that differ in nothing that dedup sees."""

import numba as nb
import numpy as np

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
    high = np.empty(len(offsets) - 1, np.uint64)
    low = np.empty(len(offsets) - 1, np.uint64)
    starts = offsets[:-1] + skipped
    _hash_sequences(tokens, starts, offsets[1:], high, low)
    empty = offsets[1:] == starts
    high[empty] = keys[empty] * _PRIMES[0]  # odd factor: different keys stay different
    low[empty] = 0  # no chain of tokens ends in 0 but by chance of 2^-64
    return high, low


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _hash_sequences(
    tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray, high: np.ndarray, low: np.ndarray
) -> None:
    for text in range(starts.shape[0]):
        one, other = _SEEDS
        for position in range(starts[text], ends[text]):
            token = tokens[position]
            one = (one ^ token) * _PRIMES[0]
            one ^= one >> _SHIFT
            other = (other + token) * _PRIMES[1]
            other ^= other >> _SHIFT
        high[text] = one * _PRIMES[1]
        low[text] = other * _PRIMES[0]
