"""What the card says of a training run."""

from pathlib import Path

import pytest

from ctllm.dashboards.curves import MAX_POINTS, training_curves
from ctllm.schemas.errors import InputError

LINE = '{{"step":{step},"batch":"0","label_tokens":10,"loss":2.5,"grad_norm":1,"learning_rate":0.1,"tokens_per_s":5}}\n'


def test_curve_before_and_after(training: Path) -> None:
    """The curve has a point per step; what was measured before, last and in evaluation.json stands beside it."""
    run = training_curves(str(training))
    assert (run["name"], run["steps"], run["label_tokens"]) == ("pretrain-demo", 60, 60 * 2048)
    assert [point[0] for point in run["curve"]] == list(range(60))
    assert [step for step, _ in run["evaluations"]] == [20, 40, 60]
    assert run["before"] == {"held_out_loss": 6.4}
    assert run["after"] == run["evaluations"][-1][1]
    assert run["samples"] == [60, {"中国的": "写了 59 步"}]
    assert run["results"] == {"bits_per_byte.en": 1.4, "bits_per_byte.zh": 1.21}


def test_long_curve_is_thinned(tmp_path: Path) -> None:
    """A ledger of many lines becomes at most `MAX_POINTS` and one points; the first and the last step stay."""
    steps = 3 * MAX_POINTS + 5
    (tmp_path / "ledger.jsonl").write_text("".join(LINE.format(step=step) for step in range(steps)))
    run = training_curves(str(tmp_path))
    assert run["steps"] == steps
    assert MAX_POINTS // 2 < len(run["curve"]) <= MAX_POINTS + 1
    assert (run["curve"][0][0], run["curve"][-1][0]) == (0, steps - 1)


def test_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    """A last line without its line feed belongs to a step that is not finished."""
    (tmp_path / "ledger.jsonl").write_text(LINE.format(step=0) + LINE.format(step=1)[:30])
    assert training_curves(str(tmp_path))["steps"] == 1


def test_empty_ledger(tmp_path: Path) -> None:
    """A run that has not finished its first step has an empty curve."""
    (tmp_path / "ledger.jsonl").write_text("")
    assert training_curves(str(tmp_path))["curve"] == []


def test_wrong_directory_and_broken_line_are_named(tmp_path: Path) -> None:
    """The error says which file is missing, or which line of it is no line of a ledger."""
    with pytest.raises(InputError, match=r"ledger\.jsonl: not there"):
        training_curves(str(tmp_path))
    (tmp_path / "ledger.jsonl").write_text(LINE.format(step=0) + "{}\n")
    with pytest.raises(InputError, match=r"ledger\.jsonl, line 2: not a line of a ledger"):
        training_curves(str(tmp_path))
