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
    high = np.empty(len(offsets) - 1, np.uint64)
    low = np.empty(len(offsets) - 1, np.uint64)
    starts = offsets[:-1] + skipped
    _hash_sequences(tokens, starts, offsets[1:], high, low)
    empty = offsets[1:] == starts
    high[empty] = keys[empty] * _PRIMES[0]  # odd factor: different keys stay different
    low[empty] = 0  # no chain of tokens ends in 0 but by chance of 2^-64
    return high, low


def text_signatures(texts: TextBatch) -> tuple[np.ndarray, np.ndarray]:
    """High and low half per text, of its characters as they are: (texts,), uint64 each, both 0 for an empty text."""
    high = np.empty(len(texts), np.uint64)
    low = np.empty(len(texts), np.uint64)
    _hash_texts(texts.codepoints, texts.offsets, high, low)
    empty = np.diff(texts.offsets) == 0
    high[empty] = low[empty] = 0
    return high, low


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _hash_texts(codepoints: np.ndarray, offsets: np.ndarray, high: np.ndarray, low: np.ndarray) -> None:
    """As `_hash_sequences`, two characters a step, which halves the chain of multiplications; begun by the length."""
    for text in range(offsets.shape[0] - 1):
        start = offsets[text]
        end = offsets[text + 1]
        one, other = _SEEDS
        other ^= np.uint64(end - start)
        for position in range(start, end, 2):
            step = np.uint64(codepoints[position])
            if position + 1 < end:
                step |= np.uint64(codepoints[position + 1]) << np.uint64(32)
            one = (one ^ step) * _PRIMES[0]
            one ^= one >> _SHIFT
            other = (other + step) * _PRIMES[1]
            other ^= other >> _SHIFT
        high[text] = one * _PRIMES[1]
        low[text] = other * _PRIMES[0]


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
