"""Preference pairs: what the context cuts, and how accuracy is counted."""

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.completions import Completion
from ctllm.model.preference_pairs import (
    Pair,
    pair_groups,
    pairs_digest,
    preference_accuracy,
    tokenize_pairs,
    wins,
)
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import InputError


@pytest.fixture
def pairs(tokenizer_directory: str) -> list[Pair]:
    """Two dozen pairs as tokens."""
    rows = [
        {
            "id": str(n),
            "source": "s",
            "lane": "zh",
            "prompt": [{"role": "user", "content": str(n)}],
            "chosen": f"好的，{n}。",
            "rejected": f"不{n}!!",
        }
        for n in range(24)
    ]
    return tokenize_pairs(rows, tokenizer=Tokenizer(tokenizer_directory), context_length=128).pairs


def test_long_pairs_are_cut_or_dropped(tokenizer_directory: str) -> None:
    """Answers are cut at the context; no room for one, or equal ones, drop the pair; each is named."""
    tokenizer = Tokenizer(tokenizer_directory)
    answers = [
        ("短", "好" * 40, "坏"),
        ("长" * 60, "好" * 40, "坏"),
        ("短", "好" * 60, "好" * 60 + "坏"),
        ("短", "好", "坏"),
    ]
    rows = [
        {"id": str(n), "source": "s", "lane": "zh", "prompt": [{"role": "user", "content": prompt}], "chosen": chosen,
         "rejected": rejected}
        for n, (prompt, chosen, rejected) in enumerate(answers)
    ]  # fmt: skip
    result = tokenize_pairs(rows[:3], tokenizer=tokenizer, context_length=32)
    assert [(cut.id, cut.reason) for cut in result.cuts] == [
        ("0", "cut"),
        ("1", "prompt_fills_context"),
        ("2", "answers_equal"),
    ]
    assert not tokenize_pairs(rows[3:], tokenizer=tokenizer, context_length=32).cuts
    (pair,) = result.pairs
    assert len(pair.chosen.prompt) + len(pair.chosen.tokens) == 33
    assert result.cuts[0].tokens_cut > 0


def test_accuracy_counts_ties_half(pairs: list[Pair], checkpoint: str) -> None:
    """Preference accuracy is the share of pairs whose chosen answer is likelier per token; no pairs are refused."""
    assert wins(torch.tensor([1.0, 0.0, -1.0])).tolist() == [1.0, 0.5, 0.0]
    model, _ = load_model(checkpoint)
    swapped = [Pair(pair.lane, pair.rejected, pair.chosen) for pair in pairs]
    result, mirrored = (preference_accuracy(model, each, padding_id=1) for each in (pairs, swapped))
    assert result.accuracy + mirrored.accuracy == pytest.approx(1)
    assert result.accuracy_of_sums + mirrored.accuracy_of_sums == pytest.approx(1)
    assert result.pairs == 24
    with pytest.raises(InputError):
        preference_accuracy(model, [], padding_id=1)
    assert pairs_digest(pairs) != pairs_digest(swapped)


def test_accuracy_is_told_by_language_and_by_length(checkpoint: str) -> None:
    """What a taste for length gives is told apart: right where the chosen answer is longer, wrong where it is not."""
    model, _ = load_model(checkpoint)
    long, short = Completion([3, 4], [5] * 9), Completion([3, 4], [6] * 2)
    pairs = [Pair("zh", long, short), Pair("zh", long, short), Pair("en", short, long)]
    result = preference_accuracy(model, pairs, padding_id=1)
    assert set(result.accuracy_by_group) == {"zh", "en", "chosen_longer", "chosen_shorter"}
    assert result.accuracy_by_group["zh"] == result.accuracy_by_group["chosen_longer"]
    assert result.accuracy_by_group["en"] == 1 - result.accuracy_by_group["zh"]
    assert result.longer_accuracy == pytest.approx(2 / 3)
    assert set(pair_groups(pairs[:1])) == {"zh", "chosen_longer"}
