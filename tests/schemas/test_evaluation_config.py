"""What an evaluation config refuses: half of a pair, nothing at all, two tasks that would write one file."""

from typing import Any

import pytest
from pydantic import ValidationError

from ctllm.schemas.evaluation_config import ChoiceTaskConfig, EvaluateConfig

TASK = {"name": "ceval", "items": ["ceval/*.csv"]}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing to measure"),
        ({"tokens": "t"}, "tokens and plan go together"),
        ({"plan": "p"}, "tokens and plan go together"),
        ({"choice": [TASK], "text": [{**TASK, "kind": "number"}]}, "two tasks have one name: ceval, ceval"),
        ({"choice": [{**TASK, "num_shots": 5}]}, "num_shots and shots go together"),
        ({"choice": [{**TASK, "shots": ["dev/*.csv"]}]}, "num_shots and shots go together"),
        ({"choice": [{**TASK, "name": "../ceval"}]}, "String should match pattern"),
        ({"choice": [{**TASK, "items": []}]}, "at least 1 item"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], said: str) -> None:
    """Before a model is loaded."""
    with pytest.raises(ValidationError, match=said):
        EvaluateConfig.model_validate(given)


def test_each_part_alone_is_enough() -> None:
    """Own texts, one benchmark, or preferences."""
    for given in ({"tokens": "t", "plan": "p"}, {"choice": [TASK]}, {"preferences": "pairs"}):
        EvaluateConfig.model_validate(given)
    assert ChoiceTaskConfig.model_validate({**TASK, "shots": ["dev"], "num_shots": 5}).num_shots == 5
