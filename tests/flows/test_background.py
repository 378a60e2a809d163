"""Processes in the background: found again, ended with everything they started."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ctllm.flows.background import Background, is_alive, marked_processes, start_time, stop_all, wait_until

SLEEPER = "import time; time.sleep(600)"
PARENT = (  # starts a child in a session of its own, as Prefect's worker does, and writes down its process id
    "import pathlib, subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    "pathlib.Path(sys.argv[1]).write_text(str(child.pid)); time.sleep(600)"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Background]]:
    """Starts Python programs in the background of `tmp_path`; none of them outlives the test."""
    started: list[Background] = []

    def start_one(name: str, program: str, *arguments: str) -> Background:
        process = Background(tmp_path, name)
        command = [sys.executable, "-c", program, *arguments]
        process.start(command, environment=dict(os.environ), directory=tmp_path)
        started.append(process)
        return process

    yield start_one
    stop_all(tmp_path, in_order=started)


def test_running_process_is_found_again(start: Callable[..., Background], tmp_path: Path) -> None:
    """A process is known by its pid file as long as it runs, and not afterwards."""
    process = start("server", SLEEPER)
    pid = process.pid()
    assert pid is not None
    assert Background(tmp_path, "server").pid() == pid
    assert stop_all(tmp_path, in_order=[process]) == ["server"]
    assert not is_alive(pid)
    assert Background(tmp_path, "server").pid() is None


def test_number_of_another_process_is_not_taken(tmp_path: Path) -> None:
    """A pid file whose number now belongs to another process counts as not running, and nobody is ended for it."""
    (tmp_path / "worker.pid").write_text(f'{{"pid": {os.getpid()}, "started": "1"}}')
    worker = Background(tmp_path, "worker")
    assert start_time(os.getpid()) not in ("", "1")
    assert worker.pid() is None
    assert stop_all(tmp_path, in_order=[worker]) == []
    assert not (tmp_path / "worker.pid").exists()


def test_descendants_are_ended_too(start: Callable[..., Background], tmp_path: Path) -> None:
    """A process that a killed worker left behind in a session of its own is ended as well."""
    note = tmp_path / "child.pid.txt"
    worker = start("worker", PARENT, str(note))
    assert wait_until(lambda: note.exists() and note.read_text() != "", timeout_s=20)
    child, pid = int(note.read_text()), worker.pid()
    assert pid is not None
    os.kill(pid, 9)
    assert wait_until(lambda: worker.pid() is None, timeout_s=5)
    assert marked_processes(tmp_path) == {child}
    assert stop_all(tmp_path, in_order=[worker]) == []
    assert not is_alive(child)


def test_later_processes_wait_for_their_turn(start: Callable[..., Background], tmp_path: Path) -> None:
    """While the worker is stopped, the server and its own children still run."""
    server, worker = start("server", SLEEPER), start("worker", SLEEPER)
    server_pid = server.pid()
    assert stop_all(tmp_path, in_order=[worker, server]) == ["worker", "server"]
    assert server_pid is not None
    assert marked_processes(tmp_path) == set()


def test_output_is_in_the_log(start: Callable[..., Background]) -> None:
    """What a process says before it dies is in its log, for the error message."""
    process = start("server", "print('cannot start: port taken')")
    assert wait_until(lambda: process.pid() is None, timeout_s=20)
    assert process.tail() == "cannot start: port taken"
