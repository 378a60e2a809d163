"""Runs one Beam job: progress from the files that appear, errors as sentences instead of tracebacks."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from typing import Any

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import DirectOptions
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner, worker_handlers
from apache_beam.transforms.environments import ExternalEnvironment, python_sdk_capabilities

from ctllm.pipelines.dataflow import DataflowClient, JobRecord, JobStatus, run_remotely, submit
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas import errors
from ctllm.schemas.files import list_files
from ctllm.schemas.memory import give_back
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.scratch import temporary_files_in_scratch

_OWN_ERROR = re.compile(r"ctllm\.schemas\.errors\.(\w+): (.+)")
_LAST_ERROR = re.compile(r"^([\w.]+(?:Error|Exception|Interrupt)): (.+)$", re.MULTILINE)
POLL_SECONDS = 0.5


def run_job(
    stage: str,
    build: Callable[[beam.Pipeline], object],
    *,
    options: RunnerOptions,
    watch: str = "",
    total: int = 0,
    progress: Progress = silent,
) -> None:
    """Builds and runs one pipeline; while it runs, files appearing in `watch` are reported as `done` of `total`.

    Raises StageError (or our own error that a worker raised) with one sentence instead of Beam's nested traceback.
    """
    # Beam leaves a directory behind for each job whose workers are processes, and one for each that is stopped. A
    # failing worker prints its traceback; the same text comes back in the exception, which `-v` shows.
    with temporary_files_in_scratch("ctllm-beam-"), redirect_stderr(io.StringIO()):
        try:
            if options.runner == "dataflow":
                _run_on_dataflow(stage, build, options=options, watch=watch, total=total, progress=progress)
                return
            _mend_local_runner()
            with (
                _watched(stage, watch=watch, total=total, progress=progress),
                _pipeline(options) as pipeline,
            ):
                build(pipeline)
            give_back()  # its threads have ended, and the C library keeps what was theirs: 100 to 170 MB a stage
        except errors.CtllmError:
            raise
        except Exception as error:  # Beam re-raises worker errors as RuntimeError with the traceback in the text
            raise _plain_error(stage, error) from error


def _pipeline(options: RunnerOptions) -> beam.Pipeline:
    given = options.pipeline_options()
    if options.runner != "processes":
        return beam.Pipeline(options=given)
    given.view_as(DirectOptions).direct_running_mode = None  # each of Beam's modes brings workers of its own
    if options.worker_pool is None:
        raise errors.ConfigError("--runner processes: no workers; `portable_services` starts them")
    workers = ExternalEnvironment(options.worker_pool(), capabilities=python_sdk_capabilities())
    return beam.Pipeline(FnApiRunner(default_environment=workers), options=given)


def _run_on_dataflow(
    stage: str,
    build: Callable[[beam.Pipeline], object],
    *,
    options: RunnerOptions,
    watch: str,
    total: int,
    progress: Progress,
) -> None:
    name = f"{stage} {watch}".strip()  # a stage may have several jobs, one after the other

    def report(status: JobStatus) -> None:
        metrics = (f"{metric} {value:.4g}" for metric, value in status.metrics.items())
        done = len(list_files(watch)) if watch else 0
        progress(ProgressEvent(stage, done, total, message="  ".join([status.state, *metrics])))

    run_remotely(
        name,
        lambda: submit(build, options=options.pipeline_options(), name=name),
        client=DataflowClient(),
        record=JobRecord(options.record),
        report=report,
    )


def _plain_error(stage: str, error: Exception) -> errors.CtllmError:
    text = str(error)
    if own := _OWN_ERROR.findall(text):
        name, message = own[-1]
        kind = getattr(errors, name, errors.StageError)
        return kind(message.split(" [while running")[0])
    if found := _LAST_ERROR.findall(text):
        name, message = found[-1]
        summary = f"{name}: {message.split(' [while running')[0]}"
    else:
        summary = f"{type(error).__name__}: {text.strip().splitlines()[-1] if text.strip() else 'no message'}"
    return errors.StageError(
        f"stage {stage}: {summary}; what is finished stays, run the same command again to continue (-v for details)"
    )


def _mend_local_runner() -> None:
    """Two things of Beam 2.77's local runner that no option reaches.

    Streams to and from workers go off when they are full or end, and not every second as well. For the latter a thread
    sends what was written and then clears the stream: what the worker writes in between is lost. On a busy machine that
    was part of a split in two of six jobs (2026-11-26, docs/experiments.md).

    And a job whose worker is gone fails; as it is, the runner waits for its answer for ever.
    """
    worker_handlers.DATA_BUFFER_TIME_LIMIT_MS = 0
    worker_handlers.ControlConnection = WatchedConnection


class WatchedConnection(worker_handlers.ControlConnection):
    """Of what a worker is asked, nothing waits for an answer when its stream has ended."""

    def __init__(self) -> None:
        self._has_ended = False
        super().__init__()

    def _read(self) -> None:
        with suppress(grpc.RpcError):
            super()._read()
        self._has_ended = True
        for instruction in list(self._futures_by_id):
            self._fail(instruction)

    def push(self, request: Any) -> Any:  # noqa: ANN401 - Beam's own types
        """Asks the worker; the future of its answer."""
        future = super().push(request)
        if future and self._has_ended:
            self._fail(future.instruction_id)
        return future

    def _fail(self, instruction: str) -> None:
        lost = errors.StageError("a worker process was killed, perhaps for want of memory; the same command continues")
        error = f"{type(lost).__module__}.{type(lost).__name__}: {lost}"
        if future := self._futures_by_id.pop(instruction, None):
            future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=instruction, error=error))


@contextmanager
def _watched(stage: str, *, watch: str, total: int, progress: Progress) -> Iterator[None]:
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(POLL_SECONDS):
            progress(ProgressEvent(stage, len(list_files(watch)) if watch else 0, total))

    progress(ProgressEvent(stage, 0, total))
    watcher = threading.Thread(target=report, daemon=True)
    watcher.start()
    try:
        yield
        progress(ProgressEvent(stage, total, total))
    finally:
        ended.set()
        watcher.join()
