"""Pairs near a bound, compared by all their shingles: what a sketch of some hundred cannot tell apart.

A sketch of k shingles knows a Jaccard J with a standard error of sqrt(J (1 - J) / k). Pairs whose estimate lies within
some of them of the threshold are looked at again with the texts: the shingle sets of their second documents travel to
the file of the first. Shingles, never text, are shuffled, and only those of documents at the border.
"""

from collections.abc import Iterable, Iterator

import apache_beam as beam
import numba as nb
import numpy as np

from ctllm.pipelines.dedup.frames import frame, frames
from ctllm.pipelines.dedup.positions import by_file, rows_of, unpacked
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.documents import read_rows
from ctllm.schemas.curation_config import DedupConfig

BORDER_COLUMNS = 5
"""Of a border pair, uint64: positions of both, keys of both, 1 where they have one URL."""

_PAIRS, _POSITIONS, _SIZES, _SHINGLES = range(4)
_DOCUMENTS_AT_ONCE = 1024  # chosen: a row group of web text, whose tokens and shingles take 20 times as much
_BATCH_BYTES = 16 << 20  # of shingles: 5 GB of many near copies took 1.7 GB where all of a file were compared at once


def at_border(one: np.ndarray, other: np.ndarray, jaccard: np.ndarray, *, config: DedupConfig) -> np.ndarray:
    """Which pairs the sketches do not decide, from both numbers of shingles and the estimated Jaccard: (n,), bool.

    Both have shingles and one at least has more than its sketch; else the estimate is the truth. The Jaccard at which
    the containment of a pair meets its bound follows from its sizes.
    """
    if config.exact_within is None or not config.verify:
        return np.zeros(len(jaccard), bool)
    bounds = [np.full(len(jaccard), config.threshold)]
    if config.containment is not None:
        shared = config.containment * np.minimum(one, other)
        bounds.append(shared / np.maximum(one + other - shared, 1))
    is_near = np.zeros(len(jaccard), bool)
    for bound in bounds:
        errors = np.sqrt(bound * (1 - bound) / config.sketch_size)
        is_near |= np.abs(jaccard - bound) <= config.exact_within * errors
    is_estimated = (np.minimum(one, other) > 0) & (np.maximum(one, other) > config.sketch_size)
    return np.asarray(is_near & is_estimated)


class TakeShingles(beam.DoFn):
    """(file, border pairs with their second document in it) to (file of the first, pairs and those shingle sets)."""

    def __init__(self, texts: list[str | None], config: DedupConfig) -> None:
        self._texts, self._config = texts, config

    def setup(self) -> None:
        """Makes the signer."""
        self._signer = Signer(self._config)

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Reads the row groups of one file of documents that hold the second ones."""
        number, packed = element
        pairs = unpacked(packed, columns=BORDER_COLUMNS)
        positions = np.unique(pairs[:, 1])
        for start in range(0, len(positions), _DOCUMENTS_AT_ONCE):
            some = positions[start : start + _DOCUMENTS_AT_ONCE]
            sets = shingle_sets(self._signer, str(self._texts[number]), some)
            yield from _sent(pairs[np.isin(pairs[:, 1], some)], some, *sets)


def _sent(
    pairs: np.ndarray, positions: np.ndarray, shingles: np.ndarray, offsets: np.ndarray
) -> Iterator[tuple[int, bytes]]:
    """(file of the first documents, pairs and the sets of their second ones) of all `pairs`."""
    for first_file, own in by_file(pairs, column=0):
        chosen = np.searchsorted(positions, np.unique(own[:, 1]))
        sets = [shingles[offsets[at] : offsets[at + 1]] for at in chosen]
        sizes = np.diff(offsets)[chosen]
        parts = ((_PAIRS, own), (_POSITIONS, positions[chosen]), (_SIZES, sizes), (_SHINGLES, np.concatenate(sets)))
        yield first_file, b"".join(frame(kind, values.tobytes()) for kind, values in parts)


def border_similarities(
    signer: Signer, path: str, packed: Iterable[bytes]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Border pairs whose first documents are in `path`, (n, BORDER_COLUMNS); their exact Jaccard and containment.

    `packed` is what TakeShingles gave for the file, in any order.
    """
    sent = frames(packed)
    positions = np.unique(unpacked(sent[_PAIRS], columns=BORDER_COLUMNS)[:, 0])
    own = _sets_of_all(signer, path, positions)  # once: every batch wants documents from all over the file
    batches = np.cumsum([len(each) for each in sent[_SHINGLES]]) // _BATCH_BYTES
    compared = []
    for batch in np.unique(batches):
        chosen = np.flatnonzero(batches == batch)
        compared.append(_compared(positions, own, {kind: [each[at] for at in chosen] for kind, each in sent.items()}))
    pairs, jaccard, containment = (np.concatenate(each) for each in zip(*compared, strict=True))
    return pairs, jaccard, containment


def _sets_of_all(signer: Signer, path: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`shingle_sets` of any number of documents, of which some at a time are more than their shingles."""
    starts = range(0, len(positions), _DOCUMENTS_AT_ONCE)
    parts = [shingle_sets(signer, path, positions[start : start + _DOCUMENTS_AT_ONCE]) for start in starts]
    sizes = np.concatenate([np.diff(offsets) for _, offsets in parts])
    return np.concatenate([shingles for shingles, _ in parts]), np.concatenate([[0], np.cumsum(sizes)])


def _compared(
    positions: np.ndarray, own: tuple[np.ndarray, np.ndarray], contents: dict[int, list[memoryview]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What `border_similarities` gives, of some of what was sent; `own` are the sets of those at `positions`."""
    pairs = unpacked(contents[_PAIRS], columns=BORDER_COLUMNS)
    others = np.frombuffer(b"".join(contents[_POSITIONS]), np.uint64)
    sizes = np.frombuffer(b"".join(contents[_SIZES]), np.int64)
    other_sets = np.frombuffer(b"".join(contents[_SHINGLES]), np.uint64)
    other_offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    order = np.argsort(others, kind="stable")
    rows = np.column_stack(
        [np.searchsorted(positions, pairs[:, 0]), order[np.searchsorted(others, pairs[:, 1], sorter=order)]]
    )
    return pairs, *exact_similarities(own, (other_sets, other_offsets), rows)


def exact_similarities(
    ours: tuple[np.ndarray, np.ndarray], others: tuple[np.ndarray, np.ndarray], rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Jaccard and containment of pairs `rows` (n, 2) of one set of `ours` and one of `others`: (n,), float64 each.

    Both are shingles and offsets, as `shingle_sets` gives them.
    """
    shared = count_shared(*ours, *others, rows)
    one, other = np.diff(ours[1])[rows[:, 0]], np.diff(others[1])[rows[:, 1]]
    jaccard = shared / np.maximum(one + other - shared, 1)
    return jaccard, shared / np.maximum(np.minimum(one, other), 1)


def shingle_sets(signer: Signer, path: str, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct shingles of the documents at `positions`, ascending, of a file of DOCUMENTS: (shingles,) and offsets."""
    documents = read_rows(path, rows_of(positions), columns=["lane", "text"])
    return signer.shingles(documents.combine_chunks().to_batches()[0])


def count_shared(
    sets: np.ndarray, offsets: np.ndarray, other_sets: np.ndarray, other_offsets: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    """Size of the intersection of a set and of another for each of `rows` (n, 2): (n,), int64.

    A set is put into a table once for all it is compared with: three times as fast as merging sorted sets, each step
    of which waits for the one before.
    """
    shared = np.empty(len(rows), np.int64)
    table = np.empty(1 << int(2 * np.diff(offsets).max(initial=1)).bit_length(), np.uint64)
    by_set = np.argsort(rows[:, 0], kind="stable")
    _count_shared(sets, offsets, other_sets, other_offsets, rows, by_set, table, shared)
    return shared


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _count_shared(  # noqa: PLR0917 - a kernel takes its arrays by position
    sets: np.ndarray,
    offsets: np.ndarray,
    other_sets: np.ndarray,
    other_offsets: np.ndarray,
    rows: np.ndarray,
    by_set: np.ndarray,
    table: np.ndarray,
    shared: np.ndarray,
) -> None:
    in_table, mask, has_zero = np.int64(-1), np.uint64(0), False
    for pair in by_set:
        if rows[pair, 0] != in_table:
            in_table = rows[pair, 0]
            mask, has_zero = _fill(table, sets[offsets[in_table] : offsets[in_table + 1]])
        found = 0
        for value in other_sets[other_offsets[rows[pair, 1]] : other_offsets[rows[pair, 1] + 1]]:
            place = _place(table, mask, value)
            found += table[place] == value and (value != 0 or has_zero)
        shared[pair] = found


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _fill(table: np.ndarray, values: np.ndarray) -> tuple[np.uint64, bool]:
    """Puts a set into the part of `table` that it needs: its mask, and whether 0, which marks free places, is in it."""
    size = 2
    while size < 2 * values.shape[0]:
        size *= 2
    table[:size] = 0
    mask, has_zero = np.uint64(size - 1), False
    for value in values:
        table[_place(table, mask, value)] = value
        has_zero |= value == 0
    return mask, has_zero


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _place(table: np.ndarray, mask: np.uint64, value: np.uint64) -> np.uint64:
    """Where a hash stands, or the free place where it would."""
    place = value & mask
    while table[place] != value and table[place] != 0:
        place = (place + np.uint64(1)) & mask
    return place
