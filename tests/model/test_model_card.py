"""The model card of an export."""

from collections.abc import Callable
from pathlib import Path

from ctllm.model.checkpoint import load_model
from ctllm.model.evaluation.suite import evaluate_checkpoint
from ctllm.model.model_card import model_card
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.evaluation_config import ChoiceTaskConfig, EvaluateConfig


def test_the_card_states_what_the_model_is(make_exported: Callable[..., str]) -> None:
    """README.md gives the exact number of parameters and says when nothing was measured."""
    card = (Path(make_exported()) / "README.md").read_text()
    assert "59,552 parameters" in card
    assert "run `ctllm evaluate`" in card


def test_the_card_has_what_was_measured(checkpoint: str, tmp_path: Path) -> None:
    """Every row of the evaluation stands in the card's table, with its uncertainty."""
    task = ChoiceTaskConfig(name="mini", items=("examples/benchmarks/mini_en.jsonl",), language="en")
    result = evaluate_checkpoint(checkpoint, config=EvaluateConfig(choice=(task,)), out=str(tmp_path))
    _, config = load_model(checkpoint)
    card = model_card(
        config, tokenizer=Tokenizer(checkpoint), weights="w", dtype="float32", evaluation=result, name="our model"
    )
    assert "# our model" in card
    for what, value in result.rows():
        assert f"| {what} | {value} |" in card
