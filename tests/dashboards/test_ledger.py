"""A ledger that grows, read from where one stopped."""

import os
import time
from pathlib import Path

import pytest

from ctllm.dashboards.ledger import last_line, ledger_tail, training_line
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import write_json
from ctllm.schemas.training_run import LEDGER, LedgerLine


def line(step: int, **values: object) -> bytes:
    """One line of a ledger."""
    base = {
        "batch": "0",
        "label_tokens": 100,
        "loss": 5 - step / 100,
        "grad_norm": 1.0,
        "learning_rate": 1e-3,
        "tokens_per_s": 50.0,
    }
    return (
        LedgerLine.model_validate({"step": step, **base, **values}).model_dump_json(exclude_defaults=True).encode()
        + b"\n"
    )


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A training of ten steps that has just written."""
    (tmp_path / LEDGER).write_bytes(b"".join(line(step) for step in range(10)))
    return tmp_path


def append(run: Path, data: bytes) -> None:
    """Adds bytes to the ledger."""
    with (run / LEDGER).open("ab") as file:
        file.write(data)


def test_only_what_is_new_is_read(run: Path) -> None:
    """From the offset of the last answer on come the lines that were added since, and none before or twice."""
    first = ledger_tail(run, offset=0)
    assert [point[0] for point in first["points"]] == list(range(10))
    assert first["label_tokens"] == 1000
    assert ledger_tail(run, offset=first["offset"])["points"] == []
    append(run, line(10, evaluation={"held_out_loss": 3.0}) + line(11))
    second = ledger_tail(run, offset=first["offset"])
    assert [point[0] for point in second["points"]] == [10, 11]
    assert second["evaluations"] == [[11, {"held_out_loss": 3.0}]]
    assert not second["restarted"]


def test_half_a_line_waits(run: Path) -> None:
    """A line that is still being written comes with the answer after it is whole."""
    offset = ledger_tail(run, offset=0)["offset"]
    whole = line(10)
    append(run, whole[:20])
    assert ledger_tail(run, offset=offset)["points"] == []
    append(run, whole[20:])
    assert [point[0] for point in ledger_tail(run, offset=offset)["points"]] == [10]


def test_a_ledger_that_was_cut_begins_again(run: Path) -> None:
    """After a resume from an earlier checkpoint the ledger is shorter: the answer is all of it, and says so."""
    offset = ledger_tail(run, offset=0)["offset"]
    (run / LEDGER).write_bytes(b"".join(line(step) for step in range(4)))
    again = ledger_tail(run, offset=offset)
    assert again["restarted"]
    assert [point[0] for point in again["points"]] == [0, 1, 2, 3]
    assert ledger_tail(run, offset=3)["restarted"]  # inside a line: it was another ledger


def test_long_ledgers_come_in_parts(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One answer has a bounded number of bytes and says whether there is more."""
    monkeypatch.setattr("ctllm.dashboards.ledger.MAX_BYTES", 400)
    steps, offset, answers = [], 0, 0
    while True:
        answer = ledger_tail(run, offset=offset)
        steps += [point[0] for point in answer["points"]]
        offset, answers = answer["offset"], answers + 1
        if not answer["points"]:
            break
    assert steps == list(range(10))
    assert answers > 3


def test_running_stopped_finished(run: Path) -> None:
    """A ledger that was written just now runs; one that rests for long, or whose life ended early, is stopped."""
    assert ledger_tail(run, offset=0)["state"] == "running"
    long_ago = time.time() - 3600
    os.utime(run / LEDGER, (long_ago, long_ago))
    assert training_line(run)["state"] == "stopped"
    write_json(str(run / "summary.json"), {"stage": "pretrain", "finished": False, "steps": 20, "num_parameters": 5})
    assert training_line(run) | {"state": "stopped", "steps": 20} == training_line(run)
    write_json(str(run / "summary.json"), {"stage": "pretrain", "finished": True, "steps": 20, "num_parameters": 5})
    assert training_line(run)["state"] == "finished"


def test_a_resumed_run_runs_again(run: Path) -> None:
    """The summary of an earlier life says nothing once the ledger was written after it."""
    write_json(str(run / "summary.json"), {"finished": False, "steps": 20})
    earlier = time.time() - 100
    os.utime(run / "summary.json", (earlier, earlier))
    assert training_line(run)["state"] == "running"


def test_slow_steps_are_not_a_stop(run: Path) -> None:
    """A step of ten minutes leaves the ledger at rest for ten minutes: the run still counts as running."""
    append(run, line(10, label_tokens=60_000, tokens_per_s=100.0))
    before = time.time() - 900
    os.utime(run / LEDGER, (before, before))
    assert training_line(run)["state"] == "running"


def test_broken_and_missing_ledgers_are_named(run: Path) -> None:
    """A line that is none, and a ledger that was deleted, are errors; an empty one is no error."""
    append(run, b"{broken\n")
    with pytest.raises(InputError, match="not a line of a ledger"):
        ledger_tail(run, offset=0)
    (run / LEDGER).write_bytes(b"")
    assert last_line(run) is None
    assert training_line(run)["step"] == 0
    (run / LEDGER).unlink()
    with pytest.raises(InputError, match="not there any more"):
        ledger_tail(run, offset=0)


def test_the_last_line_is_read_from_the_end(run: Path) -> None:
    """The last whole line, however long it and those before it are."""
    append(run, line(10, samples={"中国": "长" * 20_000}) + line(11)[:15])
    found = last_line(run)
    assert found is not None
    assert found.step == 10
