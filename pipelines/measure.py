"""Pass 1: every input split becomes rows of `documents`, `signals` and `bands`, aligned, and of the other tables here.

The only stage that reads the sources. One split is one Beam element; text stays inside this module's DoFn.
"""

from collections import Counter
from contextlib import ExitStack
from typing import IO, Self

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.decontaminate.evidence import find_evidence
from ctllm.pipelines.dedup.fingerprint import Fingerprinter
from ctllm.pipelines.guard import check_failed
from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.signals.measure import Measurer
from ctllm.pipelines.sources.reader import SourceBatch, read_batches
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.contamination import CONTAMINATION
from ctllm.schemas.document import DOCUMENTS, FAILURES
from ctllm.schemas.duplicates import BANDS
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, read_parquet, repeating_columns, written_whole
from ctllm.schemas.lines import LINES, REPEATS
from ctllm.schemas.memory import keep_freed_memory
from ctllm.schemas.signals import SIGNALS

TABLES: dict[str, pa.Schema] = {
    "failures": FAILURES,
    "contamination": CONTAMINATION,
    "signals": SIGNALS,
    "bands": BANDS,
    "lines": LINES,
    "repeats": REPEATS,
    "documents": DOCUMENTS,
}
"""Written in this order; `documents` is renamed into place last, so its presence means the split is whole."""

INTERMEDIATE_LEVEL = 1  # zstd-1 writes twice as fast as zstd-3 for 1.3 x the size (engines notes, section 7)

GROUP_ROWS, GROUP_BYTES = 4096, 8 << 20
"""A row group is written at either, with the batch that reaches it. Large documents come a few in a batch, and a group
of 100 rows of signals is mostly headers: 12 x the CPU time and twice the bytes of one of 4,096 (2026-11)."""


class GroupedWriter:
    """A Parquet file whose row groups are gathered from batches; at most a group and a batch are in memory."""

    def __init__(self, file: IO[bytes], schema: pa.Schema, *, level: int = INTERMEDIATE_LEVEL) -> None:
        self._file = pq.ParquetWriter(
            file, schema, compression="zstd", compression_level=level, use_dictionary=repeating_columns(schema)
        )
        self._schema = schema
        self._pending: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self._write_group()
        self._file.close()

    def write(self, rows: pa.RecordBatch) -> None:
        """Rows that come after those before them."""
        self._pending.append(rows)
        num_rows = sum(batch.num_rows for batch in self._pending)
        if num_rows >= GROUP_ROWS or sum(batch.nbytes for batch in self._pending) >= GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        group = pa.Table.from_batches(self._pending, schema=self._schema)
        if group.num_rows:
            self._file.write_table(group)
        self._pending = []


class MeasureSplit(beam.DoFn):
    """Split → its index, once its files are in place. A split that is already there is not read again."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def setup(self) -> None:
        """Loads the language model, word lists and permutation tables once per worker."""
        keep_freed_memory()  # page faults are up to 7 % of the pass else (2026-11)
        self.identifier = LanguageIdentifier.load()
        self.measurer = Measurer(self.run.config)
        self.fingerprinter = Fingerprinter(self.run.config)

    def process(self, split: Split) -> list[int]:
        """Reads, measures and signs one split."""
        if not all(exists(self.run.part(name, split.index)) for name in TABLES):
            self._measure(split)
        return [split.index]

    def _measure(self, split: Split) -> None:
        with ExitStack() as stack:
            # Closed in reverse order: `documents` must be entered first to be renamed last.
            writers = {name: self._writer(stack, name, split.index) for name in reversed(TABLES)}
            for batch in read_batches(split, config=self.run.config, identifier=self.identifier):
                for name, rows in self._tables(batch).items():
                    writers[name].write(rows)

    def _writer(self, stack: ExitStack, name: str, split: int) -> GroupedWriter:
        file = stack.enter_context(written_whole(self.run.part(name, split)))
        return stack.enter_context(GroupedWriter(file, TABLES[name]))

    def _tables(self, batch: SourceBatch) -> dict[str, pa.RecordBatch]:
        documents = batch.documents
        signals = self.measurer.measure(documents, batch.texts)
        return {
            "failures": batch.failures,
            "contamination": find_evidence(
                self.measurer.benchmarks,
                documents,
                signals["benchmark_overlap"],
                min_overlap=self.run.config.decontamination.min_recorded_overlap,
            ),
            "signals": signals,
            **self.fingerprinter.measure(documents, batch.texts),
            "documents": documents,
        }


def count_records(run: Run, splits: list[Split]) -> dict[str, int]:
    """Documents and failures over all splits.

    Raises GuardError when too large a share of a source failed, InputError when there is no document at all.
    """
    read: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for split in splits:
        failures = read_parquet(run.part("failures", split.index), columns=["error"])
        num_documents = read_parquet(run.part("documents", split.index), columns=["key"]).num_rows
        read[split.source] += num_documents + failures.num_rows
        failed[split.source] += failures.num_rows
    check_failed(run, splits, read=read, failed=failed)
    if read.total() == failed.total():
        raise InputError(
            f"nothing to curate: none of {read.total()} records in the inputs became a document; "
            f"the reasons stand in {run.directory('failures')}"
        )
    return {"read": read.total(), "documents": read.total() - failed.total(), "failed": failed.total()}
