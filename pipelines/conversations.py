"""Beam job: conversations or preference pairs (JSONL, Parquet) to Parquet; what cannot be used is counted, with why.

    OUT/conversations/part-00000.parquet   kind sft (preferences/ for kind preference), one file for each input
    OUT/failures/part-00000.parquet        one row for every record that was dropped, copies included
    OUT/_SUCCESS                           manifest: read = kept + failed

Of records with equal messages the first of the first file stays. The digests (24 bytes a record) are shuffled to find
the others, never the text; every file is therefore parsed twice.
"""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.conversation_records import UnusableRecordError, parse_record
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.sources.compression import Damage, read_blocks
from ctllm.schemas.conversations import CONVERSATION_FAILURES, TABLES, ConversationKind
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import (
    exists,
    file_digest,
    join,
    list_files,
    packaged,
    read_parquet,
    remove_tree,
    written_whole,
)
from ctllm.schemas.manifest import SUCCESS, StageManifest, finish_stage, finished_stage
from ctllm.schemas.progress import Progress, silent

STAGE = "conversations"
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
FAILURES = "failures"
ROWS_PER_BATCH = 4096
NUM_PARTITIONS = 16  # of the digests; the result does not depend on it

_RECORD = np.dtype([("high", "<u8"), ("low", "<u8"), ("file", "<u4"), ("line", "<i8")])
_COPY = np.dtype([("line", "<i8"), ("first_file", "<u4"), ("first_line", "<i8")])


def convert_conversations(
    inputs: Sequence[str], *, kind: ConversationKind, out: str, options: RunnerOptions, progress: Progress = silent
) -> StageManifest:
    """Converts files, globs and directories of JSONL(.gz, .zst) and Parquet; equal inputs give equal bytes.

    The manifest counts read, kept and failed records, `failed:<reason>` and `kept:<lane>`. A finished directory is
    returned as it is. Raises InputError when there is no input or nothing in it can be used, OutputError when `out`
    holds another conversion.
    """
    started = time.monotonic()
    files = find_inputs(inputs)
    fingerprint = _fingerprint(files, kind)
    if finished := finished_stage(out, fingerprint=fingerprint):
        return finished
    if exists(join(out, SUCCESS)):
        raise OutputError(f"{out}: holds the conversion of other inputs; choose another --out or delete it")
    name, _ = TABLES[kind]
    for directory in (name, FAILURES):
        remove_tree(join(out, directory))
    run_job(
        STAGE,
        partial(build, files=files, kind=kind, out=out),
        options=options,
        watch=join(out, name),
        total=len(files),
        progress=progress,
    )
    counts = _count(out, name)
    if not counts["kept"]:
        raise InputError(f"{', '.join(inputs)}: none of {counts['read']} records can be used; see {out}/{FAILURES}")
    return finish_stage(out, stage=STAGE, fingerprint=fingerprint, counts=counts, seconds=time.monotonic() - started)


def find_inputs(inputs: Sequence[str]) -> list[str]:
    """The files that `inputs` (files, globs, directories) mean, sorted, each once. Raises InputError for a dead one."""
    found: set[str] = set()
    for given in map(packaged, inputs):
        fs, name = fsspec.core.url_to_fs(given)
        if fs.isdir(name):
            paths = [path for path in list_files(given) if path.endswith(SUFFIXES)]
        else:
            paths = [given] if fs.exists(name) else [fs.unstrip_protocol(path) for path in fs.glob(name)]
        if not paths:
            raise InputError(f"{given}: nothing to read there; give {', '.join(SUFFIXES)} files, globs or directories")
        found.update(path.removeprefix("file://") for path in paths)
    if not found:
        raise InputError("no input; give at least one file, glob or directory")
    return sorted(found)


def build(pipeline: beam.Pipeline, *, files: list[str], kind: ConversationKind, out: str) -> None:
    """Adds the job's steps to `pipeline`."""
    inputs = pipeline | "files" >> beam.Create(list(enumerate(files)))  # (file, path)
    copies = (
        inputs
        | "spread digests" >> beam.Reshuffle()  # Create makes one bundle: without this one worker reads everything
        | "digest records" >> beam.FlatMap(digest_records, kind=kind)  # (partition, packed _RECORD)
        | "group digests" >> beam.GroupByKey()
        | "find copies" >> beam.FlatMapTuple(find_copies)  # (file, packed _COPY)
        | "group copies" >> beam.GroupByKey()
    )
    (
        inputs
        | "spread files" >> beam.Reshuffle()
        | "write files" >> beam.ParDo(WriteFile(files, kind=kind, out=out), beam.pvalue.AsDict(copies))
    )


def digest_records(element: tuple[int, str], *, kind: ConversationKind) -> Iterator[tuple[int, bytes]]:
    """Packed (digest, file, line) of one file's usable records, by the digest's partition."""
    file, path = element
    rows = [
        (int(row["digest"][:16], 16), int(row["digest"][16:], 16), file, line)
        for line, row in read_records(path, kind=kind)
        if "digest" in row
    ]
    records = np.array(rows, dtype=_RECORD)
    partitions = records["low"] % NUM_PARTITIONS
    for partition in np.unique(partitions):
        yield int(partition), records[partitions == partition].tobytes()


def find_copies(_partition: int, packed: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """For each file, the lines whose digest stands earlier (file, then line), with the place of the first."""
    records = np.sort(np.frombuffer(b"".join(packed), dtype=_RECORD), order=["high", "low", "file", "line"])
    is_copy = np.zeros(len(records), dtype=bool)
    is_copy[1:] = (records["high"][1:] == records["high"][:-1]) & (records["low"][1:] == records["low"][:-1])
    first = np.maximum.accumulate(np.where(is_copy, 0, np.arange(len(records))))
    copies = np.empty(len(records), dtype=_COPY)
    copies["line"] = records["line"]
    copies["first_file"], copies["first_line"] = records["file"][first], records["line"][first]
    for file in np.unique(records["file"][is_copy]):
        yield int(file), copies[is_copy & (records["file"] == file)].tobytes()


class WriteFile(beam.DoFn):
    """(file, path) → its rows and failures as two Parquet files; the rows are renamed into place last."""

    def __init__(self, files: list[str], *, kind: ConversationKind, out: str) -> None:
        self.files, self.kind, self.out = files, kind, out

    def process(self, element: tuple[int, str], copies: dict[int, Iterable[bytes]]) -> None:
        """Parses the file again and drops its copies."""
        file, path = element
        packed = np.frombuffer(b"".join(copies.get(file, ())), dtype=_COPY)
        firsts = {int(line): f"{self.files[first_file]} line {first_line}" for line, first_file, first_line in packed}
        name, schema = TABLES[self.kind]
        with ExitStack() as stack:
            rows = stack.enter_context(TableWriter(self._part(name, file), schema))
            failures = stack.enter_context(TableWriter(self._part(FAILURES, file), CONVERSATION_FAILURES))
            for line, row in read_records(path, kind=self.kind):
                if line in firsts and "digest" in row:
                    message = f"same messages as {firsts[line]}"
                    failures.add(_failure(path, line, kind="duplicate", message=message, data=row["id"].encode()))
                else:
                    (rows if "digest" in row else failures).add(row)

    def _part(self, name: str, file: int) -> str:
        return join(self.out, name, f"part-{file:05d}.parquet")


class TableWriter:
    """Rows one by one into a zstd Parquet file that appears when the block ends without an error."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._rows: list[dict[str, Any]] = []
        self._stack = ExitStack()

    def __enter__(self) -> "TableWriter":
        with ExitStack() as stack:
            file = stack.enter_context(written_whole(self._path))
            self._writer = stack.enter_context(pq.ParquetWriter(file, self._schema, compression="zstd"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:  # noqa: ANN401 - exception type, value, traceback
        if details[0] is None:
            self._flush()
        self._stack.__exit__(*details)

    def add(self, row: dict[str, Any]) -> None:
        """Appends one row."""
        self._rows.append(row)
        if len(self._rows) == ROWS_PER_BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []


def read_records(path: str, *, kind: ConversationKind) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) for every record of a file; a row without `digest` is a failure. Never raises on bad data."""
    name = path.rsplit("/", 1)[-1]
    is_empty = True
    try:
        for line, data in read_lines(path):
            is_empty = False
            if isinstance(data, Damage):
                yield line, _failure(path, line, kind="unreadable", message=data.message, data=b"")
                continue
            try:
                yield line, parse_record(data, kind, name=name, number=line)
            except UnusableRecordError as error:
                yield line, _failure(path, line, kind=error.kind, message=str(error), data=data)
    except OSError as error:
        is_empty = False
        yield 0, _failure(path, 0, kind="unreadable", message=str(error), data=b"")
    if is_empty:
        yield 0, _failure(path, 0, kind="empty_file", message="no line holds anything", data=b"")


def read_lines(path: str) -> Iterator[tuple[int, bytes | Damage]]:
    """(number from 1, line) of the lines that hold more than whitespace; Damage stands for the line it broke.

    A row of a Parquet file counts as the line that it would be as JSON.
    """
    if path.endswith(".parquet"):
        yield from _parquet_lines(path)
        return
    number, rest = 0, b""
    for block in read_blocks(path):
        if isinstance(block, Damage):
            yield number + 1, block
            rest = b""
            continue
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            number += 1
            if line.strip():
                yield number, line
    if rest.strip():
        yield number + 1, rest


def _parquet_lines(path: str) -> Iterator[tuple[int, bytes | Damage]]:
    number = 0
    try:
        with fsspec.open(path, "rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(ROWS_PER_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, json.dumps(row, ensure_ascii=False, default=str).encode()
    except pa.ArrowException as error:
        yield number + 1, Damage("unreadable", str(error))


def _failure(path: str, line: int, *, kind: str, message: str, data: bytes) -> dict[str, Any]:
    return {"path": path, "line": line, "error": kind, "message": message, "first_bytes": data[:200]}


def _count(out: str, name: str) -> dict[str, int]:
    lanes, errors = _value_counts(join(out, name), "lane"), _value_counts(join(out, FAILURES), "error")
    kept, failed = lanes.total(), errors.total()
    by_reason = {f"failed:{error}": count for error, count in sorted(errors.items())}
    by_lane = {f"kept:{lane}": count for lane, count in sorted(lanes.items())}
    return {"read": kept + failed, "kept": kept, "failed": failed, **by_lane, **by_reason}


def _value_counts(directory: str, column: str) -> Counter[str]:
    """How often each value of a text column stands in the parts of a directory."""
    counts = Counter[str]()
    for part in list_files(directory, suffix=".parquet"):
        counts.update(str(value) for value in read_parquet(part, columns=[column])[column].to_pylist())
    return counts


def _fingerprint(files: list[str], kind: ConversationKind) -> str:
    described = json.dumps([kind, [(path, file_digest(path)) for path in files]])
    return hashlib.sha256(described.encode()).hexdigest()[:16]
