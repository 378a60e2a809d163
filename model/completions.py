"""Log-probabilities of completions: how likely the model finds a text after a prompt. For DPO and multiple choice.

Suffixes: B completions, T positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctllm.model.batches import TensorBatch
from ctllm.model.losses import IGNORED, token_losses
from ctllm.model.transformer import Transformer


@dataclass(frozen=True)
class Completion:
    """A prompt and what may follow it, as tokens; `tokens` is not empty, nor is the prompt."""

    prompt: list[int]
    tokens: list[int]


@dataclass(frozen=True)
class CompletionBatch(TensorBatch):
    """Completions as padded rows, int64. What pads at the end is never looked at and has no label."""

    tokens_BT: Tensor
    labels_BT: Tensor
    """The completion's tokens, each at the position before it; IGNORED elsewhere."""


def pad_completions(completions: Sequence[Completion], *, padding_id: int) -> CompletionBatch:
    """One row per completion, as long as the longest."""
    length = max(len(each.prompt) + len(each.tokens) - 1 for each in completions)
    tokens_BT = torch.full((len(completions), length), padding_id)
    labels_BT = torch.full((len(completions), length), IGNORED)
    for row, each in enumerate(completions):
        whole = torch.tensor(each.prompt + each.tokens)
        tokens_BT[row, : len(whole) - 1] = whole[:-1]
        labels_BT[row, len(each.prompt) - 1 : len(whole) - 1] = whole[len(each.prompt) :]
    return CompletionBatch(tokens_BT, labels_BT)


def log_probabilities(model: Transformer, batch: CompletionBatch) -> Tensor:
    """Sum over each completion's tokens, in nats, (B,), float64: single tokens are float32, their sum loses nothing."""
    hidden_BTD = model.hidden_states(batch.tokens_BT)
    losses_BT = token_losses(hidden_BTD, model.head_weight_VD, batch.labels_BT)
    return -losses_BT.double().sum(1)


@torch.no_grad()
def score_completions(
    model: Transformer, completions: Sequence[Completion], *, padding_id: int, per_batch: int
) -> Iterator[float]:
    """The log-probability of each completion, in order. They must fit the model's context."""
    device = next(model.parameters()).device
    for start in range(0, len(completions), per_batch):
        batch = pad_completions(completions[start : start + per_batch], padding_id=padding_id).to(device)
        yield from log_probabilities(model, batch).tolist()
