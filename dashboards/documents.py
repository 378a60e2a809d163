"""One document of a run completely, read from the row groups that hold it, with what was found in its text marked."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.dashboards.queries import RunDatabase
from ctllm.schemas.document import ROW_BITS, SPLIT_BITS, row_of
from ctllm.schemas.errors import InputError

MAX_TEXT_CHARS = 200_000  # chosen: a long book's chapter; what is beyond is said, not shown
EXCERPT_CHARS = 400


def describe(run: Path, database: RunDatabase, key: int) -> dict[str, Any]:
    """Everything the run knows about document `key`, JSON values.

    `text` is a list of [piece, marks], where marks name what was cut, redacted, noted or found there. Raises InputError
    when the document or its files are not there.
    """
    shown = database.document(key)
    row = read_document(run, key)
    verdict = _row(_part(run, "verdicts", key), key)
    signals = _row(_part(run, "signals", key), key)
    spans = _spans(run, key, shown["lane"])
    text = row.pop("text")
    copies = database.copies_of(key)
    others = database.named([each["kept_key"] if each["key"] == key else each["key"] for each in copies])
    return {
        **shown,
        **{
            name: row[name]
            for name in ("title", "date", "license", "lang", "lang_score", "script", "charset", "repair")
        },
        "text": marked(text[:MAX_TEXT_CHARS], spans),
        "text_chars": len(text),
        "spans": [each for each in spans if each["start"] < each["end"]],
        "verdict": verdict["reasons"],
        "signals": {name: value for name, value in signals.items() if name != "key" and value is not None},
        "rules": _rules(database, shown, signals, verdict["reasons"]),
        "copies": [_copy(each, key, others) for each in copies],
    }


def read_document(run: Path, key: int, *, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """The row of `documents/`, from its row group alone. Raises InputError when it is not there any more."""
    return _row(_part(run, "documents", key), key, columns=columns)


def marked(text: str, spans: Sequence[dict[str, Any]]) -> list[list[Any]]:
    """`text` in pieces [text, kinds], cut wherever a span begins or ends; kinds are those of the spans around it."""
    bounds = {0, len(text)} | {min(each[name], len(text)) for each in spans for name in ("start", "end")}
    places = sorted(bounds)
    return [
        [text[start:end], sorted({each["kind"] for each in spans if each["start"] <= start and end <= each["end"]})]
        for start, end in pairwise(places)
    ]


def _part(run: Path, table: str, key: int) -> Path:
    split = (key >> ROW_BITS) & ((1 << SPLIT_BITS) - 1)
    return run / table / f"part-{split:05d}.parquet"


def _row(path: Path, key: int, *, columns: Sequence[str] | None = None) -> dict[str, Any]:
    """The row of a document in a file that is row-aligned with `documents/`."""
    at = row_of(key)
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):
                size = file.metadata.row_group(group).num_rows
                if at < size:
                    names = list(columns) if columns else None
                    found: dict[str, Any] = file.read_row_group(group, columns=names).slice(at, 1).to_pylist()[0]
                    return found
                at -= size
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path.parent.name}/{path.name}: cannot be read any more ({error})") from error
    raise InputError(f"{path.parent.name}/{path.name}: has no row for key {key}")


def _spans(run: Path, key: int, lane: str) -> list[dict[str, Any]]:
    """What was cut out of the text, redacted, noted or found in it: kind, start, end, replacement, in place order."""
    cuts = _of_key(_part(run, "cuts", key), key)
    found = [{**row, "replacement": None} for row in _of_key(_part(run, "contamination", key), key)]
    items = [
        {"kind": f"benchmark:{row['benchmark']}", "item": row["item_id"], "overlap": row["overlap"], **row}
        for row in found
    ]
    curated = [row["edits"] for row in _of_key(_part(run, f"curated/{lane}", key), key, columns=["key", "edits"])]
    names = ("kind", "start", "end", "replacement", "item", "overlap")
    edits = [edit for row in curated for edit in row]
    rows = [{name: row.get(name) for name in names} for row in (*edits, *(cuts if not edits else ()), *items)]
    return sorted(rows, key=lambda row: (row["start"], row["end"], row["kind"]))


def _of_key(path: Path, key: int, *, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Rows of a table that is sorted by key; row groups without the key are not read."""
    if not path.exists():
        return []
    try:
        table = pq.read_table(
            path, columns=list(columns) if columns else None, filters=pc.field("key") == pa.scalar(key, pa.uint64())
        )
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path.parent.name}/{path.name}: cannot be read any more ({error})") from error
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _rules(
    database: RunDatabase, shown: dict[str, Any], signals: dict[str, Any], reasons: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Every rule of the lane as it met the document: value, threshold, whether it refuses it."""
    seen = {each["reason"]: each["value"] for each in reasons}
    judged = database.judged(int(shown["key"]))
    return [
        {
            "rule": rule.name,
            "signal": rule.signal,
            "value": seen.get(rule.name, judged.get(rule.signal, signals.get(rule.signal))),
            "threshold": rule.threshold,
            "failed": rule.name in seen,
        }
        for rule in database.rules.get(shown["lane"], [])
    ]


def _copy(row: dict[str, Any], key: int, others: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """A copy of the document, or what stays in its place."""
    other = row["kept_key"] if row["key"] == key else row["key"]
    found = others.get(other, {"key": str(other), "id": f"key {other}", "url": None, "source": "", "lane": ""})
    similar = {name: row[name] for name in ("kind", "jaccard", "containment")}
    return {
        **found,
        **similar,
        "stays": row["key"] == key,
        "cluster": str(row["cluster_id"]),
        "size": row["cluster_size"],
    }
