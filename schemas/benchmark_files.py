"""Rows of benchmark files as their makers publish them: CSV, JSON, JSONL or Parquet, gzipped or not; and their names.

One reader for decontamination and evaluation, so that an item found in training data is the item that is scored.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.schemas.errors import InputError

KNOWN_ENDINGS = (".jsonl", ".json", ".csv", ".parquet")
ID_FIELDS = ("id", "id_", "task_id", "question_id", "idx")

UNREADABLE = (OSError, UnicodeDecodeError, pa.ArrowInvalid, csv.Error)

Row = dict[str, Any]


def benchmark_ending(path: str) -> str | None:
    """Which of KNOWN_ENDINGS the file has, before `.gz`."""
    return next((ending for ending in KNOWN_ENDINGS if path.removesuffix(".gz").endswith(ending)), None)


def item_id(row: Mapping[str, Any], number: int) -> str:
    """The row's own id, or its number, counted from 1."""
    return next((str(row[name]) for name in ID_FIELDS if row.get(name) not in (None, "")), str(number))


def parse_rows(content: bytes, path: str, *, broken: list[int] | None = None) -> list[Row]:
    """The rows of an unzipped file, field names in lower case.

    A broken line raises InputError, or, where `broken` is given, its number is put there and its row is empty. A file
    that is not what its ending says raises one of UNREADABLE.
    """
    ending = benchmark_ending(path)
    if ending == ".parquet":
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    elif ending == ".csv":
        rows = _csv_rows(content.decode("utf-8-sig"))
    else:
        rows = _json_rows(content.decode("utf-8-sig"), path, broken)
    return [{str(name).lower(): value for name, value in row.items()} for row in rows]


def _csv_rows(text: str) -> list[Row]:
    table = list(csv.reader(io.StringIO(text)))
    if table and "question" not in {name.lower() for name in table[0]} and len(table[0]) == 6:
        table.insert(0, ["question", "A", "B", "C", "D", "answer"])  # MMLU as first published
    return [dict(zip(table[0], cells, strict=False)) for cells in table[1:]]


def _json_rows(text: str, path: str, broken: list[int] | None) -> list[Row]:
    try:
        whole = json.loads(text)
    except ValueError:
        lines = enumerate(text.splitlines(), start=1)
        return [_json_line(line, number, path, broken) for number, line in lines if line.strip()]
    if isinstance(whole, dict) and isinstance(whole.get("example"), list):
        whole = whole["example"]
    rows = whole if isinstance(whole, list) else [whole]
    return [row if isinstance(row, dict) else {} for row in rows]


def _json_line(line: str, number: int, path: str, broken: list[int] | None) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        if broken is None:
            raise InputError(f"{path}, line {number}: not JSON ({error})") from error
        broken.append(number)
        return {}
    return row if isinstance(row, dict) else {}
