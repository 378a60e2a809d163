"""The model card of an export."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.model.checkpoint import load_model
from ctllm.model.evaluation.suite import evaluate_checkpoint
from ctllm.model.export import export_hf
from ctllm.model.model_card import model_card
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import InputError
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


def test_the_card_names_licence_and_data(checkpoint: str, tmp_path: Path) -> None:
    """The licence stands where hubs look for it, a data card lies beside and is linked, a URL is only linked."""
    report = tmp_path / "report.html"
    report.write_text("<p>data</p>")
    out = tmp_path / "out"
    for _ in range(2):  # the second finds it finished
        export_hf(checkpoint, str(out), licence="apache-2.0", data_card=str(report))
    card = (out / "README.md").read_text()
    assert "\nlicense: apache-2.0\n---\n" in card
    assert "[data card](data_card.html)" in card
    assert (out / "data_card.html").read_text() == "<p>data</p>"
    report.write_text("<p>newer</p>")
    export_hf(checkpoint, str(out), licence="apache-2.0", data_card=str(report))
    assert (out / "data_card.html").read_text() == "<p>newer</p>"
    export_hf(checkpoint, str(tmp_path / "linked"), data_card="https://example.com/card")
    assert "[data card](https://example.com/card)" in (tmp_path / "linked" / "README.md").read_text()
    with pytest.raises(InputError, match="no such data card"):
        export_hf(checkpoint, str(tmp_path / "x"), data_card=str(tmp_path / "nothing.html"))
