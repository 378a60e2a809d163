"""Ledgers as event files, read back by TensorBoard's own reader."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ctllm.model import tensorboard_events
from ctllm.model.ledger import Ledger
from ctllm.model.tensorboard_events import scalars, write_events
from ctllm.schemas.errors import InputError, MissingPartError
from ctllm.schemas.training_run import LedgerLine, StepSpeed

SPEED = StepSpeed(positions_per_s=12.0, flops_per_s=3e9, gemm_share=0.5)


def line(step: int, **more: Any) -> LedgerLine:
    """A step whose figures follow from its number and are no round float32."""
    return LedgerLine(
        step=step, batch="0", label_tokens=10, loss=1 / (step + 3), grad_norm=0.1, learning_rate=1e-3, tokens_per_s=5,
        **more,
    )  # fmt: skip


def write_run(run: Path, lines: list[LedgerLine]) -> str:
    """A run directory with nothing but a ledger."""
    with Ledger(str(run), num_bytes=0) as ledger:
        for each in lines:
            ledger.append(each)
    return str(run)


def read_events(directory: Path) -> EventAccumulator:
    """What TensorBoard would show."""
    events = EventAccumulator(str(directory), size_guidance={"scalars": 0, "tensors": 0})
    events.Reload()
    return events


def read_scalars(events: EventAccumulator) -> dict[str, list[tuple[int, float]]]:
    """Tag to (step, value)."""
    return {tag: [(each.step, each.value) for each in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_every_number_of_the_ledger_is_there(tmp_path: Path) -> None:
    """TensorBoard's reader finds each figure of each line at its step, as float32, and the texts; again adds none."""
    lines = [
        line(0, evaluation_before={"bits_per_byte_zh": 3.9}, speed=SPEED),
        line(1, values={"margin": 0.3}, skipped=True, alarm="both fall"),
        line(2, evaluation={"bits_per_byte_zh": 2.7}, samples={"中国的": "，是"}),
    ]
    run = write_run(tmp_path / "run", lines)
    for _ in range(2):
        assert write_events([run], out=str(tmp_path / "events")) == {"run": 3}
    assert len(list((tmp_path / "events" / "run").iterdir())) == 1
    events = read_events(tmp_path / "events" / "run")
    found = read_scalars(events)
    assert found["loss"] == [(0, np.float32(1 / 3)), (1, 0.25), (2, np.float32(0.2))]
    assert found["evaluation/bits_per_byte_zh"] == [(0, np.float32(3.9)), (3, np.float32(2.7))]
    assert found["values/margin"] == [(1, np.float32(0.3))]
    assert found["skipped"] == [(0, 0), (1, 1), (2, 0)]
    assert found["alarm"] == [(0, 0), (1, 1), (2, 0)]
    assert found["speed/gemm_share"] == [(0, 0.5)]
    assert sorted((tag, *each) for tag, points in found.items() for each in points) == sorted(
        (tag, step, np.float32(value)) for every in lines for tag, step, value in scalars(every)
    )
    (text,) = events.Tensors("samples/中国的/text_summary")
    assert (text.step, text.tensor_proto.string_val[0].decode()) == (3, "，是")
    times = [each.wall_time for each in events.Scalars("loss")]
    assert times[2] - times[0] == pytest.approx(4)  # two steps of ten tokens at five a second


def test_runs_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    """Runs of one last name keep the folder above it; a run given twice and one without a ledger are refused."""
    runs = [write_run(tmp_path / name / "sft", [line(0)]) for name in ("a", "b")]
    assert set(write_events(runs, out=str(tmp_path / "events"))) == {"a-sft", "b-sft"}
    with pytest.raises(InputError, match="named twice"):
        write_events([runs[0], runs[0]], out=str(tmp_path / "events"))
    with pytest.raises(InputError, match=r"no line in ledger\.jsonl here"):
        write_events([str(tmp_path)], out=str(tmp_path / "events"))


def test_without_the_package_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has not installed tensorboard reads how to."""
    monkeypatch.setattr(tensorboard_events, "find_spec", lambda _name: None)
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    with pytest.raises(MissingPartError, match=r"pip install 'ctllm\[tensorboard\]'"):
        write_events([write_run(tmp_path / "run", [line(0)])], out=str(tmp_path / "events"))
