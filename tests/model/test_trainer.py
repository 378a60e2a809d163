"""The training loop: exact resume, one normaliser, clean stops, clear errors."""

import math
import os
import resource
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ctllm.model import checkpoint, machine
from ctllm.model.batches import Batch
from ctllm.model.checkpoint import find_checkpoint, load_model, weights_digest
from ctllm.model.flops import median_speed, training_flops
from ctllm.model.ledger import read_ledger
from ctllm.model.losses import IGNORED, LossOutput
from ctllm.model.pretrain import next_token_loss
from ctllm.model.shared_work import SharedWork
from ctllm.model.trainer import Trainer
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.errors import ConfigError, OutputError, StageError
from ctllm.schemas.progress import ProgressEvent
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, ScheduleConfig
from ctllm.schemas.training_run import LedgerLine

LOOP = LoopConfig(steps=8, sequences_per_step=4, checkpoint_every_steps=3, evaluate_every_steps=4, device="cpu")


def random_batch(step: int) -> Batch:
    """Four sequences of 16 tokens, with 4, 8, 12 and 16 labels: ragged, as SFT's are."""
    generator = torch.Generator().manual_seed(step)
    tokens_BT = torch.randint(0, 64, (4, 17), generator=generator)
    labels_BT = tokens_BT[:, 1:].clone()
    for row in range(4):
        labels_BT[row, 4 * (row + 1) :] = IGNORED
    positions_BT = torch.arange(16).expand(4, 16)
    return Batch(tokens_BT[:, :-1], labels_BT, positions_BT, torch.zeros(4, 16, dtype=torch.long))


@pytest.fixture
def trainer(tiny: ModelConfig, tmp_path: Path) -> Callable[..., Trainer[Batch]]:
    """Makes trainers of the same eight steps; keyword arguments change parts of them."""
    tokenizer = tmp_path / "tokenizer.model"
    tokenizer.write_bytes(b"abc")

    def make(run: str = "run", loop: LoopConfig = LOOP, **changes: Any) -> Trainer[Batch]:
        trainer = Trainer(
            stage="test",
            run=str(tmp_path / run),
            model=new_transformer(tiny, seed=0),
            loop=loop,
            optimizer=OptimizerConfig(learning_rate=1e-2),
            schedule=ScheduleConfig(warmup_steps=2),
            batch=random_batch,
            loss=next_token_loss,
            tokenizer=str(tokenizer),
            identity={"loop": loop.model_dump(mode="json")},
            packed_length=16,
        )
        return replace(trainer, **changes)

    return make


def without_speed(lines: list[LedgerLine]) -> list[LedgerLine]:
    """The ledger without the figures that depend on the machine."""
    return [line.model_copy(update={"tokens_per_s": 0.0, "speed": None}) for line in lines]


def final_digest(run: str) -> str:
    """Digest of the newest checkpoint's weights."""
    return weights_digest(load_model(run)[0])


def test_eight_lives_equal_one(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Stopped by the time limit after every step and resumed, the run gives the same bits and the same ledger."""
    whole = trainer("whole")
    summary = whole.train(resume=False)
    parts = [trainer("parts").train(resume=life > 0, max_seconds=0) for life in range(8)]
    assert [part.finished for part in parts] == [False] * 7 + [True]
    assert [part.step for part in parts] == list(range(1, 9))
    assert final_digest(whole.run) == final_digest(trainer("parts").run)
    lines, lines_of_parts = read_ledger(whole.run), read_ledger(trainer("parts").run)
    assert without_speed(lines) == without_speed(lines_of_parts)
    assert [line.step for line in lines] == list(range(8))
    assert summary.label_tokens == parts[-1].label_tokens == 8 * 40


def test_half_precision_checkpoints_would_show(
    trainer: Callable[..., Trainer[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: with weights rounded to 16 bits in the checkpoint the comparison above fails."""
    whole, parts = trainer("whole"), trainer("parts")
    whole.train(resume=False)
    save_file = checkpoint.save_file

    def save_half(tensors: Mapping[str, Tensor], path: Path) -> None:
        save_file({name: tensor.half() for name, tensor in tensors.items()}, path)

    monkeypatch.setattr(checkpoint, "save_file", save_half)
    parts.train(resume=False, max_seconds=0)
    trainer("parts").train(resume=True)
    assert read_ledger(whole.run)[1].loss != read_ledger(parts.run)[1].loss


def test_micro_batches_change_nothing(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Ragged sequences one at a time give the losses and gradient norms of the whole step; means of means would not."""
    whole, split = trainer("whole"), trainer("split", LOOP.model_copy(update={"sequences_per_micro_batch": 1}))
    whole.train(resume=False)
    split.train(resume=False)
    output = next_token_loss(new := new_transformer(whole.model.config, seed=0), random_batch(0))
    (output.loss_sum / output.num_label_tokens).backward()  # type: ignore[no-untyped-call]
    norm = torch.nn.utils.get_total_norm([each.grad for each in new.parameters() if each.grad is not None])
    assert read_ledger(whole.run)[0].grad_norm == pytest.approx(norm.item(), rel=1e-5)
    for line, expected in zip(read_ledger(split.run), read_ledger(whole.run), strict=True):
        assert line.loss == pytest.approx(expected.loss, rel=1e-5)
        assert line.grad_norm == pytest.approx(expected.grad_norm, rel=1e-4)

    def mean_loss(model: Transformer, batch: Batch) -> LossOutput:
        output = next_token_loss(model, batch)
        return LossOutput(output.loss_sum / output.num_label_tokens, 1)

    naive = trainer("naive", LOOP.model_copy(update={"sequences_per_micro_batch": 1, "steps": 1}), loss=mean_loss)
    naive.train(resume=False)
    assert abs(read_ledger(naive.run)[0].grad_norm / read_ledger(whole.run)[0].grad_norm - 1) > 0.05


def test_two_sequences_are_learnt_by_heart(trainer: Callable[..., Trainer[Batch]]) -> None:
    """On the same batch again and again the loss falls from guessing to nearly nothing."""
    overfit = trainer(
        loop=LoopConfig(steps=120, sequences_per_step=4, checkpoint_every_steps=1000),
        batch=lambda _step: random_batch(0),
    )
    summary = overfit.train(resume=False)
    assert summary.first_loss == pytest.approx(math.log(64), abs=0.1)
    assert summary.last_loss < 0.05


def test_evaluations_stand_in_ledger_and_summary(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Measured before the first step, every fourth step and at the end; the model measured is the updated one."""
    seen: list[str] = []

    def evaluate(model: Transformer, _work: SharedWork) -> dict[str, float]:
        assert not model.training
        seen.append(weights_digest(model))
        return {"count": float(len(seen))}

    def sample(model: Transformer) -> dict[str, str]:
        assert not model.training
        return {"beginning": weights_digest(model)[:8]}

    run = trainer(evaluate=evaluate, sample=sample)
    summary = run.train(resume=False)
    lines = read_ledger(run.run)
    assert {line.step: line.samples for line in lines if line.samples} == {
        step: {"beginning": digest[:8]} for step, digest in ((3, seen[1]), (7, seen[2]))
    }
    assert {line.step: line.evaluation for line in lines if line.evaluation} == {3: {"count": 2}, 7: {"count": 3}}
    assert (summary.evaluation_before, summary.evaluation) == ({"count": 1}, {"count": 3})
    assert seen[0] == weights_digest(new_transformer(run.model.config, seed=0))
    assert seen[-1] == final_digest(run.run)


def test_figures_of_the_loss_are_means_over_labels(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Sums that a loss returns beside its own are divided by the same number of labels, over all micro-batches."""

    def loss(model: Transformer, batch: Batch) -> LossOutput:
        output = next_token_loss(model, batch)
        return LossOutput(output.loss_sum, output.num_label_tokens, {"sequences": float(batch.num_sequences)})

    run = trainer(loop=LOOP.model_copy(update={"sequences_per_micro_batch": 3}), loss=loss)
    run.train(resume=False)
    assert read_ledger(run.run)[0].values == {"sequences": pytest.approx(4 / 40)}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_in_a_checkpoint(trainer: Callable[..., Trainer[Batch]], number: signal.Signals) -> None:
    """After SIGTERM or Ctrl-C the step is finished, a checkpoint is there, the error says so, and a resume goes on."""

    def stop_at_step_two(event: ProgressEvent) -> None:
        if event.done == 2:
            os.kill(os.getpid(), number)

    run = trainer(progress=stop_at_step_two)
    with pytest.raises(StageError, match=f"stopped by {number.name} after step 2; run the same command again"):
        run.train(resume=False)
    assert Path(find_checkpoint(run.run)).name == "step-00000002"
    trainer().train(resume=True)
    whole = trainer("whole")
    whole.train(resume=False)
    assert final_digest(run.run) == final_digest(whole.run)


@pytest.mark.parametrize(("measurement", "step"), [(1, 0), (2, 4), (3, 8)])
def test_a_signal_ends_a_measurement_between_two_parts(
    trainer: Callable[..., Trainer[Batch]], measurement: int, step: int
) -> None:
    """Before the first step, after a step, after the last: stopped at once with a checkpoint, and no bit is lost.

    How far a measurement has come is shown.
    """

    def measure(killed_at: int | None) -> Callable[[Transformer, SharedWork], dict[str, float]]:
        begun: list[int] = []

        def evaluate(model: Transformer, work: SharedWork) -> dict[str, float]:
            begun.append(0)

            def part(number: int) -> float:
                begun[-1] += 1
                if len(begun) == killed_at and number == 1:
                    os.kill(os.getpid(), signal.SIGTERM)
                assert len(begun) != killed_at or number < 2
                return float(next(model.parameters()).double().sum()) * number

            return {"sum": sum(work.each(4, part))}

        return evaluate

    told: list[ProgressEvent] = []
    whole = trainer("whole", evaluate=measure(None), progress=told.append)
    expected = whole.train(resume=False)
    shown = [(event.done, event.total) for event in told if event.stage.endswith(" measured")]
    assert shown == [(done, 4) for done in range(5)] * 3
    run = trainer(evaluate=measure(measurement))
    with pytest.raises(StageError, match=f"stopped by SIGTERM after step {step}; run the same command again"):
        run.train(resume=False)
    assert Path(find_checkpoint(run.run)).name == f"step-{step:08d}"
    assert len(read_ledger(run.run)) == max(0, step - 1)
    resumed = trainer(evaluate=measure(None)).train(resume=True)
    assert resumed.finished
    assert (resumed.label_tokens, resumed.evaluation) == (expected.label_tokens, expected.evaluation)
    assert without_speed(read_ledger(run.run)) == without_speed(read_ledger(whole.run))
    assert final_digest(run.run) == final_digest(whole.run)


@pytest.mark.parametrize("factor", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_the_run(trainer: Callable[..., Trainer[Batch]], factor: float) -> None:
    """The message has step, batch and learning rate; the checkpoint before stays, and no bad one is written."""

    def loss(model: Transformer, batch: Batch) -> LossOutput:
        output = next_token_loss(model, batch)
        is_bad = batch.digest() == random_batch(4).digest()
        return LossOutput(output.loss_sum * (factor if is_bad else 1), output.num_label_tokens)

    run = trainer(loss=loss)
    with pytest.raises(StageError, match=r"step 4, batch \w{16}: loss (nan|inf), .* lower optimizer.learning_rate"):
        run.train(resume=False)
    assert [path.name for path in (Path(run.run) / "checkpoints").iterdir()] == ["step-00000003"]
    assert all(bool(torch.isfinite(each).all()) for each in load_model(run.run)[0].parameters())


def test_training_goes_on_while_a_checkpoint_is_written(
    trainer: Callable[..., Trainer[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 5 is done before the checkpoint of step 3 is; it holds step 3 all the same, and the next one waits."""
    is_at_step_five, write, active = threading.Event(), checkpoint.write_checkpoint, threading.Lock()
    stopped = trainer("stopped", LOOP.model_copy(update={"checkpoint_every_steps": 1, "keep_checkpoints": 8}))
    stopped.train(resume=False)

    def write_late(run: str, snapshot: checkpoint.Snapshot, *, tokenizer: str, keep: int) -> str:
        assert active.acquire(blocking=False)
        assert is_at_step_five.wait(timeout=60)
        path = write(run, snapshot, tokenizer=tokenizer, keep=keep)
        active.release()
        return path

    def note(event: ProgressEvent) -> None:
        if event.done == 5:
            is_at_step_five.set()

    monkeypatch.setattr(checkpoint, "write_checkpoint", write_late)
    run = trainer("run", LOOP.model_copy(update={"keep_checkpoints": 8}), progress=note)
    run.train(resume=False)
    for step in (3, 6, 8):
        paths = [f"{each.run}/checkpoints/step-{step:08d}" for each in (run, stopped)]
        assert len({weights_digest(load_model(path)[0]) for path in paths}) == 1


@pytest.mark.parametrize("limit", [50_000, 144_500, 150_000])
def test_a_full_disk_stops_the_run_and_loses_nothing(trainer: Callable[..., Trainer[Batch]], limit: int) -> None:
    """No room for weights, or for moments: the error names the checkpoint before, which is whole, and a resume goes on.

    A limit on the size of files stands for the disk; what was begun is cleared away.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_after_step_four(event: ProgressEvent) -> None:
        if event.done == 4:
            run.writer.wait()
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

    run = trainer(progress=fill_after_step_four)
    try:
        failed, way_out = (
            r"cannot be written \(.*File too large.*",
            "step-00000003 is whole, --resume continues from it",
        )
        with pytest.raises(OutputError, match=rf"step-00000006: the checkpoint {failed}{way_out}"):
            run.train(resume=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
    assert [path.name for path in (Path(run.run) / "checkpoints").iterdir()] == ["step-00000003"]
    trainer().train(resume=True)
    whole = trainer("whole")
    whole.train(resume=False)
    assert final_digest(run.run) == final_digest(whole.run)


def test_a_batch_without_labels_stops_the_run(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Nothing to learn is an error, not a step that does nothing."""
    empty = replace(random_batch(0), labels_BT=torch.full((4, 16), IGNORED))
    with pytest.raises(StageError, match="no label in the whole batch"):
        trainer(batch=lambda _step: empty).train(resume=False)


def test_directories_are_not_mixed_up(trainer: Callable[..., Trainer[Batch]]) -> None:
    """A taken directory needs --resume, and --resume needs the same settings."""
    trainer().train(resume=False, max_seconds=0)
    with pytest.raises(OutputError, match="pass --resume"):
        trainer().train(resume=False)
    with pytest.raises(ConfigError, match=r"loop\.steps was 8, is 9"):
        trainer(loop=LOOP.model_copy(update={"steps": 9})).train(resume=True)


def test_a_finished_run_can_be_resumed_without_harm(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Nothing is trained, the summary is the same but for its time."""
    first = trainer().train(resume=False)
    again = trainer().train(resume=True)
    assert again.model_copy(update={"seconds": 0.0}) == first.model_copy(update={"seconds": 0.0})


@pytest.mark.usefixtures("varlen_on_cpu")
def test_the_back_end_is_used_recorded_and_shown(
    trainer: Callable[..., Trainer[Batch]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The probed one computes the steps, with the reference's losses; evaluations compile none; the start says it."""
    reference = trainer("sdpa")
    reference.train(resume=False)
    monkeypatch.setattr(machine, "pick_backend", lambda *_shape, **_rest: ("varlen", {}))
    events: list[ProgressEvent] = []
    steps: list[str] = []
    evaluations: list[str] = []

    def loss(model: Transformer, batch: Batch) -> LossOutput:
        steps.append(model.attention_backend)
        return next_token_loss(model, batch)

    def evaluate(model: Transformer, _work: SharedWork) -> dict[str, float]:
        evaluations.append(model.attention_backend)
        return {}

    varlen = trainer("varlen", progress=events.append, evaluate=evaluate, loss=loss)
    varlen.train(resume=False)
    assert events[0].message.endswith("attention varlen")
    assert (reference.machine.attention, varlen.machine.attention) == ("documents", "varlen")
    assert (steps, evaluations) == (["varlen"] * 8, ["documents"] * 3)
    for line, expected in zip(read_ledger(varlen.run), read_ledger(reference.run), strict=True):
        assert line.loss == pytest.approx(expected.loss, rel=1e-4)


def test_the_ledger_has_the_speed_of_all_positions(trainer: Callable[..., Trainer[Batch]]) -> None:
    """64 positions of a step with 40 labels; operations by the formula; the summary holds the median."""
    run = trainer()
    summary = run.train(resume=False)
    speeds = [line.speed for line in read_ledger(run.run) if line.speed is not None]
    per_position = training_flops(run.model.config, context_length=16).full
    for line, speed in zip(read_ledger(run.run), speeds, strict=True):
        assert speed.positions_per_s == pytest.approx(line.tokens_per_s * 64 / 40, rel=1e-3)
        assert speed.flops_per_s == pytest.approx(speed.positions_per_s * per_position, rel=1e-3)
        assert speed.gemm_share == pytest.approx(speed.flops_per_s / run.machine.gemm_flops, abs=1e-6)
    assert summary.speed == median_speed(speeds)


def test_an_injected_spike_is_not_applied(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Batch 20 with a loss times 1,000 changes no weight and is in the ledger; without the limit it changes them.

    A run stopped just before it and resumed decides alike.
    """
    weights: dict[str, list[str]] = {}

    def made(run: str, limit: float | None, **changes: Any) -> Trainer[Batch]:
        def loss(model: Transformer, batch: Batch) -> LossOutput:
            weights.setdefault(run, []).append(weights_digest(model))
            output = next_token_loss(model, batch)
            factor = 1000 if batch.digest() == random_batch(20).digest() else 1
            return LossOutput(output.loss_sum * factor, output.num_label_tokens)

        loop = LOOP.model_copy(update={"steps": 23, "checkpoint_every_steps": 100})
        optimizer = OptimizerConfig(learning_rate=1e-2, skip_spikes_above=limit)
        return trainer(run, loop, loss=loss, optimizer=optimizer, **changes)

    def stop_before_it(event: ProgressEvent) -> None:
        if event.done == 20:
            os.kill(os.getpid(), signal.SIGTERM)

    limited, unlimited, stopped = made("limited", 10), made("unlimited", None), made("stopped", 10)
    summaries = [run.train(resume=False) for run in (limited, unlimited)]
    with pytest.raises(StageError, match="after step 20"):
        made("stopped", 10, progress=stop_before_it).train(resume=False)
    stopped.train(resume=True)
    assert [summary.skipped_steps for summary in summaries] == [1, 0]
    assert [line.step for line in read_ledger(limited.run) if line.skipped] == [20]
    assert weights["limited"][:21] == weights["unlimited"][:21]
    assert weights["limited"][21] == weights["limited"][20]
    assert len(set(weights["limited"])) == 22
    assert weights["unlimited"][21] != weights["unlimited"][20]
    assert without_speed(read_ledger(stopped.run)) == without_speed(read_ledger(limited.run))
    assert final_digest(stopped.run) == final_digest(limited.run)


def test_a_spike_makes_the_run_go_back(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Batches 18 to 20 are left out when 20 spikes: weights are those of a run that never learnt from the three.

    The ledger has every step once and says which were left out; stopped among them and resumed, a run does the same.
    Where no checkpoint is old enough, as in the first steps, only the spike is skipped.
    """
    messages: list[str] = []

    def made(run: str, *, bad: Sequence[int], rewind: int | None, every: int = 4, **changes: Any) -> Trainer[Batch]:
        def loss(model: Transformer, batch: Batch) -> LossOutput:
            output = next_token_loss(model, batch)
            factor = 1000 if batch.digest() in {random_batch(step).digest() for step in bad} else 1
            return LossOutput(output.loss_sum * factor, output.num_label_tokens)

        loop = LOOP.model_copy(update={"steps": 23, "checkpoint_every_steps": every})
        optimizer = OptimizerConfig(learning_rate=1e-2, skip_spikes_above=10, rewind_spikes=rewind)
        return trainer(run, loop, loss=loss, optimizer=optimizer, **changes)

    def stop_in_the_gap(event: ProgressEvent) -> None:
        messages.append(event.message)
        if event.done == 19 and "back to step" in "".join(messages):
            os.kill(os.getpid(), signal.SIGTERM)

    never, rewound = made("never", bad=(18, 19, 20), rewind=None), made("rewound", bad=(20,), rewind=3)
    summaries = [run.train(resume=False) for run in (never, rewound)]
    with pytest.raises(StageError, match="after step 19"):
        made("stopped", bad=(20,), rewind=3, progress=stop_in_the_gap).train(resume=False)
    stopped = made("stopped", bad=(20,), rewind=3)
    stopped.train(resume=True)
    assert [message for message in messages if "spike" in message] == [
        f"step 20: gradient norm {read_ledger(rewound.run)[20].grad_norm:.3g} is a spike; back to step 16, leaving out "
        "batches 18 to 20"
    ]
    lines = read_ledger(rewound.run)
    assert [line.step for line in lines] == list(range(23))
    assert [line.step for line in lines if line.left_out and line.skipped] == [18, 19, 20]
    assert [summary.skipped_steps for summary in summaries] == [3, 3]
    assert without_speed(read_ledger(stopped.run)) == without_speed(lines)
    assert final_digest(rewound.run) == final_digest(never.run) == final_digest(stopped.run)
    late = made("late", bad=(20,), rewind=3, every=100)
    assert late.train(resume=False).skipped_steps == 1
    assert not any(line.left_out for line in read_ledger(late.run))


def test_an_earlier_gap_outlives_a_second_spike(trainer: Callable[..., Trainer[Batch]]) -> None:
    """Going back behind batches that were left out before leaves them out again."""

    def loss(model: Transformer, batch: Batch) -> LossOutput:
        output = next_token_loss(model, batch)
        factor = 1000 if batch.digest() in {random_batch(step).digest() for step in (18, 22)} else 1
        return LossOutput(output.loss_sum * factor, output.num_label_tokens)

    loop = LOOP.model_copy(update={"steps": 24, "checkpoint_every_steps": 16})
    optimizer = OptimizerConfig(learning_rate=1e-2, skip_spikes_above=10, rewind_spikes=2)
    run = trainer(loop=loop, loss=loss, optimizer=optimizer)
    run.train(resume=False)
    assert [line.step for line in read_ledger(run.run) if line.left_out] == [17, 18, 21, 22]
    assert [line.step for line in read_ledger(run.run)] == list(range(24))
