"""Configs of SFT, DPO and evaluation: the shipped files are valid, combinations that cannot work are refused."""

from pathlib import Path

import pytest

from ctllm.schemas.config import Config, parse_config, read_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.evaluation_config import ChoiceTaskConfig, EvaluateConfig
from ctllm.schemas.tuning_config import DpoConfig, SftConfig, TuningDataConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
SHIPPED = [
    (path, model)
    for folder, model in (("sft", SftConfig), ("dpo", DpoConfig), ("evaluate", EvaluateConfig))
    for path in sorted((CONFIGS / folder).glob("*.yaml"))
]


@pytest.mark.parametrize(("path", "model"), SHIPPED, ids=[f"{path.parent.name}/{path.stem}" for path, _ in SHIPPED])
def test_shipped_configs_are_valid(path: Path, model: type[Config]) -> None:
    """Every YAML file of the three folders is read without an error."""
    assert read_config(path, model)


@pytest.mark.parametrize("ratio", ["all", "zh only", "en only", "4:1", "1:10"])
def test_ratios(ratio: str) -> None:
    """The language ratio is all rows, one language, or whole numbers."""
    assert TuningDataConfig(zh_to_en=ratio).zh_to_en == ratio


@pytest.mark.parametrize("ratio", ["0:1", "4", "4:1:1", "zh", "4/1", ""])
def test_bad_ratios_are_refused(ratio: str) -> None:
    """Anything else is refused, with the key."""
    with pytest.raises(ConfigError, match="zh_to_en"):
        parse_config({"zh_to_en": ratio}, TuningDataConfig, origin="test")


def test_combinations_that_cannot_work_are_refused() -> None:
    """Smoothing without the robust loss, shots without a file, two tasks of one name: each is explained."""
    dpo = {"checkpoint": "c", "preferences": "p", "out": "o", "loop": {"steps": 1, "sequences_per_step": 1}}
    task = {"name": "a", "items": ["x.jsonl"]}
    cases: list[tuple[dict[str, object], type[Config], str]] = [
        ({**dpo, "label_smoothing": 0.1}, DpoConfig, "belongs to loss: robust"),
        ({**dpo, "loss": "robust"}, DpoConfig, "belongs to loss: robust"),
        ({**task, "num_shots": 5}, ChoiceTaskConfig, "go together"),
        ({"choice": [task, task]}, EvaluateConfig, "two tasks have one name"),
    ]
    for values, model, message in cases:
        with pytest.raises(ConfigError, match=message):
            parse_config(values, model, origin="test")
    assert DpoConfig.model_validate({**dpo, "loss": "robust", "label_smoothing": 0.1}).label_smoothing == 0.1
