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

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import fsspec

from ctllm.schemas.benchmark_files import UNREADABLE, Row, benchmark_ending, item_id, parse_rows
from ctllm.schemas.curation_config import DecontaminationConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import packaged

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
_PASSAGE = re.compile(r"\s*Passage:.*?\nQuestion:\s*", re.DOTALL)
_LABEL = re.compile(r"\s*[（(]?[A-H][)）.．、:：]\s*")


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
                if benchmark_ending(path) is None:
                    raise InputError(f"decontamination.benchmarks: {path} has no known ending; give {KNOWN_FORMATS}")
                yield from _items(parse_rows(file.read(), path), benchmark, path)
        except UNREADABLE as error:
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
        paths = [path for path in paths if benchmark_ending(path)]
    if not paths:
        raise InputError(f"decontamination.benchmarks: nothing matches {pattern}; check the path, or drop it")
    fixed = re.split(r"[*?\[]", location, maxsplit=1)[0]
    root = location.rstrip("/") + "/" if is_directory else fixed.rpartition("/")[0] + "/"
    names = {path: path.removeprefix(root).removesuffix(".gz") for path in paths}
    return fs, {path: name.removesuffix(benchmark_ending(path) or "") for path, name in names.items()}


def _items(rows: Iterable[Row], benchmark: str, path: str) -> Iterator[BenchmarkItem]:
    for number, row in enumerate(rows, start=1):
        if "prompt_template" in row:  # what a judge is told, not what a model is asked
            continue
        question = _question(row)
        if question is None:
            raise InputError(f"{path}, line {number}: none of the known fields holds a text; give {KNOWN_FORMATS}")
        yield BenchmarkItem(benchmark, item_id(row, number), question, _options(row))


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
