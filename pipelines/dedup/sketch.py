"""Bottom-k sketches: the k smallest shingle hashes of a document, enough to verify a pair without its texts.

Their upper 32 bits are kept, MinHash uses the lower ones: what proposes a pair and what verifies it are independent.
"""

import math

import numba as nb
import numpy as np

_UPPER = np.uint64(32)


def bottom_sketches(shingles: np.ndarray, offsets: np.ndarray, *, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The `size` smallest hashes of each set (or all), ascending: (values,), uint32, and (D + 1,) offsets."""
    lengths = np.minimum(np.diff(offsets), size)
    sketch_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    values = np.empty(int(sketch_offsets[-1]), np.uint32)
    expected = size + 6 * math.isqrt(size)  # 6 standard deviations above: too few pass in 1 of 10^9 sets
    scratch = np.empty(int(np.diff(offsets).max(initial=1)), np.uint32)
    _select(shingles, offsets, size, expected, scratch, values, sketch_offsets)
    return values, sketch_offsets


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _below(shingles: np.ndarray, bound: np.uint32, scratch: np.ndarray) -> int:
    found = 0
    for i in range(shingles.shape[0]):
        value = np.uint32(shingles[i] >> _UPPER)
        scratch[found] = value
        found += int(value <= bound)
    return found


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _select(  # noqa: PLR0917 - a kernel takes its arrays by position
    shingles: np.ndarray,
    offsets: np.ndarray,
    size: int,
    expected: int,
    scratch: np.ndarray,
    values: np.ndarray,
    sketch_offsets: np.ndarray,
) -> None:
    """Hashes are uniform, so those under `expected` / n of the range hold the `size` smallest: only they are sorted."""
    everything = np.uint32(0xFFFFFFFF)
    for document in range(offsets.shape[0] - 1):
        own = shingles[offsets[document] : offsets[document + 1]]
        bound = everything
        if own.shape[0] > expected:
            bound = np.uint32(4294967295.0 * (expected / own.shape[0]))
        found = _below(own, bound, scratch)
        if found < size:
            found = _below(own, everything, scratch)
        ascending = np.sort(scratch[:found])
        first = sketch_offsets[document]
        values[first : sketch_offsets[document + 1]] = ascending[: sketch_offsets[document + 1] - first]
