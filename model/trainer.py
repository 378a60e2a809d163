"""The training loop of pretraining, SFT and DPO: exact resume, one loss normaliser, every step once in the ledger.

A stage is a model and two functions:

    batch(step) -> B            what optimizer step `step` trains on: a pure function, so resuming needs no data state.
                                B is a `batches.TensorBatch` (a frozen dataclass of tensors).
    loss(model, B) -> LossOutput  the *sum* of the losses of a micro-batch, with a gradient, and their number. The
                                gradients of all micro-batches of a step are added, then divided once by the number
                                of labels of the whole step; so the split into micro-batches changes nothing.

    trainer = Trainer(stage="sft", run=out, model=model, loop=..., optimizer=..., schedule=..., batch=..., loss=...,
                      tokenizer=path, identity={...}, evaluate=lambda model, work: {"zh": 1.2})
    summary = trainer.train(resume=True, max_seconds=60)

`identity` is everything that decides the outcome (config, digest of data and of initial weights); a resume with another
one is refused. RUN holds `run.json` (identity), `machine.json` (device, attention back end, rates), `ledger.jsonl`,
`checkpoints/`, `summary.json`. Ended by SIGKILL, power loss, SIGTERM, Ctrl-C or a time limit and resumed, a run gives
the bits of an uninterrupted one on the same CPU. Started by torchrun, the same loop runs in several processes
(`distributed.py`), and a resume may have another number of them.
"""

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar

import torch

from ctllm.model.batches import TensorBatch
from ctllm.model.block_execution import is_compiled, set_up_layers
from ctllm.model.checkpoint import CHECKPOINTS, CheckpointWriter, go_back, latest_checkpoint, restore, take_snapshot
from ctllm.model.distributed import World, local_part, open_world, reshard
from ctllm.model.flops import median_speed, step_speed
from ctllm.model.ledger import Ledger, read_ledger
from ctllm.model.losses import LossOutput
from ctllm.model.machine import check_attention, open_machine, pick_device, sentence
from ctllm.model.optimizer import build_optimizer
from ctllm.model.run_identity import claim_run, identity_digest, without_free_keys
from ctllm.model.schedule import learning_rate
from ctllm.model.shared_work import InterruptedWorkError, SharedWork
from ctllm.model.spikes import SpikeDetector
from ctllm.model.stopping import StopRequest, stop_on_signals
from ctllm.model.transformer import Transformer, num_parameters
from ctllm.schemas.errors import OutputError, StageError
from ctllm.schemas.files import join, write_json
from ctllm.schemas.memory import keep_freed_memory
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.training_config import LoopConfig, OptimizerConfig, ScheduleConfig
from ctllm.schemas.training_run import SUMMARY, LedgerLine, TrainingMachine, TrainingState, TrainingSummary

B = TypeVar("B", bound=TensorBatch)


ALARM_STEPS = 10  # chosen: fewer follow single batches, and an alarm may wait for as many


def no_alarm(_recent: Sequence[LedgerLine]) -> str:
    """Watches nothing."""
    return ""


def no_evaluation(_model: Transformer, _work: SharedWork) -> Mapping[str, float]:
    """Measures nothing."""
    return {}


def no_samples(_model: Transformer) -> Mapping[str, str]:
    """Writes nothing."""
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
    evaluate: Callable[[Transformer, SharedWork], Mapping[str, float]] = no_evaluation
    """Measures in parts, which the second argument shares between the processes and may stop."""
    watch: Callable[[Sequence[LedgerLine]], str] = no_alarm
    """What is wrong, seen from the last `ALARM_STEPS` lines of the ledger; "" when nothing is."""
    sample: Callable[[Transformer], Mapping[str, str]] = no_samples
    """Beginnings to continuations, for the ledger, whenever there is an evaluation after a step."""
    progress: Progress = silent
    world: World = field(init=False)
    machine: TrainingMachine = field(init=False)
    updater: torch.optim.Optimizer = field(init=False)
    state: TrainingState = field(init=False)
    ledger: Ledger = field(init=False)
    writer: CheckpointWriter = field(init=False)
    spikes: SpikeDetector = field(init=False)
    stop: StopRequest = field(init=False)
    _recent: deque[LedgerLine] = field(init=False)
    _started: float = field(init=False)

    def train(self, *, resume: bool, max_seconds: float | None = None, world: World | None = None) -> TrainingSummary:
        """Trains to the last step or the time limit, and writes the summary; in `world` where it is open already.

        Raises OutputError when the run directory is taken or a checkpoint cannot be written, ConfigError when `resume`
        meets another identity, the attention back end has no kernel here or the processes do not divide the step,
        MissingPartError when layers are to be compiled without a compiler, and StageError after a signal (a checkpoint
        is written first), when the loss is not a number or when another process is lost (none is).
        """
        self._started = time.monotonic()
        device = pick_device(self.loop)
        check_attention(self.loop, device=device)
        compiled = is_compiled(self.loop, device=device)
        keep_freed_memory()  # page faults are 5 % of a step on a CPU else (m3, t10m, 2026-11)
        with nullcontext(world) if world else open_world(self.loop, device) as self.world:
            set_up_layers(self.model, recompute=self.loop.recompute, compiled=compiled)
            self.world.place(self.model)
            self.model.train()
            self.model.compute_dtype = getattr(torch, self.loop.compute_dtype)
            self.updater = build_optimizer(self.model, self.optimizer)
            self.state = self._open(resume=resume)
            self.writer = CheckpointWriter(self.run, tokenizer=self.tokenizer, keep=self.loop.keep_checkpoints)
            with stop_on_signals() as self.stop, self.writer:
                self._steps(max_seconds=max_seconds)
            return self._summarise()

    def _open(self, *, resume: bool) -> TrainingState:
        """Claims the directory, looks at the machine, and restores the newest checkpoint if there is one."""
        if not self.world.is_first:
            self.progress = silent
        identity = without_free_keys(self.identity)
        claim_run(self.run, identity, resume=resume, writes=self.world.is_first)
        self.machine = self.world.tell(self._look_at_machine(resume=resume) if self.world.is_first else None)
        self.model.attention_backend = self.machine.attention
        self.progress(ProgressEvent("machine", 1, 1, unit="machines", message=sentence(self.machine)))
        found = (latest_checkpoint(self.run, progress=self.progress) or "") if resume and self.world.is_first else ""
        checkpoint = self.world.tell(found)
        if not checkpoint:
            return TrainingState(step=0, label_tokens=0, run_digest=identity_digest(identity), ledger_bytes=0)
        return restore(checkpoint, model=self.model, optimizer=self.updater)

    def _look_at_machine(self, *, resume: bool) -> TrainingMachine:
        return open_machine(
            self.run, model=self.model.config, loop=self.loop, packed_length=self.packed_length, resume=resume
        )

    def _steps(self, *, max_seconds: float | None) -> None:
        with Ledger(self.run, num_bytes=self.state.ledger_bytes, writes=self.world.is_first) as self.ledger:
            self.world.meet()  # the ledger is cut before anybody reads it
            self._look_back()
            try:
                self._loop(max_seconds=max_seconds)
            except InterruptedWorkError:
                self._save()
                self._leave()

    def _loop(self, *, max_seconds: float | None) -> None:
        while self.state.step < self.loop.steps or self.state.unmeasured:
            line = self._next_line()
            if line.skipped and not line.left_out and self._rewind(line):
                continue
            self._finish_step(line)
            late = max_seconds is not None and time.monotonic() - self._started >= max_seconds
            is_stopped, is_over, has_failed = self.world.any(
                [self.stop.signal_name is not None, late, self.writer.has_failed]
            )
            if has_failed:
                self._give_up()
            if is_stopped or is_over or self._is_due(line.step, every=self.loop.checkpoint_every_steps):
                self._save()
            if is_stopped:
                self._leave()
            if is_over:
                return

    def _leave(self) -> NoReturn:
        """After a signal, when the checkpoint has been handed to the writer."""
        self.writer.wait()
        who, way_out = self.stop.signal_name or "a signal", "run the same command again to continue"
        raise StageError(f"{self.stage}: stopped by {who} after step {self.state.step}; {way_out}")

    def _look_back(self) -> None:
        """Takes from the ledger what decisions about the next steps depend on."""
        lines = read_ledger(self.run)
        unmeasured = [self.state.unmeasured] if self.state.unmeasured else []
        applied = (line.grad_norm for line in (*lines, *unmeasured) if not line.skipped)
        self.spikes = SpikeDetector(self.optimizer.skip_spikes_above, norms=applied)
        self._recent = deque(lines, maxlen=ALARM_STEPS)

    def _next_line(self) -> LedgerLine:
        """Trains the next step, or passes over it when it is among those left out; measures one that was not."""
        if self.state.unmeasured:
            return self._evaluated(self.state.unmeasured)
        step, left_out = self.state.step, self.state.left_out
        if not left_out or left_out[0].step != step:
            return self._step(step)
        self.state = self.state.model_copy(update={"left_out": left_out[1:]})
        return self._evaluated(left_out[0])

    def _rewind(self, spike: LedgerLine) -> bool:
        """Goes back to a checkpoint before the batches that a spike makes suspect, and marks them as left out.

        False when the config does not want it or no checkpoint is old enough; then only the spike is skipped. Killed
        at any moment and resumed, a run comes to the same spike and does the same.
        """
        if self.optimizer.rewind_spikes is None:
            return False
        first = max(0, spike.step + 1 - self.optimizer.rewind_spikes)
        self.writer.wait()
        found = (go_back(self.run, to_step=first) or "") if self.world.is_first else ""
        checkpoint = self.world.tell(found)
        told = f"step {spike.step}: gradient norm {spike.grad_norm:.3g} is a spike"
        if not checkpoint:
            self._say(f"{told}; no checkpoint before step {first} to go back to, only this step is left out")
            return False
        lines = [line for line in (*read_ledger(self.run), spike) if line.left_out or line.step >= first]
        self.state = restore(checkpoint, model=self.model, optimizer=self.updater)
        left_out = {line.step: line for line in (*self.state.left_out, *lines) if line.step >= self.state.step}
        marks = {"skipped": True, "left_out": True, "evaluation": {}, "samples": {}, "alarm": ""}
        marked = tuple(left_out[step].model_copy(update=marks) for step in sorted(left_out))
        self.state = self.state.model_copy(update={"left_out": marked})
        self._say(f"{told}; back to step {self.state.step}, leaving out batches {first} to {spike.step}")
        self.world.meet()
        self.ledger.cut(self.state.ledger_bytes)
        self.world.meet()
        self._look_back()
        return True

    def _say(self, message: str) -> None:
        self.progress(ProgressEvent(self.stage, self.state.step, self.loop.steps, unit="steps", message=message))

    def _finish_step(self, line: LedgerLine) -> None:
        was_alarmed = bool(self._recent and self._recent[-1].alarm)
        self._recent.append(line)
        if len(self._recent) == ALARM_STEPS and (alarm := self.watch(self._recent)):
            line = line.model_copy(update={"alarm": alarm})
            self._recent[-1] = line
        self.ledger.append(line)
        self.state = self.state.model_copy(
            update={
                "step": line.step + 1,
                "label_tokens": self.state.label_tokens + line.label_tokens,
                "unmeasured": None,
            }
        )
        values = {"loss": line.loss, "tokens_per_s": line.tokens_per_s, **_shares(line), **line.evaluation}
        message = "" if was_alarmed else line.alarm  # once, when it begins
        event = ProgressEvent(self.stage, line.step + 1, self.loop.steps, unit="steps", values=values, message=message)
        self.progress(event)

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
        return self._evaluated(line)

    def _evaluated(self, line: LedgerLine) -> LedgerLine:
        """The line, with what is measured after its step where that is due.

        Raises InterruptedWorkError when a signal comes first; the state then says what is left to measure.
        """
        if not self._is_due(line.step, every=self.loop.evaluate_every_steps):
            return line
        self.state = self.state.model_copy(update={"step": line.step + 1, "unmeasured": line})
        evaluation = self._evaluation()
        with self._measuring() as work:
            (samples,) = work.each(1, lambda _: dict(self.sample(self.model)))
        return line.model_copy(update={"evaluation": evaluation, "samples": samples})

    def _backward(self, batch: B) -> tuple[float, int, dict[str, float]]:
        """Adds up gradients over the micro-batches; returns the sums of loss, labels and further figures over all."""
        loss_sum = torch.zeros((), device=self.world.device)
        num_labels, values = 0, dict[str, float]()
        mine = self.world.share(batch)
        for micro in mine.split(self.loop.sequences_per_micro_batch or mine.num_sequences):
            output = self.loss(self.model, micro.to(self.world.device))
            output.loss_sum.backward()  # type: ignore[no-untyped-call]
            loss_sum += output.loss_sum.detach()
            num_labels += output.num_label_tokens
            for name, value in output.values.items():
                values[name] = values.get(name, 0.0) + value
        loss, labels, *sums = self.world.sum([loss_sum.item(), num_labels, *values.values()])
        return loss, round(labels), dict(zip(values, sums, strict=True))

    def _update(self, rate: float, *, labels: int) -> tuple[float, bool]:
        """Divides the gradients by the labels of the step, clips and applies them unless their norm is a spike.

        Returns the norm before clipping, and whether they were applied.
        """
        gradients = [local_part(weight.grad) for weight in self.model.parameters() if weight.grad is not None]
        torch._foreach_mul_(gradients, 1.0 / max(labels, 1))
        norm = self.world.norm(gradients)
        clipping = (self.optimizer.max_grad_norm / (norm + 1e-6)).clamp(max=1.0)  # as torch's clip_grad_norm_
        torch._foreach_mul_(gradients, clipping)
        for group in self.updater.param_groups:
            group["lr"] = rate
        is_applied = math.isfinite(norm.item()) and not self.spikes.is_spike(norm.item())
        if is_applied:
            self.updater.step()
        self.updater.zero_grad(set_to_none=True)
        return norm.item(), is_applied

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
        with self._measuring(progress=self.progress) as work:
            return dict(self.evaluate(self.model, work))

    @contextmanager
    def _measuring(self, *, progress: Progress = silent) -> Iterator[SharedWork]:
        """On a back end that compiles nothing: held-out texts have many lengths. `progress`: minutes on a CPU."""
        self.model.eval()
        self.model.attention_backend = "documents"
        try:
            with torch.no_grad():
                yield SharedWork(self.world, stop=self.stop, progress=progress, stage=f"{self.stage} measured")
        finally:
            reshard(self.model)
            self.model.attention_backend = self.machine.attention
            self.model.train()

    def _is_due(self, step: int, *, every: int) -> bool:
        return (step + 1) % every == 0 or step + 1 == self.loop.steps

    def _save(self) -> None:
        self.state = self.state.model_copy(update={"ledger_bytes": self.ledger.settle()})
        snapshot = take_snapshot(self.model, self.updater, self.state)
        if self.world.is_first:
            self.writer.start(snapshot)

    def _give_up(self) -> NoReturn:
        """After a checkpoint that could not be written: going on would only make the loss larger."""
        self.writer.wait()
        raise OutputError(f"{self.run}: the first process could not write a checkpoint; it says why")

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
            alarmed_steps=sum(bool(line.alarm) for line in lines),
            evaluation_before=lines[0].evaluation_before,
            evaluation=evaluations[-1] if evaluations else {},
            tokens_per_s=statistics.median(line.tokens_per_s for line in lines),
            speed=median_speed([line.speed for line in lines if line.speed is not None]),
            seconds=round(time.monotonic() - self._started, 3),
            checkpoint=str(Path(self.run) / CHECKPOINTS / f"step-{self.state.step:08d}"),
        )
        if self.world.is_first:
            write_json(join(self.run, SUMMARY), summary.model_dump())
        return summary


def _shares(line: LedgerLine) -> dict[str, float]:
    """What the terminal shows of the speed: the data sheet's share, else the matrix product's."""
    if line.speed is None:
        return {}
    return {"gemm_share": line.speed.gemm_share} if line.speed.mfu is None else {"mfu": line.speed.mfu}
