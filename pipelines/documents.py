"""Single documents of a run by key: the few that a person wants to see, read from the files of their splits only."""

from collections.abc import Sequence
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.run_directory import Run
from ctllm.schemas.document import DOCUMENTS, ROW_BITS, split_of


def fetch_documents(
    run: Run, keys: Sequence[int], *, columns: Sequence[str] = DOCUMENTS.names
) -> dict[int, dict[str, Any]]:
    """Documents by key, with `columns` and their key; reads the row groups that hold them and no others."""
    wanted = np.array(sorted(set(keys)), np.uint64)
    splits = split_of(wanted)
    found: dict[int, dict[str, Any]] = {}
    for split in np.unique(splits):
        rows = wanted[splits == split] & np.uint64((1 << ROW_BITS) - 1)
        table = _rows(run.part("documents", int(split)), rows.astype(np.int64), columns=["key", *columns])
        found |= {row["key"]: row for row in table.to_pylist()}
    return found


def _rows(path: str, rows: np.ndarray, *, columns: Sequence[str]) -> pa.Table:
    """Some rows of a Parquet file, in their order; the row of a document is the low part of its key."""
    with fsspec.open(path, "rb") as opened:
        file = pq.ParquetFile(opened)
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = np.searchsorted(ends, rows, side="right")
        names = list(dict.fromkeys(columns))
        taken = [
            file.read_row_group(int(group), columns=names).take(
                pa.array(rows[groups == group] - (ends[group] - sizes[group]))
            )
            for group in np.unique(groups)
        ]
        return pa.concat_tables(taken) if taken else file.schema_arrow.empty_table().select(names)


def excerpt_of(text: str, *, num_chars: int) -> str:
    """The beginning of `text` on one line."""
    line = " ".join(text[: 4 * num_chars].split())
    return line if len(line) <= num_chars else line[: num_chars - 1] + "…"
