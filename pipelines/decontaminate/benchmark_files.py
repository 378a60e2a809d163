"""Reads benchmark items from the files their makers publish, recognised by content.

| file | rows | question | options | id |
|---|---|---|---|---|
| csv, parquet (C-Eval, CMMLU, MMLU) | by header, or six columns | question | A to H, choice0 … | id, or the row |
| jsonl (GSM8K, AlignBench, own files) | lines | question, text, prompt | A to H, options, choices | id … |
| jsonl (AGIEval) | lines | passage and question | options | the line |
| jsonl (HumanEval) | lines | prompt and canonical_solution | | task_id |
| jsonl (evaluation suites such as llm_foundry) | lines | query; context and continuation | choices | the line |
| jsonl (MT-Bench) | lines | turns | | question_id |
| jsonl (OCNLI, FewCLUE) | lines | sentence1 and sentence2, sentence, content | candidates | id |
| json (GAOKAO-Bench) | its list `example` | question | in the question | the row |

Any of them gzipped. A query's `Passage: …` (BoolQ) is an encyclopedia's text, not the benchmark's, and does not count.
"""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.schemas.curation_config import DecontaminationConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import packaged

KNOWN_ENDINGS = (".jsonl", ".json", ".csv", ".parquet")
KNOWN_FORMATS = (
    "JSONL or JSON with question, text, prompt, query, turns or sentences; CSV or Parquet with question, A to D"
)
LABELS = "ABCDEFGH"
QUESTION_FIELDS = (
    ("passage", "question"), ("prompt", "canonical_solution"), ("question",), ("text",), ("prompt",), ("query",),
    ("context", "continuation"), ("sentence1", "sentence2"), ("sentence",), ("content",),
)  # fmt: skip
"""The first whose last field holds a text is the item; the fields before it may be empty."""
OPTION_FIELDS = ("options", "choices", "candidates")
ID_FIELDS = ("id", "id_", "task_id", "question_id", "idx")
_PASSAGE = re.compile(r"\s*Passage:.*?\nQuestion:\s*", re.DOTALL)
_LABEL = re.compile(r"\s*[（(]?[A-H][)）.．、:：]\s*")

Row = dict[str, Any]


@dataclass(frozen=True)
class BenchmarkItem:
    """One question as a benchmark file holds it."""

    benchmark: str
    """File name without ending, below the directory or the first wildcard of what was configured."""
    item_id: str
    """The item's own id, or its number in the file from 1."""
    question: str
    options: tuple[str, ...]

    @property
    def with_options(self) -> str:
        """The question and its options, labelled as exams print them."""
        return " ".join(
            [self.question, *(f"{label} {text}" for label, text in zip(LABELS, self.options, strict=False))]
        )


def read_items(pattern: str) -> Iterator[BenchmarkItem]:
    """The items of a file, a glob, or all files below a directory, in the order of their names.

    Raises InputError naming the file: nothing there, unreadable, of no known format.
    """
    fs, benchmarks = _files(pattern)
    for path, benchmark in benchmarks.items():
        try:
            with fs.open(path, "rb", compression="infer") as file:
                yield from _items(_rows(file.read(), path), benchmark, path)
        except (OSError, UnicodeDecodeError, pa.ArrowInvalid) as error:
            raise InputError(
                f"decontamination.benchmarks: cannot read {path} ({error}); give {KNOWN_FORMATS}"
            ) from error


def benchmarks_digest(config: DecontaminationConfig) -> str:
    """Digest of the bytes of all configured files in their order, "" when there are none."""
    digest = hashlib.sha256()
    for pattern in config.benchmarks:
        fs, benchmarks = _files(pattern)
        for path, benchmark in benchmarks.items():
            digest.update(f"{benchmark}\0{fs.size(path)}\0".encode() + fs.cat_file(path))
    return digest.hexdigest()[:16] if config.benchmarks else ""


def _files(pattern: str) -> tuple[Any, dict[str, str]]:
    """The file system, and path to benchmark of the files that `pattern` names, in order. Raises InputError if none."""
    fs, location = fsspec.core.url_to_fs(packaged(pattern))
    is_directory = fs.isdir(location)
    paths = [path for path in sorted(fs.find(location) if is_directory else fs.glob(location)) if not fs.isdir(path)]
    if is_directory:
        paths = [path for path in paths if _ending(path)]
    if not paths:
        raise InputError(f"decontamination.benchmarks: nothing matches {pattern}; check the path, or drop it")
    fixed = re.split(r"[*?\[]", location, maxsplit=1)[0]
    root = location.rstrip("/") + "/" if is_directory else fixed.rpartition("/")[0] + "/"
    names = {path: path.removeprefix(root).removesuffix(".gz") for path in paths}
    return fs, {path: name.removesuffix(_ending(path) or "") for path, name in names.items()}


def _ending(path: str) -> str | None:
    return next((ending for ending in KNOWN_ENDINGS if path.removesuffix(".gz").endswith(ending)), None)


def _rows(content: bytes, path: str) -> list[Row]:
    """The rows of a file as dictionaries, field names in lower case."""
    ending = _ending(path)
    if ending == ".parquet":
        rows = pq.read_table(io.BytesIO(content)).to_pylist()
    elif ending == ".csv":
        rows = _csv_rows(content.decode("utf-8-sig"))
    elif ending is None:
        raise InputError(f"decontamination.benchmarks: {path} has no known ending; give {KNOWN_FORMATS}")
    else:
        rows = _json_rows(content.decode("utf-8-sig"), path)
    return [{str(name).lower(): value for name, value in row.items()} for row in rows]


def _csv_rows(text: str) -> list[Row]:
    table = list(csv.reader(io.StringIO(text)))
    if table and "question" not in {name.lower() for name in table[0]} and len(table[0]) == 6:
        table.insert(0, ["question", "A", "B", "C", "D", "answer"])  # MMLU as first published
    return [dict(zip(table[0], cells, strict=False)) for cells in table[1:]]


def _json_rows(text: str, path: str) -> list[Row]:
    try:
        whole = json.loads(text)
    except ValueError:
        return [
            _json_line(line, number, path) for number, line in enumerate(text.splitlines(), start=1) if line.strip()
        ]
    if isinstance(whole, dict) and isinstance(whole.get("example"), list):
        whole = whole["example"]
    rows = whole if isinstance(whole, list) else [whole]
    return [row if isinstance(row, dict) else {} for row in rows]


def _json_line(line: str, number: int, path: str) -> Row:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path}, line {number}: not JSON ({error})") from error
    return row if isinstance(row, dict) else {}


def _items(rows: Iterable[Row], benchmark: str, path: str) -> Iterator[BenchmarkItem]:
    for number, row in enumerate(rows, start=1):
        if "prompt_template" in row:  # what a judge is told, not what a model is asked
            continue
        question = _question(row)
        if question is None:
            raise InputError(f"{path}, line {number}: none of the known fields holds a text; give {KNOWN_FORMATS}")
        item_id = next((str(row[name]) for name in ID_FIELDS if row.get(name) not in (None, "")), str(number))
        yield BenchmarkItem(benchmark, item_id, question, _options(row))


def _question(row: Row) -> str | None:
    if isinstance(row.get("turns"), list):
        return "\n".join(map(str, row["turns"]))
    if isinstance(row.get("context_options"), list):  # Winograd schemas: the right reading
        return f"{row['context_options'][int(row.get('gold', 0))]} {row.get('continuation', '')}"
    for fields in QUESTION_FIELDS:
        texts = [row[name] for name in fields if isinstance(row.get(name), str) and row[name].strip()]
        if texts and isinstance(row.get(fields[-1]), str):
            return _PASSAGE.sub("", "\n".join(texts), count=1)
    return None


def _options(row: Row) -> tuple[str, ...]:
    """Options without the labels they may bear; those that are only labels stand in the question."""
    listed = next((row[name] for name in OPTION_FIELDS if isinstance(row.get(name), list)), None)
    if listed is None:
        names = [name for name in (*LABELS.lower(), *(f"choice{at}" for at in range(8))) if row.get(name) is not None]
        listed = [row[name] for name in names]
    texts = [_LABEL.sub("", str(each), count=1) if _LABEL.match(str(each)) else str(each) for each in listed]
    return tuple(text for text in texts if text not in LABELS)
