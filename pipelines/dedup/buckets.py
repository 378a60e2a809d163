"""Candidates: which documents met in a bucket of equal band keys or of equal exact signatures.

Rows are uint64 triples (key, tie, position): for bands the band key, the lower half of the exact signature and where
the document stands; for exact signatures their high half, low half and the same. Positions order as the files do.
Documents of earlier snapshots stand before `first_new`; two of them are never a pair: they were compared in their time.
"""

import numba as nb
import numpy as np


def exact_candidates(rows: np.ndarray, *, first_new: int = 0) -> np.ndarray:
    """Pairs of the first and each later new document of the same exact signature: (n, 2), uint64 positions."""
    rows = _sorted(_shared(rows))
    starts = np.flatnonzero(_is_new_group(rows[:, :2]))
    sizes = np.diff(np.append(starts, len(rows)))
    pairs = np.column_stack([np.repeat(rows[starts, 2], sizes), rows[:, 2]])
    return np.asarray(pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs[:, 1] >= first_new)])


def near_candidates(rows: np.ndarray, *, max_bucket: int, first_new: int = 0) -> tuple[np.ndarray, int]:
    """Pairs of documents that share a band, once each, smaller position first: (n, 2), uint64; and the hot buckets.

    Exact copies are in all buckets of their first one and count there as that one. In a bucket of more than
    `max_bucket` documents each is paired with the first only: such a bucket is boilerplate, and all pairs are too many.
    """
    rows = _sorted(_shared(rows))
    rows = rows[_is_new_group(rows[:, :2])]
    rows = rows[np.lexsort((rows[:, 2], rows[:, 0]))]
    starts = np.append(np.flatnonzero(_is_new_group(rows[:, :1])), len(rows))
    sizes = np.diff(starts)
    is_hot = sizes > max_bucket
    positions = np.ascontiguousarray(rows[:, 2])
    num_old = np.diff(np.append(0, np.cumsum(positions < first_new))[starts])  # they come first in their bucket
    all_pairs = sizes * (sizes - 1) // 2 - num_old * (num_old - 1) // 2
    pairs = np.empty((int(np.where(is_hot, sizes - np.maximum(num_old, 1), all_pairs).sum()), 2), np.uint64)
    _link(positions, starts, num_old, is_hot, pairs)
    return unique_pairs(pairs), int(is_hot.sum())


def unique_pairs(pairs: np.ndarray) -> np.ndarray:
    """The distinct rows of `pairs` (n, 2), ordered by the second column, then the first."""
    if not len(pairs):
        return pairs
    ordered = pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]
    return np.asarray(ordered[_is_new_group(ordered)])


def _shared(rows: np.ndarray) -> np.ndarray:
    """Rows whose key another one has, and one in ten of the others: these pair with nothing, but cost a place to sort.

    Half of the time of sorting all keys (2026-11).
    """
    met = np.empty(len(rows), np.bool_)
    _meet(rows, np.zeros(1 << (8 * len(rows)).bit_length(), np.uint8), met)
    return rows[met]


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _meet(rows: np.ndarray, times: np.ndarray, met: np.ndarray) -> None:
    """Whether more than one key falls to a place of `times`, a power of 2 of zeros."""
    mask = np.uint64(times.shape[0] - 1)
    for i in range(rows.shape[0]):
        place = _place(rows[i, 0], mask)
        times[place] = min(times[place] + 1, 2)
    for i in range(rows.shape[0]):
        met[i] = times[_place(rows[i, 0], mask)] == 2


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _place(key: np.uint64, mask: np.uint64) -> np.uint64:
    return (key ^ (key >> np.uint64(32))) & mask


def _sorted(rows: np.ndarray) -> np.ndarray:
    return rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]


def _is_new_group(ordered: np.ndarray) -> np.ndarray:
    """Whether each row differs from the one before it: (n,), bool."""
    is_new = np.ones(len(ordered), bool)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    return is_new


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _link(
    positions: np.ndarray, starts: np.ndarray, num_old: np.ndarray, is_hot: np.ndarray, pairs: np.ndarray
) -> None:
    used = 0
    for bucket in range(is_hot.shape[0]):
        end = starts[bucket + 1]
        last_first = starts[bucket] + 1 if is_hot[bucket] else end
        first_new = starts[bucket] + num_old[bucket]
        for first in range(starts[bucket], last_first):
            for second in range(max(first + 1, first_new), end):
                pairs[used, 0] = positions[first]
                pairs[used, 1] = positions[second]
                used += 1
