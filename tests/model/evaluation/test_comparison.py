"""Checkpoints side by side."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.model.evaluation.comparison import MARK, compare, read_published, read_results, write_picture
from ctllm.model.evaluation.suite import evaluate_checkpoint
from ctllm.schemas.errors import InputError
from ctllm.schemas.evaluation_config import ChoiceTaskConfig, EvaluateConfig
from ctllm.schemas.published_scores import PublishedScore

ITEMS = ("examples/benchmarks/mini_en.jsonl",)


@pytest.fixture
def measured(checkpoint: str, make_checkpoint: Callable[..., str], tmp_path: Path) -> list[str]:
    """Two checkpoints, measured on one task alike, on another in two forms, and one on a third."""
    tasks = [
        ChoiceTaskConfig(name=name, items=ITEMS, language="en", form="cloze") for name in ("same", "other", "third")
    ]
    lettered = tasks[1].model_copy(update={"form": "letter"})
    out = [str(tmp_path / name) for name in ("a", "b")]
    evaluate_checkpoint(checkpoint, config=EvaluateConfig(choice=(tasks[0], tasks[1])), out=out[0])
    second = make_checkpoint(init_std=0.3)
    evaluate_checkpoint(second, config=EvaluateConfig(choice=(tasks[0], lettered, tasks[2])), out=out[1])
    return out


def test_columns_are_models_and_rows_measures(measured: list[str], tmp_path: Path) -> None:
    """Values stand where they were measured, published ones are marked with their source, other prompts warned of."""
    results = read_results(measured)
    published = [
        PublishedScore(model="Theirs", task="same", accuracy=0.5, source="a paper"),
        PublishedScore(model="Nowhere", task="unknown", accuracy=0.9, source="a paper"),
    ]
    table = compare(results, published)
    first, second = (result for _, result in results)
    assert table.models == ["a", "b", f"Theirs{MARK}"]
    assert dict(table.rows) == {
        "same": [first.choice["same"].accuracy_micro, second.choice["same"].accuracy_micro, 0.5],
        "other": [first.choice["other"].accuracy_micro, second.choice["other"].accuracy_micro, None],
        "third": [None, second.choice["third"].accuracy_micro, None],
    }
    assert table.sources == ["* Theirs, published: a paper"]
    assert [warning.split(":")[0] for warning in table.warnings] == ["other"]
    write_picture(table, str(tmp_path / "c.html"))
    page = (tmp_path / "c.html").read_text()
    assert all(text in page for text in ("Theirs*", "published: a paper"))
    assert '<script src="http' not in page


def test_what_was_not_measured_says_so(tmp_path: Path) -> None:
    """A checkpoint without an evaluation names the command."""
    with pytest.raises(InputError, match=r"no evaluation.json here; run `ctllm evaluate`"):
        read_results([str(tmp_path)])


def test_published_scores_name_their_source() -> None:
    """All four projects are there, and every number says where it was read."""
    scores = read_published()
    assert {score.model.split()[0].split("-")[0] for score in scores} == {"CT", "Steel", "MiniMind", "TinyLlama"}
    assert all(score.source for score in scores)
