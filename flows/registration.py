"""What a Prefect server must know before it can run us: pool, trainer slot, deployments, and when a run is lost."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

import ctllm
from ctllm.flows.commands import TRAINER_LIMIT
from ctllm.flows.pools import LOCAL_POOL, PoolType, base_job_template, moved_deployments
from ctllm.schemas.errors import InputError, MissingPartError

POOL = LOCAL_POOL
DEPLOYMENTS = "prefect.yaml"
LOST_RUNS = "lost-runs"
LOST_AFTER_S = 600  # more than three heartbeats of 180 s, Prefect's default: two of them may go amiss
COMMAND_TIMEOUT_S = 600.0  # `prefect deploy --all`: 3-4 s a deployment on two busy cores, 20 s at a load of 20


def register(
    project: Path,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    pool: PoolType = "process",
    image: str | None = None,
) -> None:
    """Tells the server of `environment` (PREFECT_API_URL) what it needs; again changes nothing.

    `pool` other than process: the runs are containers of `image`. Raises MissingPartError with Prefect's last lines
    when the server cannot be reached or refuses.
    """
    name = POOL if pool == "process" else pool
    with tempfile.TemporaryDirectory() as directory:
        file, template = project / DEPLOYMENTS, []
        if pool != "process":
            file = Path(directory) / DEPLOYMENTS
            file.write_text(yaml.safe_dump(moved_deployments(project, pool, image=image)), encoding="utf-8")
            base = Path(directory) / "template.json"
            base.write_text(json.dumps(base_job_template(pool)), encoding="utf-8")
            template = ["--base-job-template", str(base)]
        _prefect(["work-pool", "create", name, "--type", pool, "--overwrite", *template], environment)
        limit, lost = [TRAINER_LIMIT, "--limit", "1"], ["--from-json", json.dumps(_lost_runs())]
        _create_once(["gcl", "inspect", TRAINER_LIMIT], ["gcl", "create", *limit], environment)
        _create_once(["automation", "inspect", LOST_RUNS], ["automation", "create", *lost], environment)
        say(f"pool `{name}`, concurrency limit `{TRAINER_LIMIT}` of 1, automation `{LOST_RUNS}`")
        _prefect(["--no-prompt", "deploy", "--all", "--prefect-file", str(file)], environment, directory=project)
    deployments = yaml.safe_load((project / DEPLOYMENTS).read_text(encoding="utf-8"))["deployments"]
    say(f"{len(deployments)} deployments from {project / DEPLOYMENTS}")


def find_project() -> Path:
    """The directory with prefect.yaml: the current one, else the source checkout. Raises InputError without one."""
    candidates = [Path.cwd(), Path(ctllm.__file__).resolve().parent.parent]
    for directory in candidates:
        if (directory / DEPLOYMENTS).is_file():
            return directory
    raise InputError(f"{Path.cwd()}: no {DEPLOYMENTS} here; run the command in a checkout of the repository")


def _lost_runs() -> dict[str, Any]:
    """The automation that ends a run whose machine or container went down: nobody else would, it would run for ever.

    Any change of state is a sign of life too: a run that waits for approval is suspended and has no process.
    """
    trigger = {
        "type": "event",
        "posture": "Proactive",
        "match": {"prefect.resource.id": "prefect.flow-run.*"},
        "for_each": ["prefect.resource.id"],
        "after": ["prefect.flow-run.heartbeat"],
        "expect": ["prefect.flow-run.*"],
        "threshold": 1,
        "within": LOST_AFTER_S,
    }
    message = f"nothing was heard of it for {LOST_AFTER_S} s: its machine or its container went down"
    action = {"type": "change-flow-run-state", "state": "CRASHED", "message": message}
    return {
        "name": LOST_RUNS,
        "description": "ends runs that are not heard of",
        "trigger": trigger,
        "actions": [action],
    }


def _create_once(inspect: list[str], create: list[str], environment: Mapping[str, str]) -> None:
    try:
        _prefect(inspect, environment)
    except MissingPartError:
        _prefect(create, environment)


def _prefect(arguments: list[str], environment: Mapping[str, str], *, directory: Path | None = None) -> None:
    """Runs `prefect <arguments>`; MissingPartError with its last lines when it fails."""
    command = [sys.executable, "-m", "prefect", *arguments]
    try:
        done = subprocess.run(
            command,
            env=environment,
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise MissingPartError(f"`prefect {' '.join(arguments)}` did not end within {COMMAND_TIMEOUT_S:g} s") from error
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).splitlines()
        is_traceback = any(line.startswith("Traceback") for line in lines)  # its last line says what happened
        tail = "\n".join(lines[-1:] if is_traceback else lines[-15:])
        raise MissingPartError(f"`prefect {' '.join(arguments)}` ended with exit code {done.returncode}\n{tail}")
