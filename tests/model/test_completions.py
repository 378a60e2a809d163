"""Log-probabilities of completions against transformers' plain arithmetic."""

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.completions import Completion, pad_completions, score_completions
from ctllm.model.losses import IGNORED

COMPLETIONS = [
    Completion([1, 3, 40], [50, 60, 5]),
    Completion([1], [70]),
    Completion([1, 9, 8, 7, 6, 5], [4, 3, 2, 10]),
]


def test_padding_labels_only_the_completion() -> None:
    """Each token of a completion is the label of the position before it; prompt and padding have none."""
    batch = pad_completions(COMPLETIONS[:2], padding_id=1)
    assert batch.tokens_BT.tolist() == [[1, 3, 40, 50, 60], [1, 1, 1, 1, 1]]
    assert batch.labels_BT.tolist() == [[IGNORED, IGNORED, 50, 60, 5], [70] + [IGNORED] * 4]


def test_scores_are_sums_of_log_softmax(checkpoint: str) -> None:
    """A score is what a slow plain version gives for the completion alone, whatever it is batched with."""
    model, _ = load_model(checkpoint)
    scores = list(score_completions(model, COMPLETIONS, padding_id=1, per_batch=2))
    for score, each in zip(scores, COMPLETIONS, strict=True):
        whole = torch.tensor([each.prompt + each.tokens])
        with torch.no_grad():
            log_TV = model(whole)[0].double().log_softmax(-1)
        places = range(len(each.prompt) - 1, whole.shape[1] - 1)
        expected = sum(log_TV[place, whole[0, place + 1]].item() for place in places)
        assert score == pytest.approx(expected, abs=1e-5)
