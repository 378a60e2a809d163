"""Open questions in their makers' formats: CHC-Bench, AlignBench, mt-bench-zh, CValues."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctllm.model.evaluation.items import benchmark_name, find_files, read_rows
from ctllm.schemas.benchmark_files import item_id
from ctllm.schemas.errors import InputError

CATEGORY_FIELDS = ("category", "domain_zh", "type")
_SHARD = re.compile(r"-\d{5}-of-\d{5}(-[0-9a-f]+)?$")
"""What Hugging Face puts after a split's name: CHC-Bench has `coding-00000-of-00001-80d4feca8d41e2a2.parquet`."""


@dataclass(frozen=True)
class JudgeQuestion:
    """One question, of one or more turns."""

    benchmark: str
    """The file's name without its ending and shard; CHC-Bench's are its eight splits."""
    question_id: str
    category: str
    turns: tuple[str, ...]
    reference: str | None
    """An answer known to be right, where the benchmark has one."""


def read_questions(patterns: Sequence[str], *, max_questions: int | None = None) -> list[JudgeQuestion]:
    """The questions of all files, in the order of their paths; at most `max_questions` of each.

    Raises InputError for a pattern without files, and for a file in which a row has no question.
    """
    questions = []
    for path in find_files(patterns):
        rows, num_broken = read_rows(path)
        if num_broken:
            raise InputError(f"{path}: {num_broken} lines are not JSON; get the file again")
        asked = [_question(row, number, path) for number, row in enumerate(rows, start=1)]
        questions += asked[:max_questions]
    return questions


def _question(row: Mapping[str, Any], number: int, path: str) -> JudgeQuestion:
    turns = row.get("turns")
    if turns is None:
        turns = next(([row[name]] for name in ("question", "query", "prompt") if row.get(name)), None)
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise InputError(f"{path}, row {number}: no question in turns, question, query or prompt")
    benchmark = _SHARD.sub("", Path(benchmark_name(path)).name)
    category = next((str(row[name]) for name in CATEGORY_FIELDS if row.get(name)), "")
    reference = row.get("reference")
    return JudgeQuestion(
        benchmark=benchmark,
        question_id=item_id(row, number),
        category=category or benchmark,
        turns=tuple(turns),
        reference=reference if isinstance(reference, str) and reference.strip() else None,
    )
