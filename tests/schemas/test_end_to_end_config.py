"""The config of the whole way: everything that is missing or misspelled is said at once."""

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.errors import ConfigError

STAGES = ("tokenizer", "plan", "pretrain", "sft", "dpo", "evaluate")
GIVEN = {"inputs": ["a"], "conversations": ["c"], "preferences": ["p"], **dict.fromkeys(STAGES, "x.yaml")}


def test_all_that_is_missing_is_said_at_once() -> None:
    """Nobody has to start the whole way nine times to learn nine keys."""
    with pytest.raises(ConfigError) as caught:
        parse_config({}, EndToEndConfig, origin="way.yaml")
    said = [line.partition(":")[0] for line in str(caught.value).splitlines()]
    assert sorted(said) == sorted(f"way.yaml, {key}" for key in GIVEN)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("inputs", [], "inputs: "),
        ("conversations", [], "conversations: "),
        ("preferences", [], "preferences: "),
        ("workers", 0, "workers: 0: "),
        ("max_training_seconds", 0, "max_training_seconds: 0: "),
        ("pretrian", "x", "pretrian: unknown key; did you mean pretrain?"),
    ],
)
def test_what_cannot_work_is_named(key: str, value: object, said: str) -> None:
    """Nothing to read, nobody to work, no time to train, a key that is not one."""
    with pytest.raises(ConfigError) as caught:
        parse_config({**GIVEN, key: value}, EndToEndConfig, origin="way.yaml")
    assert str(caught.value).startswith(f"way.yaml, {said}")
    assert "\n" not in str(caught.value)
