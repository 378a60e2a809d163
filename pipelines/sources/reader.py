"""One split as Arrow batches of documents and failures: the only door through which text enters the pipeline."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import TextBatch, text_buffers, text_column
from ctllm.pipelines.language import DocumentLanguage, LanguageIdentifier, describe_languages
from ctllm.pipelines.mojibake import may_be_mojibake, repair
from ctllm.pipelines.normalise import blank_texts, normalise
from ctllm.pipelines.sources.html import read_html
from ctllm.pipelines.sources.jsonl import read_json, read_jsonl
from ctllm.pipelines.sources.parquet import read_parquet_rows
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record, RecordBlock
from ctllm.pipelines.sources.repositories import read_code, read_tree
from ctllm.pipelines.sources.split import Split
from ctllm.pipelines.sources.text import read_text
from ctllm.pipelines.sources.warc import read_warc
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS, FAILURES, MAX_ROWS_PER_SPLIT, document_keys
from ctllm.schemas.errors import InputError

READERS: dict[str, Callable[..., Iterator[Record | RecordBlock | Failure]]] = {
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


Found = Record | Failure


@dataclass(frozen=True)
class SourceBatch:
    """Rows of `documents/` and `failures/`; either may have no rows."""

    documents: pa.RecordBatch
    failures: pa.RecordBatch
    texts: TextBatch
    """The documents' texts, decoded."""


@dataclass
class _Pending:
    found: list[Found] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    num_bytes: int = 0

    def is_full(self, next_bytes: int) -> bool:
        """Whether another text of `next_bytes` would exceed the bounds of a batch."""
        is_large = self.num_bytes > 0 and self.num_bytes + next_bytes > MAX_BATCH_BYTES
        return len(self.found) == MAX_BATCH_DOCUMENTS or is_large

    def columns(self) -> tuple[list[Found], "pa.Array[Any]"]:
        """What was found, in order, and the texts of its records."""
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(text) for text in self.texts], dtype=np.int64)])
        return self.found, text_column(np.frombuffer(b"".join(self.texts), np.uint8), offsets)


def read_batches(split: Split, *, config: CurationConfig, identifier: LanguageIdentifier) -> Iterator[SourceBatch]:
    """Every record of the split as a document or a failure, in order, in batches of at most 4,096 rows or 8 MiB.

    A larger document is a batch of its own. Nothing in the data raises; InputError only for more rows than keys number.
    """
    first_row = 0
    for found, texts in _bounded(_read(split, config)):
        repaired, raw = _repaired(found, texts) if config.sources.repair_mojibake else (found, texts)
        checked, kept = _checked(repaired, normalise(raw), max_bytes=config.sources.max_document_bytes)
        records = [each for each in checked if isinstance(each, Record)]
        if first_row + len(records) > MAX_ROWS_PER_SPLIT:
            raise InputError(f"{split.url}: more than {MAX_ROWS_PER_SPLIT} documents in one split; cut the file in two")
        decoded = TextBatch.of(kept)
        languages = describe_languages(
            decoded,
            code_languages=[record.code_language for record in records],
            identifier=identifier,
            config=config.language,
        )
        keys = document_keys(snapshot=config.snapshot, split=split.index, first_row=first_row, num_rows=len(records))
        documents = _documents(records, split, keys=keys, texts=kept, languages=languages, snapshot=config.snapshot)
        yield SourceBatch(documents, _failures([each for each in checked if isinstance(each, Failure)], split), decoded)
        first_row += len(records)


def _read(split: Split, config: CurationConfig) -> Iterator[Record | RecordBlock | Failure]:
    try:
        yield from READERS[split.format](split, config=config.sources)
    except OSError as error:
        yield Failure(split.start, "unreadable", f"{type(error).__name__}: {error}")


def _bounded(found: Iterator[Record | RecordBlock | Failure]) -> Iterator[tuple[list[Found], "pa.Array[Any]"]]:
    """What was found in runs within the bounds of a batch, with the texts of the records in each."""
    pending = _Pending()
    for each in found:
        if isinstance(each, RecordBlock):
            if pending.found:
                yield pending.columns()
                pending = _Pending()
            yield from _pieces(each)
            continue
        encoded = _encoded(each) if isinstance(each, Record) else each
        num_bytes = len(encoded) if isinstance(encoded, bytes) else 0
        if pending.is_full(num_bytes):
            yield pending.columns()
            pending = _Pending()
        if isinstance(encoded, bytes):
            pending.found.append(each)
            pending.texts.append(encoded)
            pending.num_bytes += num_bytes
        else:
            pending.found.append(encoded)
    if pending.found:
        yield pending.columns()


def _pieces(block: RecordBlock) -> Iterator[tuple[list[Found], "pa.Array[Any]"]]:
    _, offsets = text_buffers(block.texts)
    start = 0
    while start < len(block.records):
        fitting = int(np.searchsorted(offsets, offsets[start] + MAX_BATCH_BYTES, side="right")) - 1
        stop = min(max(fitting, start + 1), start + MAX_BATCH_DOCUMENTS)
        yield [*block.records[start:stop]], block.texts.slice(start, stop - start)
        start = stop


def _encoded(record: Record) -> bytes | Failure:
    """The record's text in UTF-8; a failure where it or what is said about it cannot be written so."""
    try:
        "".join(filter(None, (record.id, record.url, record.title, record.date, record.license))).encode()
        return record.text.encode()
    except UnicodeEncodeError:
        first_bytes = record.text[:NUM_FIRST_BYTES].encode("utf-8", "replace")[:NUM_FIRST_BYTES]
        return Failure(
            record.offset, "broken_encoding", "half a surrogate pair (\\ud800 to \\udfff)", first_bytes, record.path
        )


def _repaired(found: list[Found], texts: "pa.Array[Any]") -> tuple[list[Found], "pa.Array[Any]"]:
    """Records that say what was repaired in their texts, and the texts. A program may hold mojibake on purpose."""
    suspects = np.flatnonzero(may_be_mojibake(*text_buffers(texts)))
    if not len(suspects):
        return found, texts
    changed = list(found)
    places = [place for place, each in enumerate(found) if isinstance(each, Record)]
    pieces, start = [], 0
    for row in suspects.tolist():
        record = found[places[row]]
        assert isinstance(record, Record)
        if record.code_language is None and (repaired := repair(texts[row].as_py())):
            changed[places[row]] = record._replace(repair=repaired.steps)
            pieces += [texts.slice(start, row - start), pa.array([repaired.text], pa.large_string())]
            start = row + 1
    return changed, pa.concat_arrays([*pieces, texts.slice(start)])


def _checked(found: list[Found], texts: "pa.Array[Any]", *, max_bytes: int) -> tuple[list[Found], "pa.Array[Any]"]:
    """Records whose (normalised) text is empty or too large as failures, and the texts of the others."""
    data, offsets = text_buffers(texts)
    sizes = np.diff(offsets)
    is_blank = blank_texts(data, offsets)
    is_refused = is_blank | (sizes > max_bytes)
    if not is_refused.any():
        return found, texts
    checked = list(found)
    places = [place for place, each in enumerate(found) if isinstance(each, Record)]
    for row in np.flatnonzero(is_refused).tolist():
        record = found[places[row]]
        assert isinstance(record, Record)
        first_bytes = data[offsets[row] : offsets[row + 1]][:NUM_FIRST_BYTES].tobytes()
        if is_blank[row]:
            failure = Failure(record.offset, "empty_text", f"no text in {record.id}", first_bytes, record.path)
        else:
            message = f"{sizes[row]} bytes of text are more than sources.max_document_bytes={max_bytes}"
            failure = Failure(record.offset, "too_large", message, first_bytes, record.path)
        checked[places[row]] = failure
    return checked, texts.filter(pa.array(~is_refused))


def _documents(
    records: list[Record],
    split: Split,
    *,
    keys: np.ndarray,
    texts: "pa.Array[Any]",
    languages: list[DocumentLanguage],
    snapshot: int,
) -> pa.RecordBatch:
    columns: dict[str, Any] = {
        "key": keys,
        "source": pa.repeat(split.source, len(records)),
        "snapshot": np.full(len(records), snapshot, np.uint16),
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
    arrays = [
        column if isinstance(column := columns[each.name], pa.Array) else pa.array(column, each.type) for each in schema
    ]
    return pa.record_batch(arrays, schema=schema)
