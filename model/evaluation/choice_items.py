"""Multiple-choice questions from JSONL or CSV, in the spellings of C-Eval, CMMLU, MMLU, AGIEval and our own files."""

import csv
import glob
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctllm.schemas.errors import InputError
from ctllm.schemas.files import packaged

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class ChoiceItem:
    """A question, its choices and the number of the right one."""

    question: str
    choices: tuple[str, ...]
    answer: int

    @property
    def letter(self) -> str:
        """The right answer's letter."""
        return LETTERS[self.answer]


@dataclass(frozen=True)
class Subject:
    """The questions of one file."""

    name: str
    items: list[ChoiceItem]
    num_unreadable: int


def read_subjects(patterns: Sequence[str]) -> list[Subject]:
    """One subject for every file that the patterns mean, in the order of their paths.

    Raises InputError for a pattern without files and for a file without a usable question.
    """
    paths = {path for pattern in patterns for path in _paths(pattern)}
    return [_read_subject(path) for path in sorted(paths)]


def _paths(pattern: str) -> list[str]:
    found = [path for path in glob.glob(packaged(pattern)) if Path(path).is_file()]  # noqa: PTH207 - may be absolute
    if not found:
        raise InputError(f"{pattern}: no such file of questions; check the path")
    return found


def _read_subject(path: str) -> Subject:
    text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    records: Iterable[Any] = (
        csv.DictReader(io.StringIO(text)) if path.endswith(".csv") else map(_parse_json, text.split("\n"))
    )
    parsed = [parse_item(record) for record in records if record is not None]
    items = [item for item in parsed if item is not None]
    if not items:
        raise InputError(f"{path}: no usable question; each needs question, A, B, … and answer")
    name = Path(path).name.split(".")[0]
    for suffix in ("_val", "_dev", "_test"):  # C-Eval's and MMLU's files: a subject and its examples have one name
        name = name.removesuffix(suffix)
    return Subject(name, items, len(parsed) - len(items))


def _parse_json(line: str) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The value of a line, None for an empty one, "" (no item) for a broken one."""
    if not line.strip():
        return None
    try:
        return json.loads(line)
    except ValueError:
        return ""


def parse_item(record: object) -> ChoiceItem | None:
    """The question in a record; None when it has none, fewer than two choices, or no answer among them.

    The question is `question` or `query` (after `passage`), choices are `A`, `B`, …, `choices`, or `choice0`, …, and
    `answer` or `gold` is a letter or a number from 0.
    """
    if not isinstance(record, Mapping):
        return None
    fields = {str(key).lower(): value for key, value in record.items()}
    question = fields.get("question", fields.get("query"))
    choices = _choices(fields)
    answer = _answer(fields.get("answer", fields.get("gold")), num_choices=len(choices))
    if not isinstance(question, str) or not question.strip() or len(choices) < 2 or answer is None:
        return None
    passage = fields.get("passage")
    return ChoiceItem(f"{passage}\n{question}" if passage else question, choices, answer)


def _choices(fields: Mapping[str, Any]) -> tuple[str, ...]:
    given = fields.get("choices")
    if not isinstance(given, list):
        lettered = [fields.get(letter.lower()) for letter in LETTERS]
        given = (
            lettered if lettered[0] is not None else [fields.get(f"choice{number}") for number in range(len(LETTERS))]
        )
    given = given[: given.index(None)] if None in given else given
    texts = tuple(str(each).strip() for each in given)
    return texts if len(texts) <= len(LETTERS) and all(texts) else ()


def _answer(given: object, *, num_choices: int) -> int | None:
    text = str(given).strip().upper()
    number = int(text) if text.isdecimal() else LETTERS.find(text) if len(text) == 1 else -1
    return number if 0 <= number < num_choices else None
