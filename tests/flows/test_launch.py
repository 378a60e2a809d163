"""The supervised child: what it says is forwarded, how it ends is told, and it never outlives its flow."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ctllm.flows import launch
from ctllm.flows.background import is_alive, wait_until
from ctllm.schemas.errors import StageError

TRAINER = """
import pathlib, signal, sys, time
def stop(*_):
    pathlib.Path(sys.argv[1], "checkpoint").write_text("saved")
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1], "pid").write_text(str(__import__("os").getpid()))
while True:
    time.sleep(0.05)
"""
DEAF = TRAINER.replace(
    '    pathlib.Path(sys.argv[1], "checkpoint").write_text("saved")\n    sys.exit(143)\n', "    pass\n"
)


class Heard:
    """Everything that a child's listeners were told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[Mapping[str, Any]] = []


def supervise(program: str, directory: Path, heard: Heard | None = None) -> Heard:
    """Runs a Python program as a supervised child."""
    heard = heard or Heard()
    launch.supervise(
        [sys.executable, "-c", program, str(directory)],
        log=directory / "logs" / "child.log",
        on_line=heard.lines.append,
        on_progress=heard.events.append,
    )
    return heard


class Cancelled(BaseException):
    """What Prefect's TerminationSignal is: no Exception."""


@contextmanager
def cancelled_when(is_time: Callable[[], bool]) -> Iterator[None]:
    """Raises Cancelled in the main thread as soon as `is_time()`, as Prefect does on a cancel."""

    def cancel(_number: int, _frame: FrameType | None) -> None:
        raise Cancelled

    def watch() -> None:
        wait_until(is_time, timeout_s=20)
        os.kill(os.getpid(), signal.SIGUSR1)

    previous = signal.signal(signal.SIGUSR1, cancel)
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        watcher.join()
        signal.signal(signal.SIGUSR1, previous)


def child_pid(directory: Path) -> int:
    """The process id that the child wrote down."""
    return int((directory / "pid").read_text())


def test_lines_and_progress_are_forwarded(tmp_path: Path) -> None:
    """A JSON line of a stage is progress, every other line is text, and the log has all of them in order."""
    heard = supervise(
        'print("hello"); print(\'{"stage": "s", "done": 1}\'); print(\'{"other": 1}\'); print("{no")', tmp_path
    )
    assert heard.events == [{"stage": "s", "done": 1}]
    assert heard.lines == ["hello", '{"other": 1}', "{no"]
    log = (tmp_path / "logs" / "child.log").read_text()
    assert log.splitlines() == ["hello", '{"stage": "s", "done": 1}', '{"other": 1}', "{no"]


def test_standard_error_is_forwarded_too(tmp_path: Path) -> None:
    """What the child writes to standard error is in the log and in the run's lines."""
    assert supervise('import sys; print("to stderr", file=sys.stderr)', tmp_path).lines == ["to stderr"]


def test_failure_raises_with_the_last_lines(tmp_path: Path) -> None:
    """A stage that fails raises an error with its exit code, its last 20 lines and the path of the log."""
    with pytest.raises(StageError) as raised:
        supervise('import sys\nfor i in range(50): print(f"line {i};")\nsys.exit(5)', tmp_path)
    message = str(raised.value)
    assert "exit code 5" in message
    assert str(tmp_path / "logs" / "child.log") in message
    assert "line 30;" in message
    assert "line 29;" not in message


def test_killed_child_is_told_by_its_signal(tmp_path: Path) -> None:
    """A stage that the kernel killed is reported as killed, with the likely cause."""
    with pytest.raises(StageError, match=r"SIGKILL \(out of memory\?\)"):
        supervise("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", tmp_path)


def test_broken_listener_does_not_halt_the_child(tmp_path: Path) -> None:
    """When the Prefect API fails, the child still runs to its end, and the log says what was not forwarded."""

    def no_api(_event: Mapping[str, Any]) -> None:
        raise ConnectionError("the API is away")

    heard = Heard()
    launch.supervise(
        [sys.executable, "-c", 'print(\'{"stage": "s"}\'); print("x" * 200_000); print("end")'],
        log=tmp_path / "child.log",
        on_line=heard.lines.append,
        on_progress=no_api,
    )
    assert heard.lines[-1] == "end"
    assert "not forwarded: ConnectionError: the API is away" in (tmp_path / "child.log").read_text()


def test_cancel_lets_a_trainer_save(tmp_path: Path) -> None:
    """A cancelled flow ends its child with SIGTERM, so that the trainer writes its checkpoint first."""
    with pytest.raises(Cancelled), cancelled_when((tmp_path / "pid").exists):
        supervise(TRAINER, tmp_path)
    assert (tmp_path / "checkpoint").read_text() == "saved"
    assert not is_alive(child_pid(tmp_path))


def test_cancel_kills_a_child_that_does_not_listen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that ignores SIGTERM is killed before Prefect's runner would kill the whole group."""
    monkeypatch.setattr(launch, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(launch, "KILL_SECONDS", 0.5)
    with pytest.raises(Cancelled), cancelled_when((tmp_path / "pid").exists):
        supervise(DEAF, tmp_path)
    assert not is_alive(child_pid(tmp_path))


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_child_dies_with_its_killed_flow(tmp_path: Path) -> None:
    """A flow that is killed (out of memory) takes its child with it, which still saves its checkpoint."""
    flow = (
        "import sys, pathlib; from ctllm.flows.launch import supervise\n"
        "supervise([sys.executable, '-c', sys.argv[1], sys.argv[2]], log=pathlib.Path(sys.argv[2], 'log'),"
        " on_line=print, on_progress=print)"
    )
    parent = subprocess.Popen([sys.executable, "-c", flow, TRAINER, str(tmp_path)])
    assert wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "", timeout_s=20)
    parent.kill()
    parent.wait()
    assert wait_until(lambda: not is_alive(child_pid(tmp_path)), timeout_s=10)
    assert (tmp_path / "checkpoint").read_text() == "saved"


def test_ctllm_runs_with_this_interpreter() -> None:
    """A stage runs with the interpreter of the flow, whatever `ctllm` stands in PATH."""
    assert launch.ctllm_command(["plan", "x"]) == [sys.executable, "-m", "ctllm.cli.main", "plan", "x"]
