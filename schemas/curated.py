"""The published text of a run: which Parquet files, of which lane, with which digest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, filesystem_of, join, read_json
from ctllm.schemas.manifest import SUCCESS, StageManifest


@dataclass(frozen=True)
class CuratedPart:
    """One file of `RUN/curated/`, schema CURATED."""

    lane: str
    name: str
    """Lane and file name without suffix, e.g. zh-part-00000."""
    path: str
    sha256: str


def curated_parts(run: str) -> list[CuratedPart]:
    """All parts of a run (or of its `curated` directory), sorted by lane and name.

    Raises InputError when publishing has not ended there or kept nothing.
    """
    directory = join(run, "curated") if exists(join(run, "curated")) else run
    if not exists(join(directory, SUCCESS)):
        raise InputError(f"{run}: no finished curated/ here; run `ctllm curate` to the end first")
    manifest = StageManifest.model_validate(read_json(join(directory, SUCCESS)))
    parts = []
    for path, digest in sorted(manifest.files.items()):
        lane, _, leaf = path.rpartition("/")
        if lane and leaf.endswith(".parquet"):
            parts.append(CuratedPart(lane, f"{lane}-{leaf.removesuffix('.parquet')}", join(directory, path), digest))
    if not parts:
        raise InputError(
            f"{run}: curated/ is empty, no document was kept; `ctllm stats` shows which rules removed them"
        )
    return parts


def read_batches(path: str, *, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The columns of one curated file, at most `rows` documents at a time."""
    fs, name = filesystem_of(path)
    with fs.open(name, "rb") as file:
        yield from pq.ParquetFile(file).iter_batches(batch_size=rows, columns=list(columns))
