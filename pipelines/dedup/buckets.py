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
    """Rows whose key another one has: few, and one sort by a single number finds them; the others pair with nothing."""
    order = np.argsort(rows[:, 0].copy())  # of numbers side by side: vectorised
    keys = rows[order, 0]
    is_shared = np.zeros(len(rows), bool)
    is_shared[1:] = keys[1:] == keys[:-1]
    is_shared[:-1] |= is_shared[1:].copy()
    return np.asarray(rows[order[is_shared]])


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
