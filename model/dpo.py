"""Direct preference optimisation: pairs of answers, a frozen reference whose log-probabilities are computed once.

The reference's log-probabilities are a file (`reference.py`) that runs may share and a resume reads. Before the first
step it is compared with the model itself: a policy that is its reference has gained nothing, so the sigmoid loss must
be ln 2.

Suffixes: B pairs of a batch, N pairs, 2 the chosen and the rejected answer, T positions.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ctllm.model.batches import TensorBatch
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.completions import CompletionBatch, log_probabilities, pad_completions
from ctllm.model.distributed import World, open_world
from ctllm.model.dpo_losses import Gains, pair_losses
from ctllm.model.estimate import check_tuning_memory
from ctllm.model.lora import add_adapters
from ctllm.model.losses import IGNORED, LossOutput
from ctllm.model.machine import pick_device
from ctllm.model.preference_pairs import (
    PAIRS_PER_BATCH,
    Pair,
    Pairs,
    pair_groups,
    score_pairs,
    token_counts,
    tokenize_pairs,
    wins,
)
from ctllm.model.reference import load_reference
from ctllm.model.shared_work import ALONE, SharedWork
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.trainer import Trainer
from ctllm.model.transformer import Transformer
from ctllm.model.tuning_data import (
    read_tuning_data,
    rows_of_step,
    tuning_context_length,
    tuning_identity,
    write_row_cuts,
)
from ctllm.schemas.errors import AccountingError, InputError
from ctllm.schemas.files import join, write_json
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.training_run import LedgerLine, TrainingSummary
from ctllm.schemas.tuning_config import DpoConfig
from ctllm.schemas.tuning_run import DATA_REPORT, TuningDataReport

FALL_NATS = 1.0  # chosen: both answers e times less likely than for the reference; noise of a batch is far below
REFERENCE_TOLERANCE = 1e-6  # on the loss before the first step (training-reference 12)


def dpo(
    config: DpoConfig, *, resume: bool = False, max_seconds: float | None = None, progress: Progress = silent
) -> TrainingSummary:
    """Trains the checkpoint on preference pairs in `config.out`; see `Trainer.train` for stops and errors.

    Also writes RUN/data.json. The ledger has margin, accuracy, gains and levels of both answers and their lengths; the
    summary `held_out_…` figures before and after. Raises AccountingError when the reference is not that of the weights.
    """
    checkpoint, device = find_checkpoint(config.checkpoint), pick_device(config.loop)
    model, model_config = load_model(checkpoint, device=device)
    model.compute_dtype = getattr(torch, config.loop.compute_dtype)  # as the trainer will: reference and policy are one
    tokenizer = Tokenizer(checkpoint)
    context_length = tuning_context_length(config.context_length, model=model_config)
    check_tuning_memory(config, model_config, context_length=context_length, sequences_per_row=2)
    data = read_tuning_data(config.preferences, kind="preference", config=config.data)
    train = tokenize_pairs(data.train, tokenizer=tokenizer, context_length=context_length)
    held_out = tokenize_pairs(data.held_out, tokenizer=tokenizer, context_length=context_length)
    objective = Objective(config, train.pairs, held_out.pairs, padding_id=tokenizer.end_of_document_id)
    weights = weights_digest(model)
    trainer = Trainer(
        stage="dpo",
        run=config.out,
        model=model,
        loop=config.loop,
        optimizer=config.optimizer,
        schedule=config.schedule,
        batch=objective.batch,
        loss=objective.loss,
        tokenizer=tokenizer.path,
        identity=tuning_identity(
            config, data=data, weights=weights, tokenizer=tokenizer.digest, context_length=context_length
        ),
        packed_length=None,
        evaluate=objective.evaluate,
        watch=both_fall,
        progress=progress,
    )
    with open_world(config.loop, device) as world:
        objective.load_reference(model, work=_reference_work(world, progress))
        if config.lora is not None:
            add_adapters(model, config.lora, seed=config.loop.seed)
        summary = trainer.train(resume=resume, max_seconds=max_seconds, world=world)
    if world.is_first:
        write_json(join(config.out, DATA_REPORT), _report(train, held_out).model_dump())
        write_row_cuts(config.out, [*train.cuts, *held_out.cuts])
    return summary


def _reference_work(world: World, progress: Progress) -> SharedWork:
    return SharedWork(world, progress=progress if world.is_first else silent, stage="reference")


def both_fall(recent: Sequence[LedgerLine]) -> str:
    """The usual silent failure of DPO: the margin grows while both answers become unlikely, the chosen one too."""
    chosen, rejected = (
        statistics.fmean(line.values[f"{answer}_gain"] for line in recent) for answer in ("chosen", "rejected")
    )
    if max(chosen, rejected) > -FALL_NATS:
        return ""
    return (
        f"chosen and rejected answers both lose likelihood: {chosen:.1f} and {rejected:.1f} nats against the reference "
        f"over {len(recent)} steps; lower optimizer.learning_rate, raise beta, or try loss: apo_zero"
    )


@dataclass(frozen=True)
class PairBatch(TensorBatch):
    """Both answers of each pair with their prompt, and what the reference thinks of them."""

    tokens_B2T: Tensor
    labels_B2T: Tensor
    reference_B2: Tensor
    """Log-probabilities, float64."""


class Objective:
    """Batches, loss and evaluation of one run. `load_reference` comes before all else."""

    def __init__(self, config: DpoConfig, train: Sequence[Pair], held_out: Sequence[Pair], *, padding_id: int) -> None:
        """Raises InputError when there is nothing to train on."""
        if not train:
            raise InputError(f"{config.preferences}: no prompt leaves room for an answer; raise context_length")
        self.config, self.train, self.held_out, self.padding_id = config, train, held_out, padding_id
        self.reference_N2 = self.held_out_reference_N2 = torch.empty(0, 2)

    def load_reference(self, model: Transformer, *, work: SharedWork = ALONE) -> None:
        """Reads the log-probabilities of `model`, or computes and writes them; then checks them against the model.

        Raises AccountingError when they are not those of this model.
        """
        directory = self.config.reference or join(self.config.out, "reference")
        groups, padding_id = (self.train, self.held_out), self.padding_id
        found = load_reference(directory, model, groups, padding_id=padding_id, work=work)
        self.reference_N2, self.held_out_reference_N2 = found
        self._check_reference(model, directory, work=work)

    def batch(self, step: int) -> PairBatch:
        """The pairs of one optimizer step: a pure function of `step`."""
        loop = self.config.loop
        numbers = rows_of_step(step, num_rows=len(self.train), rows_per_step=loop.sequences_per_step, seed=loop.seed)
        completions = [answer for n in numbers for answer in (self.train[n].chosen, self.train[n].rejected)]
        padded = pad_completions(completions, padding_id=self.padding_id)
        shape = (len(numbers), 2, -1)
        return PairBatch(padded.tokens_BT.view(shape), padded.labels_BT.view(shape), self.reference_N2[numbers])

    def loss(self, model: Transformer, batch: PairBatch) -> LossOutput:
        """Sum over pairs; figures for the ledger in nats and tokens per pair."""
        flat = CompletionBatch(batch.tokens_B2T.flatten(0, 1), batch.labels_B2T.flatten(0, 1))
        policy_B2 = log_probabilities(model, flat).view(-1, 2)
        num_tokens_B2 = (batch.labels_B2T != IGNORED).sum(-1)
        gains = _gains(policy_B2, batch.reference_B2, num_tokens_B2)
        losses_B = self._losses(gains)
        figures = {
            "margin": self.config.beta * gains.margin_B,
            "accuracy": wins(gains.margin_B),
            "chosen_gain": gains.chosen_B,
            "rejected_gain": gains.rejected_B,
            "chosen_log_probability": policy_B2[:, 0],
            "rejected_log_probability": policy_B2[:, 1],
            "chosen_tokens": num_tokens_B2[:, 0],
            "rejected_tokens": num_tokens_B2[:, 1],
        }
        values = {name: figure_B.detach().sum().item() for name, figure_B in figures.items()}
        return LossOutput(losses_B.sum(), len(losses_B), values)

    def evaluate(self, model: Transformer, work: SharedWork = ALONE) -> Mapping[str, float]:
        """Held-out means. Preference accuracy needs no reference; reward accuracy is 0.5 while nothing is gained.

        Both accuracies also by language and by which answer is longer: a model that only likes length is right in
        all pairs of one kind and in none of the other.
        """
        if not self.held_out:
            return {}
        policy_N2, num_tokens_N2 = self._score(model, self.held_out, work), token_counts(self.held_out)
        gains = _gains(policy_N2, self.held_out_reference_N2, num_tokens_N2)
        per_token_N2 = policy_N2 / num_tokens_N2
        figures = {
            "loss": self._losses(gains),
            "margin": self.config.beta * gains.margin_B,
            "preference_accuracy": wins(per_token_N2[:, 0] - per_token_N2[:, 1]),
            "reward_accuracy": wins(gains.margin_B),
            "chosen_gain": gains.chosen_B,
            "rejected_gain": gains.rejected_B,
        }
        means = {f"held_out_{name}": figure_N.mean().item() for name, figure_N in figures.items()}
        for group, is_in_N in pair_groups(self.held_out).items():
            for name in ("preference_accuracy", "reward_accuracy"):
                means[f"held_out_{name}_{group}"] = figures[name][is_in_N].mean().item()
        return means

    def _check_reference(self, model: Transformer, directory: str, *, work: SharedWork) -> None:
        sample = self.train[:PAIRS_PER_BATCH]
        reference_B2, num_tokens_B2 = self.reference_N2[: len(sample)], token_counts(sample)
        found = self._losses(_gains(self._score(model, sample, work), reference_B2, num_tokens_B2)).mean().item()
        expected = self._losses(_gains(reference_B2, reference_B2, num_tokens_B2)).mean().item()
        if not abs(found - expected) <= REFERENCE_TOLERANCE:
            raise AccountingError(
                f"{directory}: the loss before the first step is {found:.7f} instead of {expected:.7f}: these are not "
                "the log-probabilities of this checkpoint; delete them to compute them again"
            )

    def _score(self, model: Transformer, pairs: Sequence[Pair], work: SharedWork) -> Tensor:
        return score_pairs(model, pairs, padding_id=self.padding_id, work=work)

    def _losses(self, gains: Gains) -> Tensor:
        config = self.config
        return pair_losses(config.loss, gains, beta=config.beta, label_smoothing=config.label_smoothing)


def _gains(policy_B2: Tensor, reference_B2: Tensor, num_tokens_B2: Tensor) -> Gains:
    gains_B2 = policy_B2 - reference_B2
    return Gains(gains_B2[:, 0], gains_B2[:, 1], num_tokens_B2[:, 0], num_tokens_B2[:, 1])


def _report(train: Pairs, held_out: Pairs) -> TuningDataReport:
    lanes = [pair.lane for pair in train.pairs]
    return TuningDataReport(
        rows_trained=len(train.pairs),
        rows_held_out=len(held_out.pairs),
        rows_by_lane={lane: lanes.count(lane) for lane in sorted(set(lanes))},
        rows_truncated=sum(cut.reason == "cut" for cut in [*train.cuts, *held_out.cuts]),
        tokens_cut=sum(cut.tokens_cut for cut in [*train.cuts, *held_out.cuts]),
        rows_dropped=sum(cut.reason != "cut" for cut in [*train.cuts, *held_out.cuts]),
        label_tokens=sum(sum(pair.num_tokens) for pair in train.pairs),
        padding_share=0.0,
    )
