"""The training loop of pretraining, SFT and DPO: exact resume, one loss normaliser, every step once in the ledger.

A stage is a model and two functions:

    batch(step) -> B            what optimizer step `step` trains on: a pure function, so resuming needs no data state.
                                B is a `batches.TensorBatch` (a frozen dataclass of tensors).
    loss(model, B) -> LossOutput  the *sum* of the losses of a micro-batch, with a gradient, and their number. The
                                gradients of all micro-batches of a step are added, then divided once by the number
                                of labels of the whole step; so the split into micro-batches changes nothing.

    trainer = Trainer(stage="sft", run=out, model=model, loop=..., optimizer=..., schedule=..., batch=..., loss=...,
                      tokenizer=path, identity={...}, evaluate=lambda model: {"zh": 1.2})
    summary = trainer.train(resume=True, max_seconds=60)

`identity` is everything that decides the outcome (config, digest of data and of initial weights); a resume with another
one is refused. RUN holds `run.json` (identity), `machine.json` (device, attention back end, rates), `ledger.jsonl`,
`checkpoints/`, `summary.json`. Ended by SIGKILL, power loss, SIGTERM, Ctrl-C or a time limit and resumed, a run gives
the bits of an uninterrupted one on the same CPU.
"""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from ctllm.model.batches import TensorBatch
from ctllm.model.checkpoint import CHECKPOINTS, latest_checkpoint, restore, save_checkpoint
from ctllm.model.flops import median_speed, step_speed
from ctllm.model.ledger import Ledger, read_ledger
from ctllm.model.losses import LossOutput
from ctllm.model.machine import check_attention, open_machine, pick_device, sentence
from ctllm.model.optimizer import build_optimizer
from ctllm.model.run_identity import claim_run, identity_digest
from ctllm.model.schedule import learning_rate
from ctllm.model.spikes import SpikeDetector
from ctllm.model.stopping import StopRequest, stop_on_signals
from ctllm.model.transformer import Transformer, num_parameters
from ctllm.schemas.errors import StageError
from ctllm.schemas.files import join, write_json
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.training_config import LoopConfig, OptimizerConfig, ScheduleConfig
from ctllm.schemas.training_run import SUMMARY, LedgerLine, TrainingMachine, TrainingState, TrainingSummary

B = TypeVar("B", bound=TensorBatch)


def no_evaluation(_model: Transformer) -> Mapping[str, float]:
    """Measures nothing."""
    return {}


@dataclass
class Trainer(Generic[B]):
    """One stage of training in one run directory. See the module's docstring."""

    stage: str
    run: str
    model: Transformer
    loop: LoopConfig
    optimizer: OptimizerConfig
    schedule: ScheduleConfig
    batch: Callable[[int], B]
    loss: Callable[[Transformer, B], LossOutput]
    tokenizer: str
    """Path of the tokenizer.model that goes into every checkpoint."""
    identity: Mapping[str, Any]
    packed_length: int | None
    """Length of sequences in which documents do not see each other; None when there are none."""
    evaluate: Callable[[Transformer], Mapping[str, float]] = no_evaluation
    progress: Progress = silent
    device: torch.device = field(init=False)
    machine: TrainingMachine = field(init=False)
    updater: torch.optim.Optimizer = field(init=False)
    state: TrainingState = field(init=False)
    ledger: Ledger = field(init=False)
    spikes: SpikeDetector = field(init=False)
    _started: float = field(init=False)

    def train(self, *, resume: bool, max_seconds: float | None = None) -> TrainingSummary:
        """Trains to the last step or the time limit, and writes the summary.

        Raises OutputError when the run directory is taken, ConfigError when `resume` meets another identity or the
        attention back end has no kernel here, and StageError after a signal (a checkpoint is written first) or when the
        loss is not a number (none is).
        """
        self._started = time.monotonic()
        self.device = pick_device(self.loop)
        check_attention(self.loop, device=self.device)
        self.model.to(self.device).train()
        self.model.compute_dtype = getattr(torch, self.loop.compute_dtype)
        self.updater = build_optimizer(self.model, self.optimizer)
        self.state = self._open(resume=resume)
        self.ledger = Ledger(self.run, num_bytes=self.state.ledger_bytes)
        applied = (line.grad_norm for line in read_ledger(self.run) if not line.skipped)
        self.spikes = SpikeDetector(self.optimizer.skip_spikes_above, norms=applied)
        try:
            with stop_on_signals() as stop:
                self._steps(stop, max_seconds=max_seconds)
        finally:
            self.ledger.close()
        return self._summarise()

    def _open(self, *, resume: bool) -> TrainingState:
        claim_run(self.run, self.identity, resume=resume)
        self.machine = open_machine(
            self.run, model=self.model.config, loop=self.loop, packed_length=self.packed_length, resume=resume
        )
        self.model.attention_backend = self.machine.attention
        self.progress(ProgressEvent("machine", 1, 1, unit="machines", message=sentence(self.machine)))
        checkpoint = latest_checkpoint(self.run, progress=self.progress) if resume else None
        if checkpoint is None:
            return TrainingState(step=0, label_tokens=0, run_digest=identity_digest(self.identity), ledger_bytes=0)
        return restore(checkpoint, model=self.model, optimizer=self.updater)

    def _steps(self, stop: StopRequest, *, max_seconds: float | None) -> None:
        for step in range(self.state.step, self.loop.steps):
            line = self._step(step)
            self.ledger.append(line)
            self.state = self.state.model_copy(
                update={"step": step + 1, "label_tokens": self.state.label_tokens + line.label_tokens}
            )
            values = {"loss": line.loss, "tokens_per_s": line.tokens_per_s, **_shares(line), **line.evaluation}
            self.progress(ProgressEvent(self.stage, step + 1, self.loop.steps, unit="steps", values=values))
            is_over = max_seconds is not None and time.monotonic() - self._started >= max_seconds
            if stop.signal_name or is_over or self._is_due(step, every=self.loop.checkpoint_every_steps):
                self._save()
            if stop.signal_name:
                way_out = "run the same command with --resume to continue"
                raise StageError(f"{self.stage}: stopped by {stop.signal_name} after step {step + 1}; {way_out}")
            if is_over:
                return

    def _step(self, step: int) -> LedgerLine:
        """One optimizer step, measured before and after where that is due."""
        evaluation_before = self._evaluation() if step == 0 else {}
        started = time.perf_counter()
        rate = learning_rate(step, steps=self.loop.steps, peak=self.optimizer.learning_rate, config=self.schedule)
        batch = self.batch(step)
        loss, labels, values = self._backward(batch)
        grad_norm, is_applied = self._update(rate, labels=labels)
        seconds = time.perf_counter() - started
        line = LedgerLine(
            step=step,
            batch=batch.digest(),
            label_tokens=labels,
            loss=loss / max(labels, 1),
            grad_norm=grad_norm,
            skipped=not is_applied,
            learning_rate=rate,
            tokens_per_s=round(labels / seconds, 1),
            speed=step_speed(
                self.model.config,
                positions=batch.num_positions,
                context_length=batch.context_length,
                seconds=seconds,
                machine=self.machine,
            ),
            values={name: value / max(labels, 1) for name, value in values.items()},
            evaluation_before=evaluation_before,
        )
        self._check(line)
        is_due = self._is_due(step, every=self.loop.evaluate_every_steps)
        return line.model_copy(update={"evaluation": self._evaluation()}) if is_due else line

    def _backward(self, batch: B) -> tuple[float, int, dict[str, float]]:
        """Adds up gradients over the micro-batches; returns the sums of loss, labels and further figures."""
        loss_sum = torch.zeros((), device=self.device)
        num_labels, values = 0, dict[str, float]()
        for micro in batch.split(self.loop.sequences_per_micro_batch or batch.num_sequences):
            output = self.loss(self.model, micro.to(self.device))
            output.loss_sum.backward()  # type: ignore[no-untyped-call]
            loss_sum += output.loss_sum.detach()
            num_labels += output.num_label_tokens
            for name, value in output.values.items():
                values[name] = values.get(name, 0.0) + value
        return loss_sum.item(), num_labels, values

    def _update(self, rate: float, *, labels: int) -> tuple[float, bool]:
        """Divides the gradients by the labels of the step, clips and applies them unless their norm is a spike.

        Returns the norm before clipping, and whether they were applied.
        """
        gradients = [parameter.grad for parameter in self.model.parameters() if parameter.grad is not None]
        torch._foreach_mul_(gradients, 1.0 / max(labels, 1))
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.optimizer.max_grad_norm).item()
        for group in self.updater.param_groups:
            group["lr"] = rate
        is_applied = math.isfinite(norm) and not self.spikes.is_spike(norm)
        if is_applied:
            self.updater.step()
        self.updater.zero_grad(set_to_none=True)
        return norm, is_applied

    def _check(self, line: LedgerLine) -> None:
        where = f"{self.stage}, step {line.step}, batch {line.batch}"
        if line.label_tokens == 0:
            raise StageError(f"{where}: no label in the whole batch; is every sequence masked or empty?")
        if not (math.isfinite(line.loss) and math.isfinite(line.grad_norm)):
            found = f"loss {line.loss}, gradient norm {line.grad_norm}, learning rate {line.learning_rate:.3g}"
            way_out = "lower optimizer.learning_rate or raise schedule.warmup_steps, and start in a new run directory"
            raise StageError(
                f"{where}: {found}; checkpoints before it in {join(self.run, CHECKPOINTS)} are good; {way_out}"
            )

    def _evaluation(self) -> dict[str, float]:
        """On the reference back end: held-out texts have many lengths, and flex would compile for each."""
        self.model.eval()
        self.model.attention_backend = "sdpa"
        with torch.no_grad():
            values = dict(self.evaluate(self.model))
        self.model.attention_backend = self.machine.attention
        self.model.train()
        return values

    def _is_due(self, step: int, *, every: int) -> bool:
        return (step + 1) % every == 0 or step + 1 == self.loop.steps

    def _save(self) -> None:
        self.state = self.state.model_copy(update={"ledger_bytes": self.ledger.settle()})
        save_checkpoint(
            self.run,
            model=self.model,
            optimizer=self.updater,
            state=self.state,
            tokenizer=self.tokenizer,
            keep=self.loop.keep_checkpoints,
        )

    def _summarise(self) -> TrainingSummary:
        lines = read_ledger(self.run)
        evaluations = [line.evaluation for line in lines if line.evaluation]
        summary = TrainingSummary(
            stage=self.stage,
            finished=self.state.step == self.loop.steps,
            step=self.state.step,
            steps=self.loop.steps,
            label_tokens=self.state.label_tokens,
            num_parameters=num_parameters(self.model.config),
            first_loss=lines[0].loss,
            last_loss=statistics.fmean(line.loss for line in lines[-10:]),
            skipped_steps=sum(line.skipped for line in lines),
            evaluation_before=lines[0].evaluation_before,
            evaluation=evaluations[-1] if evaluations else {},
            tokens_per_s=statistics.median(line.tokens_per_s for line in lines),
            speed=median_speed([line.speed for line in lines if line.speed is not None]),
            seconds=round(time.monotonic() - self._started, 3),
            checkpoint=str(Path(self.run) / CHECKPOINTS / f"step-{self.state.step:08d}"),
        )
        write_json(join(self.run, SUMMARY), summary.model_dump())
        return summary


def _shares(line: LedgerLine) -> dict[str, float]:
    """What the terminal shows of the speed: the data sheet's share, else the matrix product's."""
    if line.speed is None:
        return {}
    return {"gemm_share": line.speed.gemm_share} if line.speed.mfu is None else {"mfu": line.speed.mfu}
