"""One split as Arrow batches of documents and failures: the only door through which text enters the pipeline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.language import LanguageIdentifier, describe_languages
from ctllm.pipelines.mojibake import repair
from ctllm.pipelines.normalise import normalise
from ctllm.pipelines.sources.html import read_html
from ctllm.pipelines.sources.jsonl import read_json, read_jsonl
from ctllm.pipelines.sources.parquet import read_parquet_rows
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.pipelines.sources.repositories import read_code, read_tree
from ctllm.pipelines.sources.split import Split
from ctllm.pipelines.sources.text import read_text
from ctllm.pipelines.sources.warc import read_warc
from ctllm.schemas.curation_config import CurationConfig, SourceConfig
from ctllm.schemas.document import DOCUMENTS, FAILURES, MAX_ROWS_PER_SPLIT, document_keys
from ctllm.schemas.errors import InputError

READERS: dict[str, Callable[..., Iterator[Record | Failure]]] = {
    "warc": read_warc,
    "jsonl": read_jsonl,
    "json": read_json,
    "parquet": read_parquet_rows,
    "html": read_html,
    "text": read_text,
    "code": read_code,
    "tree": read_tree,
}
"""Reader of each format: (split, config=SourceConfig) → records and failures in the order of the file."""

MAX_BATCH_DOCUMENTS = 4096
MAX_BATCH_BYTES = 8 << 20


@dataclass(frozen=True)
class SourceBatch:
    """Rows of `documents/` and `failures/`; either may have no rows."""

    documents: pa.RecordBatch
    failures: pa.RecordBatch


@dataclass
class _Pending:
    records: list[Record] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    num_bytes: int = 0

    def is_full(self, next_bytes: int) -> bool:
        """Whether another text of `next_bytes` would exceed the bounds of a batch."""
        num_rows = max(len(self.records), len(self.failures))
        return num_rows == MAX_BATCH_DOCUMENTS or (self.num_bytes > 0 and self.num_bytes + next_bytes > MAX_BATCH_BYTES)


def read_batches(split: Split, *, config: CurationConfig, identifier: LanguageIdentifier) -> Iterator[SourceBatch]:
    """Every record of the split as a document or a failure, in order, in batches of at most 4,096 documents or 8 MiB.

    A larger document is a batch of its own. Nothing in the data raises; InputError only for more rows than keys number.
    """
    pending = _Pending()
    first_row = 0
    for found in _read(split, config):
        checked = _checked(found, config.sources) if isinstance(found, Record) else found
        num_bytes = 0 if isinstance(checked, Failure) else checked[1]
        if pending.is_full(num_bytes):
            yield _batch(pending, split, first_row=first_row, config=config, identifier=identifier)
            first_row += len(pending.records)
            pending = _Pending()
        if isinstance(checked, Failure):
            pending.failures.append(checked)
        else:
            pending.records.append(checked[0])
            pending.num_bytes += num_bytes
    if pending.records or pending.failures:
        yield _batch(pending, split, first_row=first_row, config=config, identifier=identifier)


def _read(split: Split, config: CurationConfig) -> Iterator[Record | Failure]:
    try:
        yield from READERS[split.format](split, config=config.sources)
    except OSError as error:
        yield Failure(split.start, "unreadable", f"{type(error).__name__}: {error}")


def _checked(record: Record, config: SourceConfig) -> tuple[Record, int] | Failure:
    """The record with repaired and normalised text, and its size in UTF-8; or why it is no document."""
    is_prose = record.code_language is None  # a program may hold mojibake on purpose
    repaired = repair(record.text) if config.repair_mojibake and is_prose else None
    text = normalise(repaired.text if repaired else record.text)
    try:
        data = text.encode()
        "".join(filter(None, (record.id, record.url, record.title, record.date, record.license))).encode()
    except UnicodeEncodeError:
        first_bytes = record.text[:NUM_FIRST_BYTES].encode("utf-8", "replace")[:NUM_FIRST_BYTES]
        return Failure(
            record.offset, "broken_encoding", "half a surrogate pair (\\ud800 to \\udfff)", first_bytes, record.path
        )
    if not text.strip():
        return Failure(record.offset, "empty_text", f"no text in {record.id}", data[:NUM_FIRST_BYTES], record.path)
    if len(data) > config.max_document_bytes:
        message = f"{len(data)} bytes of text are more than sources.max_document_bytes={config.max_document_bytes}"
        return Failure(record.offset, "too_large", message, data[:NUM_FIRST_BYTES], record.path)
    return replace(record, text=text, repair=repaired.steps if repaired else None), len(data)


def _batch(
    pending: _Pending, split: Split, *, first_row: int, config: CurationConfig, identifier: LanguageIdentifier
) -> SourceBatch:
    if first_row + len(pending.records) > MAX_ROWS_PER_SPLIT:
        raise InputError(f"{split.url}: more than {MAX_ROWS_PER_SPLIT} documents in one split; cut the file in two")
    documents = _documents(pending.records, split, first_row=first_row, config=config, identifier=identifier)
    return SourceBatch(documents, _failures(pending.failures, split))


def _documents(
    records: list[Record], split: Split, *, first_row: int, config: CurationConfig, identifier: LanguageIdentifier
) -> pa.RecordBatch:
    num_rows = len(records)
    texts = [record.text for record in records]
    languages = describe_languages(
        texts,
        code_languages=[record.code_language for record in records],
        identifier=identifier,
        config=config.language,
    )
    columns: dict[str, Any] = {
        "key": document_keys(snapshot=config.snapshot, split=split.index, first_row=first_row, num_rows=num_rows),
        "source": [split.source] * num_rows,
        "snapshot": np.full(num_rows, config.snapshot, np.uint16),
        "path": [record.path or split.url for record in records],
        "lane": [each.lane for each in languages],
        "lang": [each.lang for each in languages],
        "lang_score": [each.score for each in languages],
        "script": [each.script for each in languages],
        "text": texts,
    }
    for name in ("id", "url", "title", "date", "license", "charset", "repair"):
        columns[name] = [getattr(record, name) for record in records]
    return _record_batch(columns, DOCUMENTS)


def _failures(failures: list[Failure], split: Split) -> pa.RecordBatch:
    columns = {
        "source": [split.source] * len(failures),
        "path": [failure.path or split.url for failure in failures],
        "split": [split.index] * len(failures),
        "offset": [failure.offset for failure in failures],
        "error": [failure.error for failure in failures],
        "message": [failure.message.encode("utf-8", "replace").decode() for failure in failures],
        "first_bytes": [failure.first_bytes for failure in failures],
    }
    return _record_batch(columns, FAILURES)


def _record_batch(columns: dict[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    return pa.record_batch([pa.array(columns[each.name], each.type) for each in schema], schema=schema)
