"""The step that runs `ctllm curate` on a worker: what it says, how it fails, and who takes it along."""

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import fsspec
import pytest

from ctllm.pipelines import conductor
from ctllm.pipelines.conductor import Conduct, run_command
from ctllm.pipelines.dataflow import JobRecord
from ctllm.schemas.errors import ConfigError, StageError

COMMAND = """
import sys, time
from pathlib import Path
from ctllm.pipelines.dataflow import JobRecord, JobReference, JobStatus, run_remotely

class Service:
    def status(self, job):
        Path(sys.argv[1], "watching").touch()
        return JobStatus("JOB_STATE_RUNNING")

    def cancel(self, job):
        time.sleep(0.5)  # the network
        Path(sys.argv[1], "cancelled").touch()

run_remotely(
    "measure",
    lambda: JobReference("project", "region", "job-1"),
    client=Service(),
    record=JobRecord(sys.argv[1] + "/jobs.json"),
    report=lambda status: None,
    wait=lambda seconds: time.sleep(0.05),
)
"""
"""A command that watches a job of a service."""

WORKER = """
import sys, threading
from ctllm.pipelines.conductor import run_command
step = threading.Thread(target=run_command, args=([sys.executable, "-c", sys.argv[2], sys.argv[1]],))
step.start()
step.join()
"""
"""A worker as Beam's is: the step runs in a thread, and the main thread has no handler for SIGTERM."""

GRPC = """
import os
from concurrent.futures import ThreadPoolExecutor

import grpc
from ctllm.pipelines.conductor import run_command

server = grpc.server(ThreadPoolExecutor())
port = server.add_insecure_port("localhost:0")
server.start()
channel = grpc.insecure_channel(f"localhost:{port}")
grpc.channel_ready_future(channel).result()
for _ in range(100):
    run_command(["true"])
os._exit(0)
"""
"""A worker is full of threads of gRPC."""


def says(*lines: str, code: int = 0) -> Sequence[str]:
    """A command that prints these lines, the odd ones to standard error, and ends with `code`."""
    program = "".join(
        f"print({line!r}, file=sys.{'stderr' if number % 2 else 'stdout'}, flush=True);"
        for number, line in enumerate(lines)
    )
    return [sys.executable, "-c", f"import sys;{program}sys.exit({code})"]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (['{"stage": "measure"}', "error in.yaml, a: unknown key"], "in.yaml, a: unknown key"),
        (["error first", "error a.yaml, a: no", "a.yaml, b: no either"], "a.yaml, a: no a.yaml, b: no either"),
        (["Usage: ctllm curate", "Error: No such option: --x"], "No such option: --x"),
        (["Killed", ""], "Killed"),
        ([], "it said nothing"),
    ],
)
def test_a_failing_command_is_one_sentence(lines: Sequence[str], sentence: str) -> None:
    """Its last error, as whole as it was; what it said last where it died without one."""
    with pytest.raises(StageError) as raised:
        run_command(says(*lines, code=2))
    assert str(raised.value) == f"`ctllm curate` ended with exit code 2: {sentence}"


def test_every_line_goes_to_the_workers_log(caplog: pytest.LogCaptureFixture) -> None:
    """Both streams, in their order, so that the job's page shows how the curation goes."""
    with caplog.at_level(logging.INFO, logger=conductor.__name__):
        run_command(says('{"stage": "measure", "done": 1}', "warning: slow", "read 370"))
    assert caplog.messages == ['{"stage": "measure", "done": 1}', "warning: slow", "read 370"]


def test_a_command_starts_whatever_grpc_does_meanwhile() -> None:
    """Started by a fork that runs gRPC's own code, two to seven of the hundred ended by SIGABRT (2026-11-27)."""
    ended = subprocess.run([sys.executable, "-c", GRPC], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 0, ended.stderr


def test_a_config_may_lie_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command is given a copy that has its name; one that is not there is told by its address."""
    with fsspec.open("memory://conductor/own.yaml", "wb") as file:
        file.write(b"{}\n")
    seen: list[tuple[Sequence[str], str]] = []

    def run(command: Sequence[str]) -> None:
        seen.append((command, Path(command[4]).read_text(encoding="utf-8")))

    monkeypatch.setattr(conductor, "run_command", run)
    Conduct("memory://conductor/own.yaml", ["--out", "x"]).process(b"")
    ((command, config),) = seen
    assert command[:4] == [sys.executable, "-m", "ctllm.cli.main", "curate"]
    assert (Path(command[4]).name, config, command[5:]) == ("own.yaml", "{}\n", ["--out", "x"])
    assert not Path(command[4]).exists()
    with pytest.raises(ConfigError, match=r"memory://conductor/none\.yaml: cannot read the config"):
        Conduct("memory://conductor/none.yaml", []).process(b"")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in a process group of its own, whose step watches a job by now."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(tmp_path), COMMAND], stderr=subprocess.PIPE, start_new_session=True
    )
    while process.poll() is None and not (tmp_path / "watching").exists():
        time.sleep(0.02)
    yield process
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def test_a_worker_that_is_told_to_stop_cancels_the_job(tmp_path: Path, worker: subprocess.Popen[bytes]) -> None:
    """Beam's `boot` tells the process group. The worker is gone at once, the command when it has cancelled its job.

    Until then it holds the worker's output, for whose end `boot` waits before it lets the container go.
    """
    os.killpg(worker.pid, signal.SIGTERM)
    worker.communicate(timeout=60)  # the end of what it says
    assert worker.returncode == -signal.SIGTERM
    assert (tmp_path / "cancelled").exists()
    assert JobRecord(str(tmp_path / "jobs.json")).jobs() == {}


def test_a_worker_that_is_killed_takes_the_command_along_but_not_the_job(
    tmp_path: Path, worker: subprocess.Popen[bytes]
) -> None:
    """The job stays noted, so that the next command attaches to it."""
    os.kill(worker.pid, signal.SIGKILL)
    worker.communicate(timeout=60)  # ends with the last process that holds it, the command
    assert not (tmp_path / "cancelled").exists()
    assert JobRecord(str(tmp_path / "jobs.json")).jobs()["measure"].job_id == "job-1"
