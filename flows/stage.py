"""One stage inside a flow: child process, throttled logs and progress, artefacts on the run page.

Every stage command skips what is finished and continues what is not, so a retried or re-run flow repeats nothing.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from prefect import get_run_logger, task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import NO_CACHE
from prefect.concurrency import _leases
from prefect.concurrency.sync import concurrency
from prefect.exceptions import PrefectException
from prefect.settings import get_current_settings

from ctllm.flows.artifacts import show_result
from ctllm.flows.background import wait_until
from ctllm.flows.commands import TRAINER_LIMIT, Step
from ctllm.flows.launch import ctllm_command, supervise
from ctllm.schemas.data_version import parse_reference
from ctllm.schemas.registry import Registry

LOG_SECONDS = 5.0  # 20,000 forwarded lines make 22 MB of database
PROGRESS_SECONDS = 15.0  # every update is an API call and an event
LEASE_SECONDS = 180.0  # a killed flow blocks the next trainer this long; a restart of the server took 15 to 100 s
RENEWAL_SHARE = 1 / 12  # of the lease: at whatever moment the server goes, 165 s of it are left
SERVER_PATIENCE_S = 900.0  # chosen: a restart with a migration on a busy machine took 100 s
DEFAULT_LOGS = "runs/logs"
CHILD_ENVIRONMENT = {"NO_COLOR": "1", "COLUMNS": "140"}


def run_step(step: Step, *, logs: str | None = None) -> str:
    """Runs the step, shows its result on the run page and gives its output path. A trainer waits for the trainer slot.

    All lines of the command go to `<logs>/<step>.log`, by default in a directory `logs` beside the output.
    """
    place = place_of(step.out)
    with _trainer_slot() if step.is_trainer else nullcontext():
        run_command(step, log=_log_file(step, logs or logs_beside(place)))
        wait_for_server(timeout_s=SERVER_PATIENCE_S)
    show_result(replace(step, out=place))
    return step.out


def wait_for_server(*, timeout_s: float) -> None:
    """Waits while the server is away, so that a restart does not fail a stage that has just ended well.

    Prefect's clients give up at once when they meet nobody the first time, and every artefact has a client of its own.
    """
    url = get_current_settings().api.url

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/health", timeout=20).is_success
        except httpx.HTTPError:
            return False

    if url and not wait_until(answers, timeout_s=timeout_s):
        get_run_logger().warning("the server is away since %g s; what this stage made is whole", timeout_s)


def place_of(out: str) -> str:
    """The directory that a step writes: where the registry puts a `name@version`, else `out` itself."""
    return Registry.default().place_of(out) if parse_reference(out) else out


@task(task_run_name="ctllm {step.name}", cache_policy=NO_CACHE)
def run_command(step: Step, *, log: str) -> None:
    """Runs the step's command as a supervised child.

    Call it directly, not with `.submit()`: only the flow's main thread is told of a cancel.
    """
    supervise(
        ctllm_command(step.arguments),
        log=Path(log),
        on_line=_throttled_logger(),
        on_progress=_progress_reporter(step.name),
        environment=CHILD_ENVIRONMENT,
    )


def logs_beside(out: str) -> str:
    """Where logs lie by default: beside `out`, whose manifest lists every file in it; a local directory for a URL."""
    return DEFAULT_LOGS if "://" in out else str(Path(out).parent / "logs")


def _log_file(step: Step, logs: str) -> str:
    return str(Path(logs) / f"{step.name.replace(' ', '-')}.log")


def _trainer_slot() -> AbstractContextManager[None]:
    """The slot of the one trainer that may run; strict: without the limit an error, not unlimited.

    Prefect renews at three quarters of a lease, and whose lease ends while the server is away loses the slot and stops.
    """
    _leases._RENEWAL_FRACTION = RENEWAL_SHARE  # Prefect has no setting for it
    return concurrency(TRAINER_LIMIT, occupy=1, lease_duration=LEASE_SECONDS, strict=True)


def _throttled_logger() -> Callable[[str], None]:
    """Sends warnings and errors to the run's log, of other lines one every few seconds."""
    logger = get_run_logger()
    logged_at = -LOG_SECONDS

    def log(line: str) -> None:
        nonlocal logged_at
        if re.search(r"\b(error|warning)\b", line, re.IGNORECASE):
            logger.warning(line)
        elif time.monotonic() - logged_at >= LOG_SECONDS:
            logged_at = time.monotonic()
            logger.info(line)

    return log


def _progress_reporter(name: str) -> Callable[[Mapping[str, Any]], None]:
    """Keeps one progress artefact per stage of the command; a server out of reach costs updates, not the run."""
    logger = get_run_logger()
    bars: dict[str, _ProgressBar] = {}

    def report(event: Mapping[str, Any]) -> None:
        stage = str(event["stage"])
        bar = bars.setdefault(stage, _ProgressBar(_artifact_key(name, stage)))
        try:
            if bar.update(event):
                logger.info(describe(event))
        except (httpx.HTTPError, PrefectException) as error:
            logger.warning("progress of %s was not shown: %s", stage, error)

    return report


class _ProgressBar:
    """A progress artefact, created at its first event and updated at most every fifteen seconds."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._artifact: Any = None
        self._percent = 0.0
        self._updated_at = 0.0

    def update(self, event: Mapping[str, Any]) -> bool:
        """Whether the event was shown."""
        total = float(event.get("total") or 0)
        if not total:
            return False
        percent = min(100.0, 100.0 * float(event.get("done") or 0) / total)
        is_new_end = percent >= 100.0 > self._percent
        if self._artifact and not is_new_end and time.monotonic() - self._updated_at < PROGRESS_SECONDS:
            return False
        self._percent, self._updated_at = percent, time.monotonic()
        if self._artifact is None:
            self._artifact = create_progress_artifact(progress=percent, key=self._key, description=describe(event))
        else:
            update_progress_artifact(artifact_id=self._artifact, progress=percent, description=describe(event))
        return True


def describe(event: Mapping[str, Any]) -> str:
    """An event in one line: `pretrain: 30 of 200 steps, loss 4.21, tokens_per_s 5200`."""
    known = {"stage", "done", "total", "unit", "message"}
    values = [f"{name} {value:.4g}" for name, value in event.items() if name not in known]
    head = f"{event['stage']}: {event.get('done')} of {event.get('total')} {event.get('unit', '')}".rstrip()
    return ", ".join([head, *values, *([str(event["message"])] if event.get("message") else [])])


def _artifact_key(*parts: str) -> str:
    """A key as Prefect allows it: lower-case letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", "-".join(("progress", *parts)).lower()).strip("-")
