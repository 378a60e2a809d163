"""Planned cuts of a batch of documents, made without a Python object per text: what they leave, and its `edits`.

E = planned edits of the batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.batch import kernel, text_buffers, text_column
from ctllm.pipelines.edits import Edit
from ctllm.schemas.document import EDITS

_EDIT = pa.schema([*EDITS.value_type])
_BLOCK_BYTES = 64  # as far as is counted at once; a byte counts it


@dataclass(frozen=True)
class PlannedEdits:
    """CUTS of the documents of a batch, by row and place."""

    rows_E: np.ndarray
    """int64, ascending: the document's row in the batch"""
    edits: pa.Table
    """kind, start, end, replacement: (E,)"""

    @classmethod
    def of(cls, cuts: pa.Table, keys: np.ndarray) -> "PlannedEdits":
        """Those of the documents with ascending `keys`, out of the CUTS of a split, in their order."""
        all_keys = cuts["key"].to_numpy()
        first = int(np.searchsorted(all_keys, keys[0])) if len(keys) else 0
        last = int(np.searchsorted(all_keys, keys[-1], side="right")) if len(keys) else 0
        near = cuts.slice(first, last - first)
        chosen = near.filter(pa.array(np.isin(all_keys[first:last], keys)))
        rows_E = np.searchsorted(keys, chosen["key"].to_numpy())
        order = np.lexsort([chosen["end"].to_numpy(), chosen["start"].to_numpy(), rows_E])
        return cls(rows_E[order], chosen.select(_EDIT.names).take(order))

    def only(self, chosen_E: np.ndarray) -> "PlannedEdits":
        """Those that are `chosen_E` (E,), bool."""
        return PlannedEdits(self.rows_E[chosen_E], self.edits.filter(pa.array(chosen_E)))

    def of_row(self, row: int) -> list[Edit]:
        """Those of one document."""
        first, last = np.searchsorted(self.rows_E, [row, row + 1]).tolist()
        edits: list[Edit] = self.edits.slice(first, last - first).to_pylist()
        return edits

    def cut_out(self, texts: "pa.Array[Any]") -> "pa.Array[Any]":
        """The texts without what is to be cut; where nothing is, as they were."""
        cuts = self.only(pc.is_valid(self.edits["replacement"]).to_numpy())
        if not len(cuts.rows_E):
            return texts
        data, offsets = text_buffers(texts)
        left, left_offsets = np.empty(len(data), np.uint8), np.empty(len(offsets), np.int64)
        starts, ends = (cuts.edits[name].to_numpy() for name in ("start", "end"))
        used = _cut_out(data, offsets, cuts.rows_E, starts, ends, left, left_offsets)
        return text_column(left[:used], left_offsets)

    def with_others(self, others: Mapping[int, Sequence[Edit]], *, num_rows: int) -> pa.ListArray:
        """`edits` of all `num_rows` documents: these, and `others` in the order given, of rows that have none here."""
        rows = np.concatenate([self.rows_E, [row for row, edits in others.items() for _ in edits]]).astype(np.int64)
        given = pa.Table.from_pylist([dict(edit) for edits in others.values() for edit in edits], schema=_EDIT)
        together = pa.concat_tables([self.edits.cast(_EDIT), given]).take(np.argsort(rows, kind="stable"))
        structs = pa.StructArray.from_arrays([column.combine_chunks() for column in together.columns], fields=[*_EDIT])
        offsets = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=num_rows))])
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), structs, type=EDITS)


@kernel
def _cut_out(  # noqa: PLR0917 - a kernel takes its arrays by position
    data: np.ndarray,
    offsets: np.ndarray,
    rows: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    left: np.ndarray,
    left_offsets: np.ndarray,
) -> int:
    """Bytes used of `left`. Spans are characters of their text, ascending and apart."""
    used = 0
    cut = 0
    left_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        position, stop = offsets[text], offsets[text + 1]
        char = 0
        while cut < rows.shape[0] and rows[cut] == text:
            start = position + _size(data[position:stop], starts[cut] - char)
            left[used : used + start - position] = data[position:start]
            used += start - position
            position = start + _size(data[start:stop], ends[cut] - starts[cut])
            char = ends[cut]
            cut += 1
        left[used : used + stop - position] = data[position:stop]
        used += stop - position
        left_offsets[text + 1] = used
    return used


@kernel
def _size(data: np.ndarray, num_chars: int) -> int:
    """Bytes of the first characters. Blocks that end within a character leave its last bytes to the loop behind."""
    position = 0
    missing = num_chars
    while missing >= _BLOCK_BYTES and position + _BLOCK_BYTES <= data.shape[0]:
        block = data[position : position + _BLOCK_BYTES]
        found = np.uint8(0)
        for i in range(block.shape[0]):
            found += np.uint8((block[i] & np.uint8(0xC0)) != np.uint8(0x80))
        missing -= int(found)
        position += _BLOCK_BYTES
    while position < data.shape[0]:
        if (data[position] & np.uint8(0xC0)) != np.uint8(0x80):
            if missing == 0:
                break
            missing -= 1
        position += 1
    return position
