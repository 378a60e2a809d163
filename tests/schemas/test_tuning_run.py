"""Reports of tuning and evaluation: the rows of the table say what was measured, on what, and how sure it is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas.tuning_run import ChoiceResult, ChoiceSubject, EvaluationResult, PreferenceResult, TextResult

SUBJECT = ChoiceSubject(items=4, accuracy=0.5, standard_error=0.25, items_contaminated=0)
CHOICE: dict[str, Any] = {
    "form": "letter", "style": "lm_eval", "language": "zh", "normalisation": "none", "num_shots": 5,
    "prompt_digest": "9f", "items": 8, "accuracy_micro": 0.375, "accuracy_macro": 0.4, "accuracy_of_sums": 0.375,
    "standard_error": 0.1711, "items_contaminated": 0, "accuracy_clean": 0.375, "chance": 0.25,
    "constant_letter": "B", "constant_letter_accuracy": 0.3, "answers_by_letter": {"A": 8},
    "compared_tokens": {}, "compared_texts": {}, "items_truncated": 0, "items_unreadable": 0,
    "subjects": {"law": SUBJECT},
}  # fmt: skip
TEXT: dict[str, Any] = {
    "kind": "number", "num_shots": 4, "prompt_digest": "a0", "items": 10, "accuracy": 0.2, "standard_error": 0.1265,
    "items_contaminated": 0, "accuracy_clean": 0.2, "perplexity": None, "outcomes": {}, "items_truncated": 0,
    "items_unreadable": 0,
}  # fmt: skip
NOTHING: dict[str, Any] = {
    "checkpoint": "c", "step": 1, "num_parameters": 1, "weights_digest": "w", "tokenizer_digest": "t", "config": {},
    "plan_digest": None, "bits_per_byte": {}, "choice": {}, "preferences": None, "seconds": 0.5,
}  # fmt: skip


def rows(**measured: Any) -> list[tuple[str, str]]:
    """The table of an evaluation that measured this and nothing else."""
    return EvaluationResult.model_validate({**NOTHING, **measured}).rows()


def test_what_was_not_asked_for_has_no_row() -> None:
    """An evaluation of nothing is an empty table, not one of zeros."""
    assert rows() == []


def test_each_part_has_its_row() -> None:
    """Bits per byte with the bytes, benchmarks with prompt, error and baselines, preferences with the longer answer."""
    preferences = PreferenceResult(
        pairs=100, accuracy=0.52, longer_accuracy=0.48, accuracy_of_sums=0.5, standard_error=0.05
    )
    assert rows(
        bits_per_byte={"zh": {"bits_per_byte": 2.7654, "num_bytes": 12345.0}},
        choice={"ceval": CHOICE},
        text={"gsm8k": {**TEXT, "outcomes": {"passed": 2, "failed": 8}, "perplexity": 12.3456}},
        preferences=preferences,
    ) == [
        ("bits per byte, zh", "2.765 (12,345 bytes)"),
        (
            "ceval (letter, lm_eval, 5-shot, 8 items, prompt 9f)",
            "0.375 ± 0.171 (chance 0.250, always B 0.300)",
        ),
        (
            "gsm8k (4-shot, 10 items, prompt a0)",
            "0.200 ± 0.127, perplexity 12.35, 8 failed, 2 passed",
        ),
        ("preference accuracy (100 pairs)", "0.520 ± 0.050 (always the longer answer 0.480)"),
    ]


@pytest.mark.parametrize(("clean", "said"), [(0.25, "0.250"), (0.0, "0.000"), (None, "none left")])
def test_contaminated_items_are_said(clean: float | None, said: str) -> None:
    """Beside the score stands the one without them; no item left is not a score of zero."""
    contaminated = {"items_contaminated": 3, "accuracy_clean": clean}
    for part, task in (("choice", CHOICE), ("text", TEXT)):
        ((_, value),) = rows(**{part: {"task": {**task, **contaminated}}})
        assert f"without 3 contaminated {said}" in value
        ((_, value),) = rows(**{part: {"task": {**task, "accuracy_clean": clean}}})
        assert "contaminated" not in value


@given(st.integers(1, 4))
def test_the_mean_over_subjects_is_said_where_there_are_several(num_subjects: int) -> None:
    """Of one file the mean over subjects is the score itself."""
    subjects = {f"s{number}": SUBJECT for number in range(num_subjects)}
    ((_, value),) = rows(choice={"ceval": {**CHOICE, "subjects": subjects}})
    assert ("macro 0.400" in value) == (num_subjects > 1)


def test_an_evaluation_comes_back_from_its_file() -> None:
    """Also one that an earlier version wrote: without texts, missing benchmarks and the curation run."""
    result = EvaluationResult.model_validate({**NOTHING, "choice": {"ceval": CHOICE}, "text": {"gsm8k": TEXT}})
    assert EvaluationResult.model_validate_json(result.model_dump_json()) == result
    assert ChoiceResult.model_validate(CHOICE).model_dump()["subjects"] == {"law": SUBJECT.model_dump()}
    assert TextResult.model_validate(TEXT).outcomes == {}
    assert EvaluationResult.model_validate(NOTHING).missing == []
