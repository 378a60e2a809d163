"""JSON Lines and JSON arrays: one object, one record; text, id, url, title, date and licence under configurable keys.

A key `a.b` is the key of that name, else `b` in the object `a`. Also read where present: `path` and `lang` (or
`language`), to know source code by.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson

from ctllm.pipelines.code_language import language_of_name, language_of_path
from ctllm.pipelines.sources.compression import read_whole
from ctllm.pipelines.sources.lines import Line, lines_of
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.curation_config import SourceConfig

CODE_KEYS = ("path", "lang", "language")
"""Keys read beside the configured ones."""

MAX_ARRAY_BYTES = 1 << 30  # a JSON array is parsed whole, in five times its size of memory


def read_jsonl(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """One record or failure per line that starts in the split; empty lines do not count.

    A record without an id gets path#row; in later blocks of a file path@start#row, with rows counted from the block.
    """
    origin = f"{split.url}@{split.start}" if split.start else split.url
    is_empty = True
    for row, line in enumerate(lines_of(split, max_bytes=config.max_document_bytes)):
        is_empty = False
        if isinstance(line, Failure):
            yield line
        elif line.data.strip():
            yield _parse_line(line, f"{origin}#{row}", config)
    if is_empty and not split.start:
        yield Failure(0, "empty_file", "no bytes")


def read_json(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """One record or failure per object of a JSON array, `offset` its row; or the file's single object."""
    data = read_whole(split.url, max_bytes=MAX_ARRAY_BYTES)
    if isinstance(data, Failure):
        yield data
        return
    value = _load(0, data)
    for row, each in enumerate(value if isinstance(value, list) else [value]):
        yield each if isinstance(each, Failure) else parse_row(each, id=f"{split.url}#{row}", offset=row, config=config)


def parse_row(row: object, *, id: str, offset: int, config: SourceConfig) -> Record | Failure:
    """The record in a JSON object or Parquet row; `id` is used where it has none of its own."""
    if not isinstance(row, dict):
        return Failure(offset, "wrong_schema", f"a {type(row).__name__} instead of an object")
    text = _value(row, config.text_field)
    if text is None:
        return Failure(offset, "missing_text", f"no {config.text_field!r} among {', '.join(map(str, row))[:200]}")
    if not isinstance(text, str):
        return Failure(offset, "not_text", f"{config.text_field!r} is a {type(text).__name__}")
    return Record(
        id=own_id(_value(row, config.id_field)) or id,
        offset=offset,
        text=text,
        url=_string(row, config.url_field),
        title=_string(row, config.title_field),
        date=_string(row, config.date_field),
        license=_string(row, config.license_field),
        code_language=code_language(_string(row, "path"), _string(row, "lang") or _string(row, "language")),
    )


def own_id(value: object) -> str | None:
    """The id of a record by the value of its field; None where that is none."""
    return str(value) if isinstance(value, str | int) and value != "" else None


def code_language(path: str | None, name: str | None) -> str | None:
    """The language of source code by the path or the language's name that a record has; None for other records."""
    if path and (language := language_of_path(path)):
        return language
    return language_of_name(name) if name else None


def _parse_line(line: Line, id: str, config: SourceConfig) -> Record | Failure:
    row = _load(line.offset, line.data)
    parsed = row if isinstance(row, Failure) else parse_row(row, id=id, offset=line.offset, config=config)
    return parsed._replace(first_bytes=line.data[:NUM_FIRST_BYTES]) if isinstance(parsed, Failure) else parsed


def _load(offset: int, data: bytes) -> Any:  # noqa: ANN401 - whatever JSON can hold, or a Failure
    with suppress(orjson.JSONDecodeError):
        return orjson.loads(data)  # twice as fast; integers beyond 64 bits become floats
    try:  # what Python also takes (a byte order mark, NaN, half a surrogate pair), and what is wrong with the rest
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return Failure(offset, "broken_encoding", f"not UTF-8 at byte {error.start}", data[:NUM_FIRST_BYTES])
    except (ValueError, RecursionError) as error:
        return Failure(offset, "broken_json", str(error), data[:NUM_FIRST_BYTES])


def _value(row: Mapping[str, object], key: str) -> object:
    """What stands under `key`, or at the end of the path `a.b`; None where there is nothing."""
    value = row.get(key)
    if value is None and "." in key:
        first, _, rest = key.partition(".")
        inner = row.get(first)
        return _value(inner, rest) if isinstance(inner, dict) else None
    return value


def _string(row: Mapping[str, object], key: str) -> str | None:
    value = _value(row, key)
    return value if isinstance(value, str) and value else None
