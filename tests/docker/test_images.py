"""Images and compose file, as far as they can be checked without an engine; `hadolint` runs in `make check`."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctllm.flows.local_server import SERVER_SETTINGS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONLY_FOR_PEOPLE = {"PREFECT_CLI_PROMPT", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"}  # no server of their own


def test_workers_have_the_submitters_beam() -> None:
    """A Beam worker of another version, or of a Python that we do not support, would refuse the job."""
    arguments = dict(re.findall(r"^ARG (\w+)=(.+)$", DOCKERFILE, re.MULTILINE))
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert f"apache-beam=={arguments['BEAM_VERSION']}\n" in lock
    assert f'requires-python = ">={arguments["PYTHON_VERSION"]},' in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )


def test_workers_run_in_our_environment() -> None:
    """Beam's `boot` would else make one of its own, which sees what the system's Python has and not what ours has."""
    worker = DOCKERFILE.split("AS beam-worker")[1].split("FROM")[0]
    assert "ENV RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1" in worker


def test_the_template_is_launched_and_run_by_one_image(tmp_path: Path) -> None:
    """Google's launcher, for our Python, starts our main program; the entry point stays the worker's."""
    arguments = dict(re.findall(r"^ARG (\w+)=(.+)$", DOCKERFILE, re.MULTILINE))
    assert f"/python{arguments['PYTHON_VERSION'].replace('.', '')}-template-launcher-base:" in arguments["LAUNCHER"]
    (template,) = re.findall(r"^FROM beam-worker AS flex-template\n(.+)", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert "ENTRYPOINT" not in template
    ((program, path),) = re.findall(r"echo '(.+)' > (\S+)$", template, re.MULTILINE)
    assert f"ENV FLEX_TEMPLATE_PYTHON_PY_FILE={path}\n" in template
    (tmp_path / "main.py").write_text(program, encoding="utf-8")
    command = [sys.executable, str(tmp_path / "main.py"), "--help"]
    assert "--inputs" in subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_build_context_holds_what_the_image_installs() -> None:
    """Every package and data folder goes into the context; tests, data and secrets do not."""
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[0] == "!"}
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = set(re.findall(r'^    "ctllm\.(\w+)', project, re.MULTILINE)) - {"cli"}
    assert packages <= allowed
    assert not allowed & {"tests", "docker", ".env", "runs", ".git"}


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_ports_are_open_on_this_machine_only(service: str) -> None:
    """Nothing listens on an address that others reach."""
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service].get("ports", []))


def test_no_secret_stands_in_the_file() -> None:
    """Passwords come from docker/.env, and compose stops when one is missing."""
    settings = [pair for each in SERVICES.values() for pair in each.get("environment", {}).items()]
    secret = [value for name, value in settings if re.search("PASSWORD|AUTH|TOKEN", name)]
    assert len(secret) == 5
    assert all(re.fullmatch(r"\$\{\w+:\?fill in docker/\.env\}", value) for value in secret)
    example = (ROOT / "docker" / ".env.example").read_text(encoding="utf-8")
    assert re.findall(r"^(\w+)=$", example, re.MULTILINE) == ["POSTGRES_PASSWORD", "PREFECT_AUTH", "DASHBOARD_TOKEN"]


def test_the_server_is_set_up_as_on_one_machine() -> None:
    """Calls nobody, keeps slots over a restart, vacuums: the settings of `ctllm up`."""
    wanted = {name: value for name, value in SERVER_SETTINGS.items() if name not in ONLY_FOR_PEOPLE}
    assert wanted.items() <= SERVICES["server"]["environment"].items()


def test_services_wait_for_each_other() -> None:
    """Database, server, deployments, worker: each starts when the one before it is ready."""
    waits = {name: each.get("depends_on", {}) for name, each in SERVICES.items()}
    assert waits == {
        "database": {},
        "server": {"database": {"condition": "service_healthy"}},
        "deploy": {"server": {"condition": "service_healthy"}},
        "worker": {"deploy": {"condition": "service_completed_successfully"}},
        "dashboard": {},
    }
    assert all("healthcheck" in SERVICES[name] for name in ("database", "server", "dashboard"))


def test_the_dashboard_only_reads() -> None:
    """It sees the data without being able to change it, and asks itself on its own machine whether it is well."""
    service = SERVICES["dashboard"]
    assert [each.rpartition(":")[2] for each in service["volumes"]] == ["ro"]
    assert "http://127.0.0.1:8050/api/health" in service["healthcheck"]["test"][-1]
    assert service["command"][:2] == ["dashboard", "/data"]
