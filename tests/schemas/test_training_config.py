"""The configs of training: presets, impossible shapes, the files in configs/."""

from pathlib import Path
from typing import Any

import pytest

from ctllm.schemas.config import Config, parse_config, read_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.training_config import (
    LoopConfig,
    ModelConfig,
    PlanConfig,
    PretrainConfig,
    TokenizerConfig,
    model_presets,
)

CONFIGS = Path(__file__).parents[2] / "configs"
LADDER = ["ci_0m9", "m3", "t10m", "t26m", "s60m", "s160m", "m410m", "l1b", "ctllm_2b", "ctllm_2b_released"]
SHAPE = {"vocab_size": 64, "d_model": 32, "num_layers": 1, "num_heads": 4, "d_ffn": 48, "context_length": 16}


def test_the_ladder_is_there() -> None:
    """Every rung is a preset and calls itself by its file's name."""
    assert sorted(LADDER) == model_presets()
    assert [ModelConfig.model_validate(name).name for name in LADDER] == LADDER


def test_a_preset_can_be_changed() -> None:
    """A preset by name, or with changes, is a ModelConfig; unknown keys beside it and unknown names are refused."""
    plain = ModelConfig.model_validate("ci_0m9")
    changed = ModelConfig.model_validate({"preset": "ci_0m9", "vocab_size": 4096})
    assert changed == plain.model_copy(update={"vocab_size": 4096})
    with pytest.raises(ConfigError, match="vocabsize: unknown key; did you mean vocab_size"):
        parse_config({"preset": "ci_0m9", "vocabsize": 5}, ModelConfig, origin="x")
    with pytest.raises(ConfigError, match="no model preset 'm4'; there are ci_0m9, "):
        parse_config({"preset": "m4"}, ModelConfig, origin="x")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_heads": 5}, "d_model 32 must be num_heads 5 times an even head width"),
        ({"num_heads": 32}, "d_model 32 must be num_heads 32 times an even head width"),
        ({"num_kv_heads": 3}, "num_heads 4 must be a multiple of num_kv_heads 3"),
    ],
)
def test_impossible_shapes_are_refused(change: dict[str, Any], message: str) -> None:
    """Heads that do not divide the width are refused before any weight is made."""
    with pytest.raises(ConfigError, match=message):
        parse_config({**SHAPE, **change}, ModelConfig, origin="x")


def test_a_micro_batch_is_part_of_a_step() -> None:
    """A micro-batch as large as the step is allowed, a larger one is not."""
    values = {"steps": 1, "sequences_per_step": 4}
    assert parse_config({**values, "sequences_per_micro_batch": 4}, LoopConfig, origin="x").steps == 1
    with pytest.raises(ConfigError, match="above sequences_per_step"):
        parse_config({**values, "sequences_per_micro_batch": 5}, LoopConfig, origin="x")


@pytest.mark.parametrize(
    ("folder", "model"), [("pretrain", PretrainConfig), ("plan", PlanConfig), ("tokenizer", TokenizerConfig)]
)
def test_shipped_configs_are_valid(folder: str, model: type[Config]) -> None:
    """Every file in the folder parses; its digest changes with an override."""
    paths = sorted((CONFIGS / folder).glob("*.yaml"))
    assert {"demo.yaml", "m3.yaml"} <= {path.name for path in paths}
    for path in paths:
        override = {"pretrain": "loop.steps=7", "plan": "seed=7", "tokenizer": "vocab_size=777"}[folder]
        assert read_config(path, model).digest() != read_config(path, model, overrides=[override]).digest()


@pytest.mark.parametrize("name", ["demo", "m3"])
def test_shipped_configs_fit_together(name: str) -> None:
    """The model of a pretraining config has room for its tokenizer and its plan's sequences."""
    pretraining = read_config(CONFIGS / "pretrain" / f"{name}.yaml", PretrainConfig)
    assert (
        pretraining.model.vocab_size >= read_config(CONFIGS / "tokenizer" / f"{name}.yaml", TokenizerConfig).vocab_size
    )
    assert pretraining.model.context_length >= read_config(CONFIGS / "plan" / f"{name}.yaml", PlanConfig).context_length
