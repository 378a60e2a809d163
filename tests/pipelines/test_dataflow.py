"""Jobs on Dataflow, against a service that answers by a script."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from ctllm.pipelines import dataflow, jobs
from ctllm.pipelines.curate import curate
from ctllm.pipelines.dataflow import (
    MAX_FAILED_POLLS,
    JobRecord,
    JobReference,
    JobStatus,
    run_remotely,
    single_numbers,
)
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import OutputError, StageError
from ctllm.schemas.progress import ProgressEvent

Step = str | Exception | Callable[[], None]


@dataclass
class ScriptedService:
    """Answers each question for a job with its next state; an exception is raised, a function is called first."""

    script: list[Step]
    cancelled: list[str] = field(default_factory=list)
    submitted: int = 0

    def submit(self) -> JobReference:
        """A new job."""
        self.submitted += 1
        return JobReference("project", "region", f"job-{self.submitted}")

    def status(self, job: JobReference) -> JobStatus:
        """The next answer."""
        assert job.project == "project"
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        if callable(step):
            step()
            return self.status(job)
        return JobStatus(f"JOB_STATE_{step}", {"TotalVcpuTime": 3600.0})

    def cancel(self, job: JobReference) -> None:
        """Notes it."""
        self.cancelled.append(job.job_id)


def run(service: ScriptedService, record: Path, *, seen: list[str] | None = None) -> None:
    """One job named measure."""
    run_remotely(
        "measure",
        service.submit,
        client=service,
        record=JobRecord(str(record)),
        report=lambda status: (seen if seen is not None else []).append(status.state.removeprefix("JOB_STATE_")),
        wait=lambda _seconds: None,
    )


class KilledError(BaseException):
    """None that a handler of ours would catch."""


def killed() -> None:
    """What a SIGKILL leaves undone: everything after this moment."""
    raise KilledError


def interrupted() -> None:
    """Ctrl-C."""
    raise KeyboardInterrupt


def test_a_job_is_submitted_watched_and_forgotten(tmp_path: Path) -> None:
    """Every state is reported, also unknown ones; at the end nothing is under way."""
    service, seen = ScriptedService(["QUEUED", "PENDING", "RUNNING", "RESOURCE_CLEANING_UP", "DONE"]), []
    run(service, tmp_path / "jobs.json", seen=seen)
    assert seen == ["QUEUED", "PENDING", "RUNNING", "RESOURCE_CLEANING_UP", "DONE"]
    assert (service.submitted, service.cancelled) == (1, [])
    assert JobRecord(str(tmp_path / "jobs.json")).jobs() == {}


@pytest.mark.parametrize("ending", [["RUNNING", "RUNNING", "DONE"], ["DONE", "DONE"]])
def test_a_killed_process_leaves_its_job_and_the_next_attaches(tmp_path: Path, ending: list[Step]) -> None:
    """Whether the job still runs or ended in the meantime, it is not submitted again."""
    service = ScriptedService(["RUNNING", killed, *ending])
    with pytest.raises(KilledError):
        run(service, tmp_path / "jobs.json")
    assert JobRecord(str(tmp_path / "jobs.json")).jobs()["measure"].job_id == "job-1"
    run(service, tmp_path / "jobs.json")
    assert (service.submitted, service.cancelled, service.script) == (1, [], [])


def test_a_job_that_failed_in_the_meantime_is_submitted_again(tmp_path: Path) -> None:
    """A recorded job that failed or was cancelled in the console does not stand in the way."""
    service = ScriptedService(["RUNNING", killed, "CANCELLED", "RUNNING", "DONE"])
    with pytest.raises(KilledError):
        run(service, tmp_path / "jobs.json")
    run(service, tmp_path / "jobs.json")
    assert service.submitted == 2


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED", "DRAINED", "UPDATED"])
def test_any_other_end_is_an_error_that_names_the_job(tmp_path: Path, state: str) -> None:
    """And the record is free for the next attempt."""
    with pytest.raises(StageError, match=f"stage measure: Dataflow job job-1 ended as JOB_STATE_{state}"):
        run(ScriptedService(["RUNNING", state]), tmp_path / "jobs.json")
    assert JobRecord(str(tmp_path / "jobs.json")).jobs() == {}


@pytest.mark.parametrize(
    ("stop", "raised"),
    [(interrupted, KeyboardInterrupt), (lambda: os.kill(os.getpid(), signal.SIGTERM), SystemExit)],
)
def test_a_stop_cancels_the_job(tmp_path: Path, stop: Callable[[], None], raised: type[BaseException]) -> None:
    """Ctrl-C, and the SIGTERM of an orchestrator; the handlers of before are back afterwards."""
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]
    service = ScriptedService(["RUNNING", stop, "RUNNING", "DONE"])
    with pytest.raises(raised):
        run(service, tmp_path / "jobs.json")
    assert service.cancelled == ["job-1"]
    assert JobRecord(str(tmp_path / "jobs.json")).jobs() == {}
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)] == before


def test_a_second_signal_does_not_disturb_the_cancelling(tmp_path: Path) -> None:
    """An orchestrator tells the group and then each process; a terminal that closes sends SIGHUP besides."""

    class Impatient(ScriptedService):
        def cancel(self, job: JobReference) -> None:
            for number in (signal.SIGTERM, signal.SIGHUP):
                os.kill(os.getpid(), number)
            super().cancel(job)

    service = Impatient(["RUNNING", lambda: os.kill(os.getpid(), signal.SIGTERM), "RUNNING", "DONE"])
    with pytest.raises(SystemExit):
        run(service, tmp_path / "jobs.json")
    assert service.cancelled == ["job-1"]


def test_under_nohup_a_closed_terminal_ends_nothing(tmp_path: Path) -> None:
    """What is ignored when the command begins stays ignored."""
    seen: list[object] = []
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        run(ScriptedService([lambda: seen.append(signal.getsignal(signal.SIGHUP)), "DONE"]), tmp_path / "jobs.json")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert seen == [signal.SIG_IGN]


def test_silence_of_the_service_is_not_the_end_of_the_job(tmp_path: Path) -> None:
    """Answers that fail to come are asked for again; in the end the error is the service's, and the job is kept."""
    silence: Sequence[Step] = [ConnectionError("503")] * (MAX_FAILED_POLLS - 1)
    run(ScriptedService([*silence, "RUNNING", "DONE"]), tmp_path / "jobs.json")
    service = ScriptedService([*silence, ConnectionError("503")])
    with pytest.raises(ConnectionError):
        run(service, tmp_path / "jobs.json")
    assert service.cancelled == []
    assert JobRecord(str(tmp_path / "jobs.json")).jobs()["measure"].job_id == "job-1"


def test_metrics_are_those_that_say_something() -> None:
    """Single numbers of the service, not distributions, not the hundred counters of each step."""
    found = single_numbers([("TotalVcpuTime", 7200), ("TotalVcpuTime_x", 1), ("CurrentVcpuCount", {"max": 3})])
    assert found == {"TotalVcpuTime": 7200.0}


def test_a_stage_goes_to_the_service_with_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run_job` submits under the stage's name, shows state and metrics, and notes the job in the run directory."""
    service = ScriptedService(["RUNNING", "DONE"])
    names: list[str] = []
    events: list[ProgressEvent] = []

    def submit(_build: Any, *, options: Any, name: str) -> JobReference:  # noqa: ARG001
        names.append(name)
        return service.submit()

    monkeypatch.setattr(jobs, "submit", submit)
    monkeypatch.setattr(jobs, "DataflowClient", lambda: service)
    monkeypatch.setattr(dataflow, "POLL_SECONDS", 0.0)
    options = RunnerOptions("dataflow", 1).recorded_in(str(tmp_path))
    run_job("measure", lambda _: None, options=options, watch=str(tmp_path / "documents"), progress=events.append)
    assert names == [f"measure {tmp_path / 'documents'}"]
    assert [event.message for event in events if event.message] == [
        "JOB_STATE_RUNNING  TotalVcpuTime 3600",
        "JOB_STATE_DONE  TotalVcpuTime 3600",
    ]
    assert json.loads((tmp_path / "jobs.json").read_text()) == {}


def test_jobs_of_a_stage_have_names_that_the_service_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower case, digits, hyphens; two rounds of a stage differ, the same round does not."""
    names: list[str] = []

    class Submitted:
        def job_id(self) -> str:
            return "1"

    def run_pipeline(pipeline: beam.Pipeline) -> Submitted:
        names.append(pipeline.options.get_all_options()["job_name"])
        return Submitted()

    monkeypatch.setattr(beam.Pipeline, "run", run_pipeline)
    for round_path in ("gs://a/1", "gs://a/2", "gs://a/1"):
        options = RunnerOptions("direct", 1, ("--project=project", "--region=r")).pipeline_options()
        dataflow.submit(lambda p: p | beam.Create([1]), options=options, name=f"components {round_path}")
    assert names[0] == names[2] != names[1]
    assert all(name.startswith("ctllm-components-") and name.replace("-", "").isalnum() for name in names)


def test_a_run_with_jobs_under_way_is_not_begun_afresh(tmp_path: Path) -> None:
    """They would go on writing into what `--fresh` deletes."""
    JobRecord(str(tmp_path / "jobs.json")).put("measure", JobReference("project", "region", "2026-x"))
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n', encoding="utf-8")
    with pytest.raises(OutputError, match=r"under way on Dataflow \(2026-x\)"):
        curate(
            CurationConfig(),
            inputs=[str(tmp_path / "in.jsonl")],
            out=str(tmp_path),
            options=RunnerOptions(workers=1),
            fresh=True,
        )
