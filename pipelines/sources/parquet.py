"""Parquet: one row, one record; columns as the keys of `jsonl`, `a.b` the field b of a struct a.

Bytes columns are read as UTF-8.
"""

from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.pipelines.batch import is_utf8, text_buffers, text_column
from ctllm.pipelines.sources.jsonl import CODE_KEYS, code_language, own_id, parse_row
from ctllm.pipelines.sources.records import Failure, Record, RecordBlock
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.curation_config import SourceConfig

_TEXT_TYPES = (pa.string(), pa.large_string(), pa.string_view())

READ_BYTES = 6 << 20  # at a time, by the row group's average; most of what is read together is one batch
MIN_ROWS_PER_READ, MAX_ROWS_PER_READ = 16, 4096


def read_parquet_rows(split: Split, *, config: SourceConfig) -> Iterator[Record | RecordBlock | Failure]:
    """One record or failure per row of the split's row groups; a damaged row group is one failure. `offset` is the row.

    A record without an id gets path#row, rows counted in the file.
    """
    if not split.size_bytes:
        yield Failure(0, "empty_file", "no bytes")
        return
    with fsspec.open(split.url, "rb") as handle:
        try:
            file = pq.ParquetFile(handle)
        except (OSError, pa.ArrowException) as error:
            yield Failure(0, "unreadable", f"no readable Parquet footer: {error}")
            return
        columns = [name for name in _wanted(config) if _has(file.schema_arrow, name)]
        if config.text_field not in columns:
            names = ", ".join(file.schema_arrow.names)[:200]
            yield Failure(0, "wrong_schema", f"no column {config.text_field!r} among {names}")
            return
        if not file.metadata.num_rows:
            yield Failure(0, "empty_file", "no rows")
        first_row = sum(file.metadata.row_group(group).num_rows for group in range(split.start))
        for group in range(split.start, split.end):
            yield from _read_row_group(file, group, columns, first_row=first_row, url=split.url, config=config)
            first_row += file.metadata.row_group(group).num_rows


def _read_row_group(
    file: pq.ParquetFile, group: int, columns: list[str], *, first_row: int, url: str, config: SourceConfig
) -> Iterator[Record | RecordBlock | Failure]:
    row = first_row
    size = file.metadata.row_group(group)
    num_rows = READ_BYTES * size.num_rows // max(size.total_byte_size, 1)
    num_rows = min(max(num_rows, MIN_ROWS_PER_READ), MAX_ROWS_PER_READ)
    try:
        # Columns one after the other: the workers are the threads.
        for batch in file.iter_batches(num_rows, row_groups=[group], columns=columns, use_threads=False):
            if block := _block(batch, columns, row, url=url, config=config):
                yield block
                row += batch.num_rows
                continue
            for values in _rows(batch, columns):
                yield _parse(values, row, url=url, config=config)
                row += 1
    except (OSError, pa.ArrowException) as error:
        yield Failure(row, "broken_record", f"row group {group} cannot be read from row {row} on: {error}")


def _block(
    batch: pa.RecordBatch, columns: list[str], first_row: int, *, url: str, config: SourceConfig
) -> RecordBlock | None:
    """The batch with its texts as they are; None where a row has no text or anything is not UTF-8: row by row then."""
    texts = _utf8(_column(batch, config.text_field))
    if texts is None:
        return None
    others = {name: _column(batch, name) for name in columns if name != config.text_field}
    nothing = pa.nulls(len(texts))
    fields = (config.url_field, config.title_field, config.date_field, config.license_field, *CODE_KEYS)
    try:
        ids = _values(others.get(config.id_field, nothing))
        strings = [_strings(others.get(name, nothing)) for name in fields]
    except pa.ArrowInvalid:
        return None
    records = [
        Record(
            own_id(value) or f"{url}#{row}", row, "", url=link, title=title, date=date, license=license,
            code_language=code_language(path, lang or language),
        )
        for row, (value, link, title, date, license, path, lang, language) in enumerate(
            zip(ids, *strings, strict=True), start=first_row
        )
    ]  # fmt: skip
    return RecordBlock(records, texts)


def _values(column: "pa.Array[Any]") -> list[Any]:
    """What a column holds, its bytes read as UTF-8. Raises pa.ArrowInvalid where they are none."""
    raw = _raw(column)
    if _is_binary(raw):
        raw = raw.cast(pa.large_binary()).cast(pa.large_string())  # this way Arrow looks at the bytes
    values: list[Any] = raw.to_pylist()
    return values


def _strings(column: "pa.Array[Any]") -> list[str | None]:
    """The strings of a column, None for empty ones; nothing of a column of another type. Raises as `_values`."""
    return [value or None for value in _values(column)] if _is_binary(_raw(column)) else [None] * len(column)


def _is_binary(column: "pa.Array[Any]") -> bool:
    return bool(pa.types.is_large_binary(column.type) or pa.types.is_binary(column.type))


def _utf8(column: "pa.Array[Any]") -> "pa.Array[Any] | None":
    """A column of strings or bytes as large_string; None for other types, with nulls, or where it is not UTF-8."""
    raw = _raw(column)
    if not _is_binary(raw) or raw.null_count:
        return None
    texts = text_buffers(raw.cast(pa.large_binary()).view(pa.large_string()))
    return text_column(*texts) if is_utf8(*texts) else None


def _wanted(config: SourceConfig) -> tuple[str, ...]:
    fields = (config.text_field, config.id_field, config.url_field)
    return tuple(dict.fromkeys((*fields, config.title_field, config.date_field, config.license_field, *CODE_KEYS)))


def _has(schema: pa.Schema, name: str) -> bool:
    """Whether the file has a column `name`, or a field of that path in its structs."""
    if name in schema.names:
        return True
    kind: Any = pa.struct(list(schema))
    for part in name.split("."):
        index = kind.get_field_index(part) if isinstance(kind, pa.StructType) else -1
        if index < 0:
            return False
        kind = kind.field(index).type
    return True


def _rows(batch: pa.RecordBatch, names: list[str]) -> Iterator[dict[str, Any]]:
    """The batch's rows with strings as bytes: Arrow does not check that what Parquet calls a string is UTF-8."""
    columns = {name: _raw(_column(batch, name)).to_pylist() for name in names}
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _column(batch: pa.RecordBatch, name: str) -> "pa.Array[Any]":
    if name in batch.schema.names:
        return batch.column(name)
    first, *rest = name.split(".")
    return pc.struct_field(batch.column(first), rest)


def _raw(column: "pa.Array[Any]") -> "pa.Array[Any]":
    if isinstance(column.type, pa.DictionaryType):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_binary()) if column.type in _TEXT_TYPES else column


def _parse(values: dict[str, Any], row: int, *, url: str, config: SourceConfig) -> Record | Failure:
    try:
        decoded = {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
    except UnicodeDecodeError as error:
        return Failure(row, "broken_encoding", f"not UTF-8 at byte {error.start}", values[config.text_field][:200])
    return parse_row(decoded, id=f"{url}#{row}", offset=row, config=config)
