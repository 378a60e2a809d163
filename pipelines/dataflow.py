"""One job on Dataflow: submitted once, watched to its end, attached to by a later process, cancelled on a stop.

`jobs.json` in the run directory holds a job while it is under way. Whoever comes to it next attaches to it instead of
submitting another; a process that is killed leaves the job alone, one that is told to stop cancels it.
"""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from ctllm.schemas.errors import MissingPartError, StageError
from ctllm.schemas.files import exists, read_json, write_json
from ctllm.schemas.scratch import remove_scratch

POLL_SECONDS = 15.0
HANGUP_SECONDS = 0.5  # chosen: signals to a group arrive within milliseconds
MAX_FAILED_POLLS = 20  # chosen: 5 minutes without an answer are not the job's end
SUCCEEDED = frozenset({"JOB_STATE_DONE"})
FAILED = frozenset({"JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_UPDATED", "JOB_STATE_DRAINED"})
"""The other states of the service (pending, running, cancelling …) are those of a job under way."""


@dataclass(frozen=True)
class JobReference:
    """What names a job on the service."""

    project: str
    region: str
    job_id: str


@dataclass(frozen=True)
class JobStatus:
    """A look at a job: state by the service's name, metrics that are single numbers."""

    state: str
    metrics: Mapping[str, float] = field(default_factory=dict)


class JobClient(Protocol):
    """What of the service is needed."""

    def status(self, job: JobReference) -> JobStatus:
        """Where a job stands."""

    def cancel(self, job: JobReference) -> None:
        """Asks the service to end it."""


class JobRecord:
    """The jobs under way of a run directory, by name."""

    def __init__(self, path: str) -> None:
        self._path = path

    def jobs(self) -> dict[str, JobReference]:
        """All of them."""
        found = read_json(self._path) if exists(self._path) else {}
        return {name: JobReference(**each) for name, each in found.items()}

    def put(self, name: str, job: JobReference | None) -> None:
        """Notes one, or that it has ended."""
        others = {other: asdict(each) for other, each in self.jobs().items() if other != name}
        write_json(self._path, others | ({name: asdict(job)} if job else {}))


def submit(build: Callable[[beam.Pipeline], object], *, options: PipelineOptions, name: str) -> JobReference:
    """Builds the graph and hands it to the service, without waiting.

    The service's name of it is `--job_name` (or ctllm) and `name`; a second one of an active name is refused there.
    """
    cloud = options.view_as(GoogleCloudOptions)
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    cloud.job_name = f"{cloud.job_name or 'ctllm'}-{name.split(maxsplit=1)[0]}-{digest}"
    pipeline = beam.Pipeline(options=options)
    build(pipeline)
    return JobReference(cloud.project, cloud.region, pipeline.run().job_id())


def run_remotely(
    name: str,
    submit_job: Callable[[], JobReference],
    *,
    client: JobClient,
    record: JobRecord,
    report: Callable[[JobStatus], None],
    wait: Callable[[float], object] = time.sleep,
) -> None:
    """Submits the job, or attaches to the one that is recorded under `name`, and returns when it has succeeded.

    Raises StageError when it ends otherwise. SIGTERM and Ctrl-C cancel it.
    """
    job = record.jobs().get(name)
    if job is None or _status(client, job, wait).state in FAILED:
        job = submit_job()
        record.put(name, job)
    with _told_to_stop():
        try:
            state = _watch(job, client=client, report=report, wait=wait)
        except (KeyboardInterrupt, SystemExit):
            client.cancel(job)
            record.put(name, None)
            raise
    record.put(name, None)
    if state in FAILED:
        stage = name.split(maxsplit=1)[0]
        raise StageError(
            f"stage {stage}: Dataflow job {job.job_id} ended as {state}; its page in the console says why, "
            "the same command continues with a new job"
        )


def _watch(
    job: JobReference,
    *,
    client: JobClient,
    report: Callable[[JobStatus], None],
    wait: Callable[[float], object],
) -> str:
    while True:
        status = _status(client, job, wait)
        report(status)
        if status.state in SUCCEEDED | FAILED:
            return status.state
        wait(POLL_SECONDS)


def _status(client: JobClient, job: JobReference, wait: Callable[[float], object]) -> JobStatus:
    """The next answer of the service; an answer that fails to come is asked for again, for a while."""
    for _ in range(MAX_FAILED_POLLS - 1):
        try:
            return client.status(job)
        except Exception:  # the client's own retries are over; the job itself goes on
            wait(POLL_SECONDS)
    return client.status(job)


@contextmanager
def _told_to_stop() -> Iterator[None]:
    """SIGTERM ends the block by SystemExit, as Ctrl-C does by KeyboardInterrupt; only the main thread is told.

    SIGHUP ends the process and leaves the job: whoever started it has gone. Where both come, because a whole group was
    told to stop and the starter was faster, SIGTERM counts. After it neither disturbs what the block has to tidy up.
    Under `nohup` SIGHUP stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    told = threading.Event()

    def stop(*_: object) -> None:
        told.set()
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + signal.SIGTERM)

    def leave() -> None:
        if not told.wait(HANGUP_SECONDS):
            remove_scratch()
            os._exit(128 + signal.SIGHUP)

    def hang_up(*_: object) -> None:  # not by waiting here: of two signals Python handles one after the other
        threading.Thread(target=leave, daemon=True).start()

    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    before = {
        signal.SIGTERM: signal.signal(signal.SIGTERM, stop),
        signal.SIGHUP: signal.signal(signal.SIGHUP, signal.SIG_IGN if ignored else hang_up),
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class DataflowClient:
    """The service itself, through its own client; credentials are those of the environment."""

    def __init__(self) -> None:
        try:
            from google.cloud import dataflow_v1beta3  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise MissingPartError(
                "--runner dataflow: Google's clients are not installed; `make setup EXTRAS=gcp` brings them"
            ) from error
        self._api = dataflow_v1beta3
        self._jobs = dataflow_v1beta3.JobsV1Beta3Client()
        self._metrics = dataflow_v1beta3.MetricsV1Beta3Client()

    def status(self, job: JobReference) -> JobStatus:
        """State and metrics of a job."""
        place = {"project_id": job.project, "location": job.region, "job_id": job.job_id}
        state = self._jobs.get_job(self._api.GetJobRequest(**place)).current_state.name
        found = self._metrics.get_job_metrics(self._api.GetJobMetricsRequest(**place)).metrics
        return JobStatus(state, single_numbers((each.name.name, each.scalar) for each in found))

    def cancel(self, job: JobReference) -> None:
        """Requests the state CANCELLED."""
        wanted = self._api.Job(requested_state=self._api.JobState.JOB_STATE_CANCELLED)
        place = {"project_id": job.project, "location": job.region, "job_id": job.job_id}
        self._jobs.update_job(self._api.UpdateJobRequest(**place, job=wanted))


SHOWN_METRICS = ("CurrentVcpuCount", "TotalVcpuTime", "TotalMemoryUsage", "TotalShuffleDataProcessed")


def single_numbers(metrics: Iterable[tuple[str, Any]]) -> dict[str, float]:
    """Those of the service's metrics that are worth showing and are one number."""
    return {name: float(value) for name, value in metrics if name in SHOWN_METRICS and isinstance(value, int | float)}
