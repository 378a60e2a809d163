"""Files of chat data to rows: JSON Lines, a JSON array, Parquet; message trees whose messages are lines of their own.

Yields (place, row or failure) and never raises on bad data. A place is a line from 1; in an array or a Parquet file the
number of the record; 0 is the file as a whole.
"""

import json
from collections.abc import Iterator
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.conversation_records import UnusableRecordError, parse_records
from ctllm.pipelines.message_trees import is_tree_message, tree_of
from ctllm.pipelines.sources.compression import Damage, read_blocks
from ctllm.schemas.conversations import ConversationKind

Record = dict[str, Any]

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".json.gz", ".json.zst", ".parquet")
ROWS_PER_BATCH = 4096
MAX_FIRST_BYTES = 200
_ARRAY_SUFFIXES = (".json", ".json.gz", ".json.zst")


def read_rows(path: str, *, kind: ConversationKind) -> Iterator[tuple[int, Record]]:
    """(place, row) for every record of a file; a row without `digest` is a failure."""
    name = path.rsplit("/", 1)[-1]
    is_empty = True
    try:
        for place, data, tree in _whole_records(path):
            is_empty = False
            if isinstance(data, Damage):
                yield place, failure(path, place, kind="unreadable", message=data.message)
            else:
                yield from _rows_of(data, tree, path, kind=kind, name=name, place=place)
    except OSError as error:
        is_empty = False
        yield 0, failure(path, 0, kind="unreadable", message=str(error))
    if is_empty:
        yield 0, failure(path, 0, kind="empty_file", message="no line holds anything")


def _rows_of(
    data: bytes, tree: Record | None, path: str, *, kind: ConversationKind, name: str, place: int
) -> Iterator[tuple[int, Record]]:
    try:
        for row in parse_records(data if tree is None else tree, kind, name=name, number=place):
            if isinstance(row, UnusableRecordError):
                yield place, failure(path, place, kind=row.kind, message=str(row), data=data)
            else:
                yield place, row
    except UnusableRecordError as error:
        yield place, failure(path, place, kind=error.kind, message=str(error), data=data)


def failure(path: str, place: int, *, kind: str, message: str, data: bytes = b"") -> Record:
    """A row of CONVERSATION_FAILURES."""
    return {"path": path, "line": place, "error": kind, "message": message, "first_bytes": data[:MAX_FIRST_BYTES]}


def _whole_records(path: str) -> Iterator[tuple[int, bytes | Damage, Record | None]]:
    """As `read_lines`; neighbouring messages of one tree come as that tree, with place and line of the first."""
    messages: list[Record] = []
    first, first_data = 0, b""
    for place, data in read_lines(path):
        message = None if isinstance(data, Damage) else _tree_message(data)
        if messages and (message is None or message["message_tree_id"] != messages[0]["message_tree_id"]):
            yield first, first_data, tree_of(messages)
            messages = []
        if message is None or isinstance(data, Damage):
            yield place, data, None
            continue
        first, first_data = (first, first_data) if messages else (place, data)
        messages.append(message)
    if messages:
        yield first, first_data, tree_of(messages)


def _tree_message(data: bytes) -> Record | None:
    """The record in `data` if it is a message of a tree."""
    if b'"message_tree_id"' not in data:
        return None
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return record if is_tree_message(record) else None


def read_lines(path: str) -> Iterator[tuple[int, bytes | Damage]]:
    """(number from 1, line) of the lines that hold more than whitespace; Damage stands for the line it broke.

    A row of a Parquet file and an element of an array count as the line that they would be in JSON Lines.
    """
    if path.endswith(".parquet"):
        yield from _parquet_rows(path)
    elif path.endswith(_ARRAY_SUFFIXES):
        yield from _array_elements(path)
    else:
        yield from _lines(path)


def _lines(path: str) -> Iterator[tuple[int, bytes | Damage]]:
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


def _array_elements(path: str) -> Iterator[tuple[int, bytes | Damage]]:
    """The elements of the one array that a .json file holds; what is no array is read as JSON Lines.

    The whole file is in memory: an array cannot be read in parts that a broken element leaves intact.
    """
    blocks = list(read_blocks(path))
    content = b"".join(block for block in blocks if not isinstance(block, Damage))
    if content.lstrip()[:1] != b"[":
        yield from _lines(path)
        return
    text = content.decode("utf-8", "surrogateescape")
    decoder, number, at = json.JSONDecoder(), 0, _after_space(text, text.index("[") + 1)
    while at < len(text) and text[at] != "]":
        number += 1
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            yield number, Damage("unreadable", f"the array is broken at element {number}: {error}")
            return
        yield number, text[at:end].encode("utf-8", "surrogateescape")
        at = _after_space(text, end)
        at = _after_space(text, at + 1) if text[at : at + 1] == "," else at
    damages = [block for block in blocks if isinstance(block, Damage)]
    if damages or at >= len(text):
        yield number + 1, damages[0] if damages else Damage("unreadable", "the array does not end")


def _after_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _parquet_rows(path: str) -> Iterator[tuple[int, bytes | Damage]]:
    number = 0
    try:
        with fsspec.open(path, "rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(ROWS_PER_BATCH):
                for row in batch.to_pylist():
                    number += 1
                    yield number, json.dumps(row, ensure_ascii=False, default=str).encode()
    except pa.ArrowException as error:
        yield number + 1, Damage("unreadable", str(error))
