"""Looks for words or a pattern in the texts of a run, file after file, for a bounded time; goes on where it stopped.

Patterns are RE2's, whose time grows with the text only, whatever the pattern. One row group is in memory at a time.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.dashboards.queries import Filter, RunDatabase
from ctllm.schemas.document import ROW_BITS, SPLIT_BITS, rows_of
from ctllm.schemas.errors import ConfigError, InputError

LIMIT_S = 3.0  # chosen: as long as one waits before one looks whether anything happens
MAX_PATTERN_CHARS = 500
KEYS_AT_ONCE = 20_000
BATCH_ROWS = 128
READ_BYTES = 1 << 20  # of a file at once; a whole column of a row group has 14 MB
CONTEXT_CHARS = 90
MAX_HIT_CHARS = 200

_FIRST, _LAST = "\ue000", "\ue001"  # private use: mark the hit in what the engine gives back


@dataclass(frozen=True)
class Query:
    """What to look for; case does not count unless `case`."""

    text: str
    is_regex: bool = False
    case: bool = False

    def __post_init__(self) -> None:
        if not 0 < len(self.text) <= MAX_PATTERN_CHARS:
            raise ConfigError(f"search: between 1 and {MAX_PATTERN_CHARS} characters, not {len(self.text)}")
        self.found_in(pa.array([""]))

    def found_in(self, texts: "pa.Array[Any]") -> np.ndarray:
        """Whether each text holds it: (texts,), bool. Raises ConfigError for what is no pattern."""
        match = pc.match_substring_regex if self.is_regex else pc.match_substring
        try:
            found: np.ndarray = match(texts, self.text, ignore_case=not self.case).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid as error:
            raise ConfigError(f"search: not a pattern of RE2 ({str(error).rpartition(': ')[2]})") from error
        return found

    def snippet(self, text: str) -> list[str]:
        """What stands before the first hit, the hit, and what stands behind it."""
        pattern = self.text if self.is_regex else _literal(self.text)
        flags = "" if self.case else "(?i)"
        array = pa.array([text])
        at = int(pc.find_substring_regex(array, f"{flags}(?:{pattern})")[0].as_py())
        encoded = text.encode()
        start = len(encoded[: max(at, 0)].decode(errors="ignore"))
        rest = text[start : start + 4 * MAX_HIT_CHARS]
        shown = pc.replace_substring_regex(
            pa.array([rest]), f"{flags}({pattern})", f"{_FIRST}\\1{_LAST}", max_replacements=1
        )[0].as_py()
        before, first, after = shown.partition(_FIRST)
        hit, _, after = after.partition(_LAST) if first else ("", "", before)
        return [text[max(0, start - CONTEXT_CHARS) : start], hit[:MAX_HIT_CHARS], after[:CONTEXT_CHARS]]


def _literal(text: str) -> str:
    r"""The text as a pattern that matches itself."""
    return "".join(f"\\{each}" if each.isascii() and not each.isalnum() and each != "\n" else each for each in text)


def search(
    run: Path,
    database: RunDatabase,
    query: Query,
    *,
    chosen: Filter,
    after: int | None,
    limit: int,
    limit_s: float = LIMIT_S,
) -> dict[str, Any]:
    """Documents of `chosen` from the one after `after` on whose text holds `query`: at most `limit`, for `limit_s`.

    `after` of the answer is where to go on, None at the end; `looked_at` counts documents. Raises InputError when a
    file of the run is not there any more.
    """
    deadline = time.monotonic() + limit_s
    hits: list[dict[str, Any]] = []
    looked_at, place = 0, after
    while True:
        keys = np.array(database.keys(chosen, after=place, limit=KEYS_AT_ONCE), np.uint64)
        if not len(keys):
            return {"hits": _named(database, hits), "looked_at": looked_at, "after": None}
        for batch_keys, texts in _texts(run, keys):
            for row in np.flatnonzero(query.found_in(texts)).tolist():
                hits.append({"key": int(batch_keys[row]), "snippet": query.snippet(texts[row].as_py())})
                if len(hits) == limit:
                    looked_at += row + 1
                    return {"hits": _named(database, hits), "looked_at": looked_at, "after": str(hits[-1]["key"])}
            looked_at += len(batch_keys)
            place = int(batch_keys[-1])
            if time.monotonic() > deadline:
                return {"hits": _named(database, hits), "looked_at": looked_at, "after": str(place)}


def _named(database: RunDatabase, hits: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    known = database.named([hit["key"] for hit in hits])
    return [known[hit["key"]] | {"snippet": hit["snippet"]} for hit in hits if hit["key"] in known]


def _texts(run: Path, keys: np.ndarray) -> Iterator[tuple[np.ndarray, "pa.Array[Any]"]]:
    """Keys and texts of these documents, ascending, some at a time; reads the row groups that hold them only."""
    splits = (keys >> np.uint64(ROW_BITS)) & np.uint64((1 << SPLIT_BITS) - 1)
    for split in np.unique(splits).tolist():
        path = run / "documents" / f"part-{split:05d}.parquet"
        try:
            yield from _file_texts(path, keys[splits == split])
        except (OSError, pa.ArrowInvalid) as error:
            raise InputError(f"documents/{path.name}: cannot be read any more ({error})") from error


def _file_texts(path: Path, keys: np.ndarray) -> Iterator[tuple[np.ndarray, "pa.Array[Any]"]]:
    rows = rows_of(keys)
    with pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES) as file:
        sizes = np.array([file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)])
        ends = np.cumsum(sizes)
        for group in np.unique(np.searchsorted(ends, rows, side="right")).tolist():
            first = int(ends[group] - sizes[group])
            for batch in file.iter_batches(
                batch_size=BATCH_ROWS, row_groups=[group], columns=["text"], use_threads=False
            ):
                here = (rows >= first) & (rows < first + batch.num_rows)
                if here.any():
                    yield keys[here], batch.column(0).take(pa.array(rows[here] - first))
                first += batch.num_rows
