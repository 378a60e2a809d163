"""Verification: how similar two candidates really are, from their bottom-k sketches, without their texts."""

from dataclasses import dataclass

import numba as nb
import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class Sketches:
    """Sketches of some documents: `values` of document i run from `offsets[i]` to `offsets[i + 1]`, ascending."""

    values: np.ndarray
    offsets: np.ndarray
    num_shingles: np.ndarray

    @classmethod
    def of(cls, bands: pa.Table) -> "Sketches":
        """The sketches in a table with the columns `num_shingles` and `sketch` of BANDS."""
        column = bands.column("sketch").cast(pa.large_binary()).combine_chunks()
        _, offsets, data = column.buffers()
        byte_offsets = np.asarray(offsets).view(np.int64)[column.offset : column.offset + len(column) + 1]
        values = np.asarray(data).view(np.uint32) if data is not None else np.empty(0, np.uint32)
        return cls(values, byte_offsets // 4, bands.column("num_shingles").to_numpy())


def similarities(
    one: Sketches, other: Sketches, rows: np.ndarray, *, sketch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard and containment of each pair `rows` (n, 2) of a row of `one` and a row of `other`: (n,), float64 each.

    Exact where both sets fit in their sketch, else estimated over the `sketch_size` smallest shingles of the union
    (standard error 0.025 at 0.8 for 256). Containment is the share of the smaller document's shingles found in the
    other; 0 where a document has no shingles.
    """
    jaccard = np.zeros(len(rows), np.float64)
    containment = np.zeros(len(rows), np.float64)
    _compare(
        one.values, one.offsets, one.num_shingles, other.values, other.offsets, other.num_shingles,
        rows, sketch_size, jaccard, containment,
    )  # fmt: skip
    return jaccard, containment


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _merge(one: np.ndarray, other: np.ndarray, limit: int) -> tuple[int, int]:
    """Sizes of the intersection and of the union among the `limit` smallest values of the union."""
    shared = 0
    together = 0
    i = 0
    j = 0
    while together < limit and (i < one.shape[0] or j < other.shape[0]):
        if j == other.shape[0] or (i < one.shape[0] and one[i] < other[j]):
            i += 1
        elif i == one.shape[0] or other[j] < one[i]:
            j += 1
        else:
            shared += 1
            i += 1
            j += 1
        together += 1
    return shared, together


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _compare(  # noqa: PLR0917 - a kernel takes its arrays by position
    one_values: np.ndarray,
    one_offsets: np.ndarray,
    one_counts: np.ndarray,
    other_values: np.ndarray,
    other_offsets: np.ndarray,
    other_counts: np.ndarray,
    rows: np.ndarray,
    sketch_size: int,
    jaccard: np.ndarray,
    containment: np.ndarray,
) -> None:
    for pair in range(rows.shape[0]):
        a, b = rows[pair]
        if one_counts[a] == 0 or other_counts[b] == 0:
            continue
        both_whole = one_counts[a] <= sketch_size and other_counts[b] <= sketch_size
        shared, together = _merge(
            one_values[one_offsets[a] : one_offsets[a + 1]],
            other_values[other_offsets[b] : other_offsets[b + 1]],
            2 * sketch_size if both_whole else sketch_size,
        )
        jaccard[pair] = shared / together
        common = (one_counts[a] + other_counts[b]) * (shared / (shared + together))  # |A & B| = (|A| + |B|) J / (1 + J)
        containment[pair] = min(1.0, common / min(one_counts[a], other_counts[b]))
