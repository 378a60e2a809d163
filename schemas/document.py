"""A document as `documents/` and `curated/` hold it, what could not become one, and the 64-bit key of both.

key = snapshot (12 bits) | input split (24 bits) | row in the split (28 bits), so a key depends on the sorted list of
inputs only, never on the runner or the number of workers.
"""

from typing import Literal

import numpy as np
import pyarrow as pa

Lane = Literal["zh", "en", "code", "other"]
LANES: tuple[Lane, ...] = ("zh", "en", "code", "other")
CURATED_LANES: tuple[Lane, ...] = ("zh", "en", "code")
"""Lanes that are published; each is a folder of `curated/`."""

SPLIT_BITS = 24
ROW_BITS = 28
MAX_ROWS_PER_SPLIT = 1 << ROW_BITS

DOCUMENTS = pa.schema(
    [
        pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "snapshot | split | row"}),
        pa.field(
            "id",
            pa.string(),
            nullable=False,
            metadata={"meaning": "the source's own: WARC-Record-ID, JSON id, path#row"},
        ),
        pa.field("url", pa.string(), metadata={"meaning": "null where the source names none"}),
        pa.field("source", pa.string(), nullable=False, metadata={"meaning": "name of the input as accounts list it"}),
        pa.field("snapshot", pa.uint16(), nullable=False),
        pa.field("path", pa.string(), nullable=False, metadata={"meaning": "input file, as given"}),
        pa.field("title", pa.string()),
        pa.field("date", pa.string(), metadata={"unit": "ISO 8601, as the source gives it"}),
        pa.field("license", pa.string()),
        pa.field("lane", pa.string(), nullable=False, metadata={"meaning": "zh | en | code | other"}),
        pa.field("lang", pa.string(), nullable=False, metadata={"meaning": "language code of the identifier"}),
        pa.field("lang_score", pa.float32(), nullable=False, metadata={"unit": "share"}),
        pa.field(
            "script", pa.string(), nullable=False, metadata={"meaning": "hans | hant | latin | kana | hangul | other"}
        ),
        pa.field("charset", pa.string(), nullable=False, metadata={"meaning": "how the bytes were decoded"}),
        pa.field(
            "repair",
            pa.string(),
            metadata={"meaning": "read>meant charsets of repaired mojibake; text.encode(meant).decode(read) undoes it"},
        ),
        pa.field(
            "text", pa.large_string(), nullable=False, metadata={"meaning": "extracted text, as published before edits"}
        ),
    ]
)

FAILURES = pa.schema(
    [
        pa.field("source", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("split", pa.uint32(), nullable=False),
        pa.field(
            "offset", pa.int64(), nullable=False, metadata={"meaning": "byte offset or record number in the file"}
        ),
        pa.field("error", pa.string(), nullable=False, metadata={"meaning": "a member of FailureKind"}),
        pa.field("message", pa.string(), nullable=False),
        pa.field("first_bytes", pa.binary(), nullable=False, metadata={"unit": "up to 200 bytes"}),
    ]
)

FailureKind = Literal[
    "broken_encoding",
    "broken_json",
    "broken_record",
    "empty_file",
    "empty_text",
    "missing_text",
    "not_text",
    "too_large",
    "truncated",
    "unreadable",
    "wrong_schema",
]

EDITS = pa.list_(
    pa.struct(
        [
            pa.field("kind", pa.string(), metadata={"meaning": "pii:mobile, pii:email, line:repeated, …"}),
            pa.field("start", pa.int32(), metadata={"unit": "characters, in the text before edits"}),
            pa.field("end", pa.int32()),
            pa.field("replacement", pa.string(), metadata={"meaning": "null: only recorded, the text is unchanged"}),
        ]
    )
)

CURATED = pa.schema(
    [
        *(
            DOCUMENTS.field(name)
            for name in ("key", "id", "url", "source", "snapshot", "license", "lane", "lang", "script")
        ),
        pa.field("text", pa.large_string(), nullable=False, metadata={"meaning": "as published"}),
        pa.field("num_chars", pa.int32(), nullable=False, metadata={"unit": "code points"}),
        pa.field(
            "token_estimate",
            pa.int32(),
            nullable=False,
            metadata={"meaning": "from script shares; see estimate_tokens"},
        ),
        pa.field(
            "cluster_size",
            pa.int32(),
            nullable=False,
            metadata={"meaning": "documents this one stands for, itself included"},
        ),
        pa.field("edits", EDITS, nullable=False),
    ]
)


def document_keys(*, snapshot: int, split: int, first_row: int, num_rows: int) -> np.ndarray:
    """Keys of consecutive rows of one split: (num_rows,), uint64."""
    base = np.uint64((snapshot << (SPLIT_BITS + ROW_BITS)) | (split << ROW_BITS))
    return base + np.arange(first_row, first_row + num_rows, dtype=np.uint64)


def split_of(keys: np.ndarray) -> np.ndarray:
    """The input split each key was read from: int64."""
    return ((keys >> np.uint64(ROW_BITS)) & np.uint64((1 << SPLIT_BITS) - 1)).astype(np.int64)


def row_of(key: int) -> int:
    """The row in its split."""
    return key & (MAX_ROWS_PER_SPLIT - 1)


def rows_of(keys: np.ndarray) -> np.ndarray:
    """The row of each key in its split: int64."""
    return (keys & np.uint64(MAX_ROWS_PER_SPLIT - 1)).astype(np.int64)


def snapshot_of(keys: np.ndarray) -> np.ndarray:
    """The snapshot each key belongs to: uint16."""
    return (keys >> np.uint64(SPLIT_BITS + ROW_BITS)).astype(np.uint16)
