"""Beam jobs: conversations or preference pairs to Parquet; what cannot be used is counted, with why.

    OUT/conversations/part-00000.parquet   kind sft (preferences/ for kind preference), one file for each input
    OUT/failures/part-00000.parquet        one row for every record that was dropped: broken, copy, benchmark item
    OUT/_SUCCESS                           manifest: read = kept + failed

1. `read files`: each file is parsed once; rows, their dedup signatures and benchmark items in them go to OUT/work.
2. `dedup.join` finds copies across files; the first of the first file stays.
3. `write files`: rows that stay, and the others as failures that name what they are copies of.
"""

import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.pipelines.conversation_files import ROWS_PER_BATCH, SUFFIXES, failure, read_rows
from ctllm.pipelines.decontaminate.benchmark_files import benchmarks_digest
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.signals.words import units_of
from ctllm.pipelines.spread import Spread
from ctllm.schemas.conversation_config import ConversationConfig
from ctllm.schemas.conversations import CONVERSATION_FAILURES, TABLES, ConversationKind
from ctllm.schemas.document import document_keys, rows_of, split_of
from ctllm.schemas.duplicates import BANDS, PAIRS
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import (
    exists,
    file_digest,
    join,
    list_files,
    packaged,
    read_parquet,
    remove_tree,
    write_parquet,
    written_whole,
)
from ctllm.schemas.manifest import SUCCESS, StageManifest, finish_stage, finished_stage
from ctllm.schemas.progress import Progress, silent

STAGE = "conversations"
FAILURES = "failures"
WORK = "work"
_NO_ITEM = ""

PLACES = pa.schema(
    [
        pa.field("line", pa.int64(), nullable=False),
        pa.field("item", pa.string(), nullable=False, metadata={"meaning": "benchmark item in the record, or empty"}),
        pa.field("overlap", pa.float64(), nullable=False),
    ]
)
"""Beside each row of OUT/work: where it stood, and the benchmark item that removes it."""

COPIES = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("kept_key", pa.uint64(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("jaccard", pa.float32(), nullable=False),
        pa.field("kept_line", pa.int64(), nullable=False),
    ]
)


def convert_conversations(
    inputs: Sequence[str],
    *,
    kind: ConversationKind,
    out: str,
    options: RunnerOptions,
    config: ConversationConfig = ConversationConfig(),  # noqa: B008 - frozen
    progress: Progress = silent,
) -> StageManifest:
    """Converts files, globs and directories of JSONL, JSON arrays and Parquet; equal inputs give equal bytes.

    The manifest counts read, kept and failed records, `failed:<reason>` and `kept:<lane>`. A finished directory is
    returned as it is. Raises InputError when there is no input or nothing in it can be used, OutputError when `out`
    holds another conversion.
    """
    started = time.monotonic()
    files = find_inputs(inputs)
    job = ConversationJob(files, kind=kind, out=out, config=config)
    fingerprint = job.fingerprint()
    if finished := finished_stage(out, fingerprint=fingerprint):
        return finished
    if exists(join(out, SUCCESS)):
        raise OutputError(f"{out}: holds the conversion of other inputs; choose another --out or delete it")
    for directory in (job.table, FAILURES, WORK):
        remove_tree(join(out, directory))
    options = options.recorded_in(out)
    run = partial(run_job, options=options, total=len(files), progress=progress)
    run(STAGE, job.read_files, watch=job.directory("bands"))
    job.find_copies(options, progress=progress)
    run(STAGE, job.write_files, watch=join(out, job.table))
    counts = job.count()
    if not counts["kept"]:
        reasons = {name.removeprefix("failed:"): count for name, count in counts.items() if name.startswith("failed:")}
        why = ", ".join(f"{count} {reason}" for reason, count in reasons.items())
        raise InputError(
            f"{', '.join(inputs)}: none of {counts['read']} records can be used ({why}); see {out}/{FAILURES}"
        )
    remove_tree(join(out, WORK))
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


def first_failures(out: str) -> list[list[str]]:
    """Reason, place and message of the first record that failed for each reason, by reason."""
    found: dict[str, list[str]] = {}
    for part in list_files(join(out, FAILURES), suffix=".parquet"):
        for row in read_parquet(part).to_pylist():
            found.setdefault(row["error"], [row["error"], f"{row['path']} line {row['line']}", row["message"]])
    return [found[reason] for reason in sorted(found)]


class ConversationJob:
    """The steps of one conversion; files are known by their number in the sorted list."""

    def __init__(self, files: list[str], *, kind: ConversationKind, out: str, config: ConversationConfig) -> None:
        self.files, self.kind, self.out, self.config = files, kind, out, config
        self.table, self.schema = TABLES[kind]
        self.dedup = config.dedup(answers_vary=kind == "preference")

    def fingerprint(self) -> str:
        """16 hex digits over the inputs, the settings and the benchmarks' items."""
        described = json.dumps([
            self.kind,
            self.config.digest(),
            benchmarks_digest(self.config.decontamination),
            [(path, file_digest(path)) for path in self.files],
        ])  # fmt: skip
        return hashlib.sha256(described.encode()).hexdigest()[:16]

    def directory(self, name: str) -> str:
        """A directory of intermediate tables: rows, places, bands, pairs."""
        return join(self.out, WORK, name)

    def part(self, directory: str, file: int) -> str:
        """The part of one input file."""
        return join(directory, f"part-{file:05d}.parquet")

    def read_files(self, pipeline: beam.Pipeline) -> None:
        """Adds the steps of the first job: (file, path) to tables in OUT/work."""
        (pipeline | "files" >> Spread(enumerate(self.files)) | "read files" >> beam.ParDo(ReadFile(self)))

    def find_copies(self, options: RunnerOptions, *, progress: Progress) -> None:
        """Verified pairs, and who stays of them: OUT/work/copies.parquet. A benchmark item stands for nobody."""
        bands = [self.part(self.directory("bands"), file) for file in range(len(self.files))]
        find_pairs(bands, out=self.directory("pairs"), config=self.dedup, options=options, progress=progress)
        pairs = pa.concat_tables(
            [PAIRS.empty_table(), *map(read_parquet, list_files(self.directory("pairs"), suffix=".parquet"))]
        )
        places = [read_parquet(self.part(self.directory("places"), file)) for file in range(len(self.files))]
        keys = [_keys(file, table.num_rows) for file, table in enumerate(places)]
        kept = [own[pc.equal(table["item"], _NO_ITEM).to_numpy()] for own, table in zip(keys, places, strict=True)]
        all_keys = np.concatenate(keys)
        found = choose_survivors(
            pairs,
            kept_keys=np.concatenate(kept),
            order_columns=pa.table({"key": all_keys}),
            config=self.dedup,
        )
        kept_keys = found["kept_key"].to_numpy()
        lines = pa.concat_tables(places)["line"].to_numpy()[np.searchsorted(all_keys, kept_keys)]
        columns = [found[name] for name in ("key", "kept_key", "kind", "jaccard")]
        write_parquet(join(self.out, WORK, "copies.parquet"), pa.table([*columns, lines], schema=COPIES))

    def write_files(self, pipeline: beam.Pipeline) -> None:
        """Adds the steps of the last job: (file, path) to its rows and failures."""
        (pipeline | "files" >> Spread(enumerate(self.files)) | "write files" >> beam.ParDo(WriteFile(self)))

    def count(self) -> dict[str, int]:
        """Records by outcome, from the files written."""
        lanes, errors = (
            _value_counts(join(self.out, self.table), "lane"),
            _value_counts(join(self.out, FAILURES), "error"),
        )
        kept, failed = lanes.total(), errors.total()
        by_reason = {f"failed:{error}": count for error, count in sorted(errors.items())}
        by_lane = {f"kept:{lane}": count for lane, count in sorted(lanes.items())}
        return {"read": kept + failed, "kept": kept, "failed": failed, **by_lane, **by_reason}


class ReadFile(beam.DoFn):
    """(file, path) → rows, places, bands and failures of the file, under OUT/work."""

    def __init__(self, job: ConversationJob) -> None:
        self.job = job

    def setup(self) -> None:
        """Loads permutations and benchmark items once per worker."""
        self.signer = Signer(self.job.dedup)
        self.benchmarks = BenchmarkIndex.load(self.job.config.decontamination)

    def process(self, element: tuple[int, str]) -> None:
        """Parses one file; at most a batch of it is in memory."""
        file, path = element
        job = self.job
        schemas = {"bands": BANDS, "failures": CONVERSATION_FAILURES, "places": PLACES, "rows": job.schema}
        num_rows = 0
        with ExitStack() as stack:
            tables = {
                name: stack.enter_context(TableWriter(job.part(job.directory(name), file), schema))
                for name, schema in schemas.items()
            }
            records = read_rows(path, kind=job.kind)
            while batch := list(itertools.islice(records, ROWS_PER_BATCH)):
                rows = [(line, row) for line, row in batch if "digest" in row]
                tables["failures"].write([row for _, row in batch if "digest" not in row])
                if rows:
                    texts = [_text(row) for _, row in rows]
                    tables["rows"].write([row for _, row in rows])
                    tables["places"].write(self._places([line for line, _ in rows], texts))
                    tables["bands"].write_batch(self._bands(texts, file=file, first_row=num_rows))
                    num_rows += len(rows)

    def _bands(self, texts: list[str], *, file: int, first_row: int) -> pa.RecordBatch:
        keys = document_keys(snapshot=0, split=file, first_row=first_row, num_rows=len(texts))
        columns = {
            "key": keys,
            "url": pa.nulls(len(texts), pa.string()),
            "lane": ["zh"] * len(texts),
            "text": pa.array(texts, pa.large_string()),
        }
        return self.signer.sign(pa.record_batch(columns))

    def _places(self, lines: list[int], texts: list[str]) -> list[dict[str, Any]]:
        places = [{"line": line, "item": _NO_ITEM, "overlap": 0.0} for line in lines]
        if not self.benchmarks.items:
            return places
        best = self.benchmarks.best(units_of(texts))
        for at in np.flatnonzero(best.shares > self.job.config.max_benchmark_overlap).tolist():
            item = self.benchmarks.items[best.items[at]]
            places[at] |= {"item": f"{item.benchmark} {item.item_id}", "overlap": float(best.shares[at])}
        return places


class WriteFile(beam.DoFn):
    """(file, path) → its rows and failures as two Parquet files; the rows are renamed into place last."""

    def __init__(self, job: ConversationJob) -> None:
        self.job = job

    def process(self, element: tuple[int, str]) -> None:
        """Reads the tables of OUT/work and divides them."""
        file, path = element
        job = self.job
        messages = self._removed(file)
        places = read_parquet(job.part(job.directory("places"), file))["line"].to_pylist()
        with ExitStack() as stack:
            rows = stack.enter_context(TableWriter(job.part(join(job.out, job.table), file), job.schema))
            failures = stack.enter_context(TableWriter(job.part(join(job.out, FAILURES), file), CONVERSATION_FAILURES))
            failures.write(read_parquet(job.part(job.directory("failures"), file)).to_pylist())
            first = 0
            for batch in _batches(job.part(job.directory("rows"), file)):
                numbered = list(enumerate(batch.to_pylist(), start=first))
                rows.write([row for number, row in numbered if number not in messages])
                failures.write([
                    failure(path, places[number], kind=kind, message=message, data=_beginning(row))
                    for number, row in numbered
                    for kind, message in messages.get(number, ())
                ])  # fmt: skip
                first += batch.num_rows

    def _removed(self, file: int) -> dict[int, list[tuple[str, str]]]:
        """Rows of the file that are copies or benchmark items, with the one reason and message of each."""
        job = self.job
        found: dict[int, list[tuple[str, str]]] = {}
        for number, place in enumerate(read_parquet(job.part(job.directory("places"), file)).to_pylist()):
            if place["item"] != _NO_ITEM:
                found[number] = [("benchmark_item", f"holds {place['overlap']:.0%} of {place['item']}")]
        copies = read_parquet(join(job.out, WORK, "copies.parquet"))
        copies = copies.filter(pa.array(split_of(copies["key"].to_numpy()) == file))
        rows, kept = rows_of(copies["key"].to_numpy()).tolist(), split_of(copies["kept_key"].to_numpy()).tolist()
        for number, kept_file, copy in zip(rows, kept, copies.to_pylist(), strict=True):
            where = f"{job.files[kept_file]} line {copy['kept_line']}"
            if copy["kind"] == "exact":
                found[number] = [("duplicate", f"same messages as {where}")]
            else:
                found[number] = [("near_duplicate", f"near copy of {where}, Jaccard {copy['jaccard']:.2f}")]
        return found


class TableWriter:
    """Batches of rows into a zstd Parquet file that appears when the block ends without an error."""

    def __init__(self, path: str, schema: pa.Schema) -> None:
        self._path, self._schema = path, schema
        self._stack = ExitStack()

    def __enter__(self) -> "TableWriter":
        with ExitStack() as stack:
            file = stack.enter_context(written_whole(self._path))
            self._writer = stack.enter_context(pq.ParquetWriter(file, self._schema, compression="zstd"))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *details: Any) -> None:  # noqa: ANN401 - exception type, value, traceback
        self._stack.__exit__(*details)

    def write(self, rows: list[dict[str, Any]]) -> None:
        """Appends rows as a group; none writes nothing."""
        if rows:
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))

    def write_batch(self, batch: pa.RecordBatch) -> None:
        """Appends a batch as a group."""
        self._writer.write_batch(batch)


def _batches(path: str) -> Any:  # noqa: ANN401 - iterator of record batches
    with fsspec.open(path, "rb") as file:
        yield from pq.ParquetFile(file).iter_batches(ROWS_PER_BATCH)


def _keys(file: int, num_rows: int) -> np.ndarray:
    return document_keys(snapshot=0, split=file, first_row=0, num_rows=num_rows)


def _text(row: dict[str, Any]) -> str:
    """Everything that is said in a row; a line break cannot be confused with one inside a message for long."""
    said = [message["content"] for message in row.get("messages") or row["prompt"]]
    return "\n\n".join([*said, *(row[answer] for answer in ("chosen", "rejected") if answer in row)])


def _beginning(row: dict[str, Any]) -> bytes:
    """What a failure shows of a row: its id and how it begins."""
    return f"{row['id']}: {_text(row)[:100]}".encode()


def _value_counts(directory: str, column: str) -> Counter[str]:
    """How often each value of a text column stands in the parts of a directory."""
    counts = Counter[str]()
    for part in list_files(directory, suffix=".parquet"):
        counts.update(str(value) for value in read_parquet(part, columns=[column])[column].to_pylist())
    return counts
