"""Single documents by key: the few that a person wants to see, read from the files of their splits only.

They may be of earlier snapshots that the run was compared with.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.run_directory import Run
from ctllm.schemas.document import DOCUMENTS, ROW_BITS, snapshot_of, split_of
from ctllm.schemas.files import exists, join


def fetch_documents(
    run: Run, keys: Sequence[int], *, columns: Sequence[str] = DOCUMENTS.names
) -> dict[int, dict[str, Any]]:
    """Documents of a run by key, and of the snapshots that it was compared with; see `fetch_from`."""
    homes = {each.snapshot: each.run for each in run.manifest.compared} | {run.config.snapshot: run.path}
    return fetch_from(homes, keys, columns=columns)


def fetch_from(
    homes: Mapping[int, str], keys: Sequence[int], *, columns: Sequence[str] = DOCUMENTS.names
) -> dict[int, dict[str, Any]]:
    """Documents by key, with `columns` and their key, from the run directory of each snapshot.

    Reads the row groups that hold them and no others. Documents whose file is not there any more have an id that says
    so, and nothing else: an index can do without them.
    """
    wanted = np.array(sorted(set(keys)), np.uint64)
    splits = wanted >> np.uint64(ROW_BITS)  # of all snapshots
    found: dict[int, dict[str, Any]] = {}
    for split in np.unique(splits):
        own = wanted[splits == split]
        snapshot, number = int(snapshot_of(own)[0]), int(split_of(own)[0])
        path = join(homes[snapshot], "documents", f"part-{number:05d}.parquet")
        if exists(path):
            rows = (own & np.uint64((1 << ROW_BITS) - 1)).astype(np.int64)
            read = read_rows(path, rows, columns=["key", *columns]).to_pylist()
        else:
            read = [_lost(int(key), path, columns=columns) for key in own]
        found |= {row["key"]: row for row in read}
    return found


def _lost(key: int, path: str, *, columns: Sequence[str]) -> dict[str, Any]:
    """The row of a document that cannot be read any more."""
    empty = {name: None if DOCUMENTS.field(name).nullable else "" for name in columns}
    return empty | {"id": f"key {key}, not in {path} any more"} | {"key": key}


def read_rows(path: str, rows: np.ndarray, *, columns: Sequence[str]) -> pa.Table:
    """Some rows of a Parquet file, ascending; the row of a document is the low part of its key."""
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
