"""Preference pairs as tokens, and how likely a model finds both answers. Suffixes: N pairs, 2 chosen and rejected."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctllm.model.chat_template import render_answer, render_chat
from ctllm.model.completions import Completion, score_completions
from ctllm.model.shared_work import ALONE, SharedWork
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.model.tuning_data import Row
from ctllm.schemas.errors import InputError
from ctllm.schemas.tuning_run import PreferenceResult, RowCut, RowCutReason

PAIRS_PER_BATCH = 8  # chosen; decides the padding and with it the last bits of a log-probability


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt."""

    lane: str
    chosen: Completion
    rejected: Completion

    @property
    def num_tokens(self) -> tuple[int, int]:
        """Lengths of the answers, their end of turn included."""
        return len(self.chosen.tokens), len(self.rejected.tokens)


@dataclass(frozen=True)
class Pairs:
    """Tokenized pairs and what the context length cost."""

    pairs: list[Pair]
    cuts: list[RowCut]


def tokenize_pairs(rows: Sequence[Row], *, tokenizer: Tokenizer, context_length: int) -> Pairs:
    """Prompt and answers in the chat format, cut after `context_length` positions.

    A pair without room for an answer, or whose answers are equal after the cut, is dropped.
    """
    pairs, cuts = [], []
    for row in rows:
        prompt = render_chat(row["prompt"], tokenizer=tokenizer, opens_answer=True).tokens
        answers = [render_answer(row[name], tokenizer=tokenizer) for name in ("chosen", "rejected")]
        room = max(0, context_length + 1 - len(prompt))
        cut = sum(max(0, len(answer) - room) for answer in answers)
        chosen, rejected = (Completion(prompt, answer[:room]) for answer in answers)
        reason: RowCutReason | None = "cut" if cut else None
        if not room:
            reason = "prompt_fills_context"
        elif chosen == rejected:
            reason = "answers_equal"
        if reason in (None, "cut"):
            pairs.append(Pair(row["lane"], chosen, rejected))
        if reason:
            cuts.append(RowCut(id=row["id"], source=row["source"], reason=reason, tokens_cut=cut))
    return Pairs(pairs, cuts)


def pairs_digest(pairs: Sequence[Pair]) -> str:
    """16 hex digits that change when, and only when, a token changes."""
    digest = hashlib.sha256()
    for pair in pairs:
        for tokens in (pair.chosen.prompt, pair.chosen.tokens, pair.rejected.tokens):
            digest.update(np.array([len(tokens), *tokens], dtype="<i8").tobytes())
    return digest.hexdigest()[:16]


def score_pairs(model: Transformer, pairs: Sequence[Pair], *, padding_id: int, work: SharedWork = ALONE) -> Tensor:
    """Log-probabilities of both answers, (N, 2), float64, in nats summed over the answer's tokens.

    Equal lists of pairs give equal bits: a pair's last bits depend on those it is padded with.
    """

    def score_batch(number: int) -> list[float]:
        batch = pairs[number * PAIRS_PER_BATCH : (number + 1) * PAIRS_PER_BATCH]
        answers = [answer for pair in batch for answer in (pair.chosen, pair.rejected)]
        return list(score_completions(model, answers, padding_id=padding_id, per_batch=len(answers)))

    batches = work.each(math.ceil(len(pairs) / PAIRS_PER_BATCH), score_batch)
    return torch.tensor([score for batch in batches for score in batch], dtype=torch.float64).view(-1, 2)


def token_counts(pairs: Sequence[Pair]) -> Tensor:
    """Lengths of both answers, (N, 2), int64."""
    return torch.tensor([pair.num_tokens for pair in pairs]).view(-1, 2)


def pair_groups(pairs: Sequence[Pair]) -> dict[str, Tensor]:
    """Kinds of pairs to be looked at apart, (N,) bool each, none empty: languages, and which answer is longer."""
    lengths_N2 = token_counts(pairs)
    longer_N = lengths_N2[:, 0] - lengths_N2[:, 1]
    groups = {lane: torch.tensor([pair.lane == lane for pair in pairs]) for lane in sorted({p.lane for p in pairs})}
    groups |= {"chosen_longer": longer_N > 0, "chosen_shorter": longer_N < 0}
    return {name: is_in_N for name, is_in_N in groups.items() if is_in_N.any()}


def wins(differences_N: Tensor) -> Tensor:
    """1 where the chosen answer is ahead, 0.5 for a tie, else 0; float64."""
    return (differences_N > 0).double() + 0.5 * (differences_N == 0).double()


def preference_accuracy(
    model: Transformer, pairs: Sequence[Pair], *, padding_id: int, work: SharedWork = ALONE
) -> PreferenceResult:
    """How often the model finds the chosen answer likelier. Raises InputError when there is no pair."""
    if not pairs:
        raise InputError("no preference pair fits the model's context; nothing to measure")
    scores_N2 = score_pairs(model, pairs, padding_id=padding_id, work=work)
    lengths_N2 = token_counts(pairs)
    per_token_N2 = scores_N2 / lengths_N2
    wins_N = wins(per_token_N2[:, 0] - per_token_N2[:, 1])
    accuracy = wins_N.mean().item()
    return PreferenceResult(
        pairs=len(pairs),
        accuracy=accuracy,
        accuracy_by_group={name: wins_N[is_in_N].mean().item() for name, is_in_N in pair_groups(pairs).items()},
        longer_accuracy=wins((lengths_N2[:, 0] - lengths_N2[:, 1]).double()).mean().item(),
        accuracy_of_sums=wins(scores_N2[:, 0] - scores_N2[:, 1]).mean().item(),
        standard_error=math.sqrt(accuracy * (1 - accuracy) / len(pairs)),
    )
