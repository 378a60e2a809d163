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
def _ascending(unsorted: np.ndarray, bound: np.uint32) -> np.ndarray:
    """Sorted values, uniform up to `bound`: laid out by size with one value a bucket on average, then put in order.

    Six times as fast as `np.sort` of some hundred values (2026-11); right, but slow, where they are not uniform.
    """
    num_buckets = unsorted.shape[0]
    scale = num_buckets / (float(bound) + 1.0)
    starts = np.zeros(num_buckets + 1, np.int64)
    for i in range(unsorted.shape[0]):
        starts[int(unsorted[i] * scale) + 1] += 1
    for bucket in range(num_buckets):
        starts[bucket + 1] += starts[bucket]
    ascending = np.empty_like(unsorted)
    for i in range(unsorted.shape[0]):
        bucket = int(unsorted[i] * scale)
        ascending[starts[bucket]] = unsorted[i]
        starts[bucket] += 1
    for i in range(1, ascending.shape[0]):  # at most some steps back each
        value = ascending[i]
        place = i
        while place > 0 and ascending[place - 1] > value:
            ascending[place] = ascending[place - 1]
            place -= 1
        ascending[place] = value
    return ascending


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
        if found >= size or own.shape[0] <= expected:
            ascending = _ascending(scratch[:found], bound)
        else:
            ascending = np.sort(scratch[: _below(own, everything, scratch)])
        first = sketch_offsets[document]
        values[first : sketch_offsets[document + 1]] = ascending[: sketch_offsets[document + 1] - first]
