"""Scores of others: each says what it is of and where it was read, and none is a percentage."""

from collections import Counter
from typing import Any

import pytest

from ctllm.schemas.config import parse_config, read_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.evaluation_config import BenchmarkCatalogue
from ctllm.schemas.published_scores import PublishedScores

SCORE = {"model": "Theirs", "task": "ceval", "accuracy": 0.25, "source": "a paper, table 3"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"accuracy": 36.1}, r"scores\.0\.accuracy: 36\.1: .*less than or equal to 1"),
        ({"accuracy": -0.1}, r"scores\.0\.accuracy: -0\.1"),
        ({"acuracy": 0.3}, r"scores\.0\.acuracy: unknown key"),
        ({"source": None}, r"scores\.0\.source"),
    ],
)
def test_what_is_no_score_is_named(changed: dict[str, Any], said: str) -> None:
    """A percentage, a misspelled key, a number without its origin: file and key are named."""
    with pytest.raises(ConfigError, match=said):
        parse_config({"scores": [{**SCORE, **changed}]}, PublishedScores, origin="scores.yaml")
    for bound in (0, 1):
        parse_config({"scores": [{**SCORE, "accuracy": bound}]}, PublishedScores, origin="scores.yaml")


def test_every_shipped_score_can_stand_beside_ours() -> None:
    """No model has two scores of one benchmark, every source is said, and the benchmarks are ones that we measure."""
    scores = read_config("configs/published/scores.yaml", PublishedScores).scores
    measured = read_config("configs/benchmarks/published.yaml", BenchmarkCatalogue).benchmarks
    assert max(Counter((score.model, score.task) for score in scores).values()) == 1
    assert all(score.source.strip() for score in scores)
    assert {score.task for score in scores} <= measured.keys()
