"""Beam jobs: progress from files, errors as one sentence."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import apache_beam as beam
import grpc
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import worker_handlers
from apache_beam.runners.worker.data_plane import _GrpcDataChannel
from apache_beam.transforms.environments import python_sdk_dependencies

from ctllm.pipelines.jobs import WatchedConnection, run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.errors import InputError, StageError
from ctllm.schemas.progress import ProgressEvent

from .conftest import prose, write_records

OPTIONS = RunnerOptions(workers=1)


class Fail(beam.DoFn):
    """Raises the error it was made with."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def process(self, element: int) -> list[int]:  # noqa: ARG002 - Beam names it
        """Fails on every element."""
        raise self.error


def failing(error: Exception) -> StageError | InputError:
    """What `run_job` makes of an error that a worker raises."""
    with pytest.raises((StageError, InputError)) as caught:
        run_job("measure", lambda p: p | beam.Create([1]) | beam.ParDo(Fail(error)), options=OPTIONS)
    return caught.value


def test_worker_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception in a worker becomes stage, kind and message; Beam's traceback is not printed."""
    message = str(failing(ValueError("bad row 17")))
    assert message.startswith("stage measure: ValueError: bad row 17; what is finished stays")
    assert "Traceback" not in message + capsys.readouterr().err


def test_own_error_of_a_worker_stays_what_it_is() -> None:
    """An error of our tree keeps its class, and so its exit code, through Beam."""
    error = failing(InputError("x.parquet: not there"))
    assert type(error) is InputError
    assert str(error) == "x.parquet: not there"


def _slowly(number: int) -> Iterator[tuple[int, int]]:
    for other in range(40):
        time.sleep(0.01)  # as work takes; the stream is open meanwhile
        yield other % 2, number


def _write(group: tuple[int, Iterable[int]], directory: str) -> None:
    key, numbers = group
    Path(directory, str(key)).write_text(str(sorted(numbers)), encoding="utf-8")


def test_a_worker_may_write_while_its_stream_is_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything of two workers arrives, also where sending takes long, as on a busy machine."""
    send = _GrpcDataChannel._enqueue_to_send

    def send_slowly(channel: _GrpcDataChannel, element: object) -> None:
        send(channel, element)
        time.sleep(0.05)

    monkeypatch.setattr(_GrpcDataChannel, "_enqueue_to_send", send_slowly)
    monkeypatch.setattr(worker_handlers, "DATA_BUFFER_TIME_LIMIT_MS", 100)  # 1,000 in Beam: the test would take longer

    def job(pipeline: beam.Pipeline) -> None:
        numbers = pipeline | Spread([1, 2]) | beam.FlatMap(_slowly).with_output_types(tuple[int, int])
        _ = numbers | beam.GroupByKey() | beam.Map(_write, str(tmp_path))

    run_job("measure", job, options=RunnerOptions(workers=2))
    assert [(tmp_path / key).read_text(encoding="utf-8") for key in "01"] == [str([1] * 20 + [2] * 20)] * 2


def test_progress_begins_and_ends(tmp_path: Path) -> None:
    """A job reports nothing done at its start and everything at its end."""
    events: list[ProgressEvent] = []
    run_job("s", lambda p: p | beam.Create([1]), options=OPTIONS, watch=str(tmp_path), total=3, progress=events.append)
    assert (events[0].done, events[-1].done, events[-1].total) == (0, 3, 3)


@pytest.mark.parametrize("fails", [False, True])
def test_a_job_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """What Beam leaves for each job whose workers get files of the package is removed, also when the job fails."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def build(pipeline: beam.Pipeline) -> object:
        python_sdk_dependencies(PipelineOptions([]))  # as portable runners and Dataflow do
        assert list(tmp_path.rglob("*"))
        numbers = pipeline | beam.Create([1])
        return numbers | beam.ParDo(Fail(InputError("x"))) if fails else numbers

    with pytest.raises(InputError) if fails else nullcontext():
        run_job("measure", build, options=OPTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_leaves_no_temporary_file(tmp_path: Path, number: signal.Signals) -> None:
    """`ctllm curate` that is stopped half-way, by Ctrl-C or by a supervisor, cleans up at once."""
    for part in range(40):
        write_records(tmp_path / "in" / f"{part:02d}.jsonl", [{"id": str(part), "text": prose(part % 10) * 20}] * 20)
    scratch, run = tmp_path / "scratch", tmp_path / "run"
    scratch.mkdir()
    (tmp_path / "plain.yaml").write_text("{}")
    command = [sys.executable, "-m", "ctllm.cli.main", "curate", str(tmp_path / "plain.yaml"), "--workers", "1"]
    process = subprocess.Popen(
        [*command, "--input", str(tmp_path / "in"), "--out", str(run)],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while not list(run.glob("documents/part-*")) and process.poll() is None:
        time.sleep(0.01)
    assert list(scratch.iterdir())
    process.send_signal(number)
    assert process.wait(timeout=60) == (130 if number == signal.SIGINT else -number)
    assert list(scratch.iterdir()) == []


def broken() -> Iterator[object]:
    """A stream whose sender was killed, as gRPC gives it; or it just ends."""
    raise grpc.RpcError
    yield


@pytest.mark.parametrize("ended", [iter(()), broken()], ids=["ended", "broken"])
def test_nothing_waits_for_a_worker_whose_stream_has_ended(ended: Iterator[object]) -> None:
    """What it was asked before and what it is asked afterwards is answered with the same sentence."""
    connection = WatchedConnection()
    before = connection.push(beam_fn_api_pb2.InstructionRequest(instruction_id="1"))
    connection.set_input(ended)
    assert "a worker process was killed" in before.get(timeout=10).error
    after = connection.push(beam_fn_api_pb2.InstructionRequest(instruction_id="2"))
    assert after.get(timeout=10).error == before.get().error
    connection.close()
