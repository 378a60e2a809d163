"""The tables beside `evaluation.json`, as pyarrow reads them."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ctllm.model.evaluation.tables import ITEM_SCHEMA, SCORE_SCHEMA, ItemRow, write_items, write_scores
from ctllm.schemas.tuning_run import ChoiceResult, ChoiceSubject, EvaluationResult, TextResult


def choice(**subjects: ChoiceSubject) -> ChoiceResult:
    """A letter task with these subjects."""
    return ChoiceResult(
        form="letter", style="lm_eval", language="zh", normalisation="none", num_shots=5, prompt_digest="p", items=9,
        accuracy_micro=0.4, accuracy_macro=0.5, accuracy_of_sums=0.4, standard_error=0.1, items_contaminated=1,
        accuracy_clean=0.3, chance=0.25, constant_letter="A", constant_letter_accuracy=0.3, answers_by_letter={"A": 9},
        compared_tokens={"A": [7], "B": [8]}, compared_texts={"A": ["▁", "A"], "B": ["▁", "B"]}, items_truncated=0,
        items_unreadable=0, subjects=subjects,
    )  # fmt: skip


TEXT = TextResult(
    kind="last_word", num_shots=0, prompt_digest="q", items=4, accuracy=0.25, standard_error=0.2, items_contaminated=0,
    accuracy_clean=0.25, perplexity=12.5, outcomes={}, items_truncated=0, items_unreadable=0,
)  # fmt: skip


def score_rows(path: Path, **tasks: Any) -> list[dict[str, Any]]:
    """What is written for these tasks."""
    result = EvaluationResult(
        checkpoint="run/checkpoints/step-1", step=1, num_parameters=1, weights_digest="w", tokenizer_digest="t",
        config={}, plan_digest=None, bits_per_byte={}, preferences=None, seconds=0, **{"choice": {}, **tasks},
    )  # fmt: skip
    write_scores(str(path), result)
    table = pq.read_table(path)
    assert table.schema.equals(SCORE_SCHEMA)
    return table.to_pylist()


def test_a_task_of_several_subjects_has_a_row_for_each(tmp_path: Path) -> None:
    """The whole task first with both averages, then its subjects; each says how it was asked and what was compared."""
    subjects = {
        name: ChoiceSubject(items=items, accuracy=accuracy, standard_error=0.1, items_contaminated=0)
        for name, items, accuracy in (("law", 3, 1.0), ("logic", 6, 0.0))
    }
    whole, law, logic = score_rows(tmp_path / "scores.parquet", choice={"ceval": choice(**subjects)})
    assert (whole["subject"], whole["items"], whole["accuracy"], whole["accuracy_macro"]) == ("", 9, 0.4, 0.5)
    assert (whole["chance"], whole["constant_letter_accuracy"], whole["accuracy_clean"]) == (0.25, 0.3, 0.3)
    assert [(row["subject"], row["items"], row["accuracy"]) for row in (law, logic)] == [
        ("law", 3, 1.0),
        ("logic", 6, 0.0),
    ]
    for row in (whole, law, logic):
        assert (row["task"], row["kind"], row["style"], row["num_shots"]) == ("ceval", "letter", "lm_eval", 5)
        assert (row["scored_texts"], row["weights_digest"]) == ("▁A ▁B", "w")
    assert law["accuracy_macro"] is None


def test_a_task_of_one_subject_has_one_row(tmp_path: Path) -> None:
    """Nothing is said twice."""
    only = {"all": ChoiceSubject(items=9, accuracy=0.4, standard_error=0.1, items_contaminated=1)}
    rows = score_rows(tmp_path / "scores.parquet", choice={"piqa": choice(**only)}, text={"lambada": TEXT})
    assert [(row["task"], row["kind"], row["accuracy"], row["perplexity"]) for row in rows] == [
        ("piqa", "letter", 0.4, None),
        ("lambada", "last_word", 0.25, 12.5),
    ]


def test_items_keep_their_order_and_numbers(tmp_path: Path) -> None:
    """What was right, what was chosen and each log-probability come back as they went in; no items make a table too."""
    rows = [
        ItemRow("ceval", "law", "3", True, False, "B", "B", [-1.5, -0.25]),
        ItemRow("humaneval", "", "HumanEval/0", False, True, "", "return 1", note="failed"),
    ]
    write_items(str(tmp_path / "items.parquet"), rows)
    table = pq.read_table(tmp_path / "items.parquet")
    assert table.schema.equals(ITEM_SCHEMA)
    assert [ItemRow(**row) for row in table.to_pylist()] == rows
    write_items(str(tmp_path / "none.parquet"), [])
    assert pq.read_table(tmp_path / "none.parquet").schema.equals(ITEM_SCHEMA)
