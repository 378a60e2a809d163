"""What an evaluation leaves beside `evaluation.json`: scores as rows, and what became of every item.

evaluation_scores.parquet   a row per task, and one per subject of a task with several
evaluation_items.parquet    a row per item, to look closer and to compare two checkpoints item by item
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import pyarrow as pa

from ctllm.schemas.files import write_parquet
from ctllm.schemas.tuning_run import ChoiceResult, EvaluationResult

SCORES = "evaluation_scores.parquet"
SCORE_SCHEMA = pa.schema(
    [
        pa.field("checkpoint", pa.string(), nullable=False),
        pa.field("weights_digest", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False, metadata={"meaning": "empty: the whole task"}),
        pa.field(
            "kind", pa.string(), nullable=False, metadata={"meaning": "letter, cloze, last_word, number, program"}
        ),
        pa.field("style", pa.string(), nullable=False),
        pa.field("num_shots", pa.int64(), nullable=False),
        pa.field("prompt_digest", pa.string(), nullable=False),
        pa.field("scored_texts", pa.string(), nullable=False, metadata={"meaning": "letter: the tokens compared"}),
        pa.field("items", pa.int64(), nullable=False),
        pa.field("accuracy", pa.float64(), nullable=False, metadata={"meaning": "over items: the micro average"}),
        pa.field("accuracy_macro", pa.float64(), metadata={"meaning": "mean over subjects"}),
        pa.field("standard_error", pa.float64(), nullable=False),
        pa.field("chance", pa.float64(), metadata={"meaning": "expected accuracy of guessing"}),
        pa.field("constant_letter_accuracy", pa.float64(), metadata={"meaning": "of the best always-one-letter"}),
        pa.field("items_contaminated", pa.int64(), nullable=False),
        pa.field("accuracy_clean", pa.float64(), metadata={"meaning": "without contaminated items"}),
        pa.field("perplexity", pa.float64()),
    ]
)

ITEMS = "evaluation_items.parquet"
ITEM_SCHEMA = pa.schema(
    [
        pa.field("task", pa.string(), nullable=False),
        pa.field("subject", pa.string(), nullable=False, metadata={"meaning": "file the item is from"}),
        pa.field("item_id", pa.string(), nullable=False, metadata={"meaning": "its own id, or its row from 1"}),
        pa.field("is_right", pa.bool_(), nullable=False),
        pa.field("is_contaminated", pa.bool_(), nullable=False, metadata={"meaning": "in a document that was kept"}),
        pa.field("answer", pa.string(), nullable=False, metadata={"meaning": "letter, word, number; program: empty"}),
        pa.field("given", pa.string(), nullable=False, metadata={"meaning": "what the model chose or wrote"}),
        pa.field("log_probabilities", pa.list_(pa.float64()), nullable=False, metadata={"unit": "nats, per choice"}),
        pa.field("note", pa.string(), nullable=False, metadata={"meaning": "program: how it ended"}),
    ]
)


@dataclass(frozen=True)
class ItemRow:
    """One row."""

    task: str
    subject: str
    item_id: str
    is_right: bool
    is_contaminated: bool
    answer: str
    given: str
    log_probabilities: Sequence[float] = field(default_factory=list)
    note: str = ""


def write_items(path: str, rows: Sequence[ItemRow]) -> None:
    """Writes the rows in their order."""
    write_parquet(path, pa.Table.from_pylist([asdict(row) for row in rows], schema=ITEM_SCHEMA))


def write_scores(path: str, result: EvaluationResult) -> None:
    """Writes the rows of all tasks."""
    origin = {"checkpoint": result.checkpoint, "weights_digest": result.weights_digest}
    rows = [{**origin, **row} for row in _score_rows(result)]
    write_parquet(path, pa.Table.from_pylist(rows, schema=SCORE_SCHEMA))


def _score_rows(result: EvaluationResult) -> Iterator[dict[str, Any]]:
    for name, task in result.choice.items():
        yield from _choice_rows(name, task)
    for name, text in result.text.items():
        yield {
            "task": name,
            "subject": "",
            "style": "",
            "scored_texts": "",
            **text.model_dump(exclude={"outcomes", "items_truncated", "items_unreadable"}),
        }


def _choice_rows(name: str, task: ChoiceResult) -> Iterator[dict[str, Any]]:
    shared = {
        "task": name,
        "kind": task.form,
        "style": task.style,
        "num_shots": task.num_shots,
        "prompt_digest": task.prompt_digest,
        "scored_texts": " ".join("".join(pieces) for pieces in task.compared_texts.values()),
    }
    yield {
        **shared,
        "subject": "",
        "items": task.items,
        "accuracy": task.accuracy_micro,
        "accuracy_macro": task.accuracy_macro,
        "standard_error": task.standard_error,
        "chance": task.chance,
        "constant_letter_accuracy": task.constant_letter_accuracy,
        "items_contaminated": task.items_contaminated,
        "accuracy_clean": task.accuracy_clean,
    }
    if len(task.subjects) > 1:
        for subject, each in task.subjects.items():
            yield {**shared, "subject": subject, **each.model_dump()}
