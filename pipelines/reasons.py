"""The reasons of many verdicts as flat arrays, so that nobody loops over documents to count them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class FlatReasons:
    """Every reason of a list of verdicts, in the order of documents and, within one, of rules. R = reasons."""

    rows_R: np.ndarray
    """Which document: index into the verdicts, int64, ascending."""
    codes_R: np.ndarray
    """Which reason: index into `names`, int64."""
    names: tuple[str, ...]
    values_R: np.ndarray
    thresholds_R: np.ndarray
    num_documents: int

    @property
    def counts(self) -> np.ndarray:
        """(documents,) int64: how many reasons each document has."""
        return np.bincount(self.rows_R, minlength=self.num_documents)

    @property
    def is_first_R(self) -> np.ndarray:
        """Whether a reason is the first of its document."""
        is_first: np.ndarray = np.diff(self.rows_R, prepend=-1) != 0
        return is_first

    @property
    def is_only_R(self) -> np.ndarray:
        """Whether a reason is the only one of its document."""
        is_only: np.ndarray = self.counts[self.rows_R] == 1
        return is_only

    def first(self) -> np.ndarray:
        """(documents,) int64: position in the flat arrays of each document's first reason, -1 where it has none."""
        positions = np.full(self.num_documents, -1, np.int64)
        positions[self.rows_R[self.is_first_R]] = np.flatnonzero(self.is_first_R)
        return positions

    def first_names(self) -> np.ndarray:
        """(documents,) object: the first reason of each document, "" where it has none."""
        named = np.array([*self.names, ""], dtype=object)
        codes = np.append(self.codes_R, -1)
        firsts: np.ndarray = named[codes[self.first()]]
        return firsts


def flatten(reasons: "pa.ListArray[Any] | pa.ChunkedArray[Any]") -> FlatReasons:
    """The lists of REASONS as flat arrays."""
    lists = reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons
    structs = lists.flatten()
    names = structs.field("reason").dictionary_encode()
    return FlatReasons(
        rows_R=pc.list_parent_indices(lists).to_numpy().astype(np.int64),
        codes_R=names.indices.to_numpy(zero_copy_only=False).astype(np.int64),
        names=tuple(names.dictionary.to_pylist()),
        values_R=structs.field("value").to_numpy(zero_copy_only=False),
        thresholds_R=structs.field("threshold").to_numpy(zero_copy_only=False),
        num_documents=len(lists),
    )
