"""What readers yield: a record that may become a document, or a failure that is counted."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from ctllm.schemas.document import FailureKind

NUM_FIRST_BYTES = 200  # as FAILURES says


class Record(NamedTuple):
    """A text and what its source says about it; `offset` as in `Failure`, `path` set where a split has many files.

    A tuple, for one is made of every document: a frozen dataclass takes five times as long.
    """

    id: str
    offset: int
    text: str
    charset: str = "utf-8"
    repair: str | None = None
    url: str | None = None
    title: str | None = None
    date: str | None = None
    license: str | None = None
    code_language: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class RecordBlock:
    """Consecutive records whose texts stay in Arrow: `texts[i]` is that of `records[i]`, whose own is empty."""

    records: list[Record]
    texts: "pa.Array[Any]"
    """large_string, valid UTF-8, without nulls"""


class Failure(NamedTuple):
    """What could not become a record.

    `offset` counts bytes of the decompressed file, or rows (Parquet, JSON arrays), or files (directories).
    """

    offset: int
    error: FailureKind
    message: str
    first_bytes: bytes = b""
    path: str | None = None
