"""The commands setup, doctor, up and down."""

import re
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from ctllm.cli import operations
from ctllm.cli.inspection import Finding
from ctllm.schemas.errors import ConfigError, MissingPartError

PARTS = ["python", "readers", "fasttext", "numba", "runner: direct", "runner: flink", "torch", "prefect server"]


@pytest.fixture
def app() -> typer.Typer:
    """The commands of this module alone."""
    app = typer.Typer()
    operations.register(app)
    return app


def test_doctor_lists_every_part(app: typer.Typer) -> None:
    """Doctor shows every part with a state, and is content where all tests run."""
    result = CliRunner().invoke(app, ["doctor"], terminal_width=200)
    assert result.exception is None
    for part in PARTS:
        assert re.search(rf"{part}.*(ok|optional)", result.output), part


def test_doctor_fails_when_a_part_is_missing(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing part is an error of its own exit code; an optional one is not."""
    findings = [Finding("torch", "missing", "run `make setup`"), Finding("java", "optional", "no java")]
    monkeypatch.setattr("ctllm.cli.inspection.inspect_all", lambda: findings)
    result = CliRunner().invoke(app, ["doctor"])
    assert isinstance(result.exception, MissingPartError)
    assert str(result.exception).startswith("missing: torch;")


def test_down_without_up(app: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Stopping when nothing runs says so and is no error."""
    monkeypatch.setenv("CTLLM_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(app, ["down"])
    assert result.exception is None
    assert "nothing was running" in result.output


def test_up_outside_the_range(app: typer.Typer) -> None:
    """A port that cannot be is a usage error before anything starts."""
    assert CliRunner().invoke(app, ["up", "--port", "70000"]).exit_code == 2


def test_deploy_asks_for_the_server(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address nothing is deployed, least of all to somebody's cloud."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    result = CliRunner().invoke(app, ["deploy"])
    assert isinstance(result.exception, ConfigError)
    assert "PREFECT_API_URL: not set" in str(result.exception)


def test_setup_names_the_model(app: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Setup takes a model that the user has already, and refuses a path where there is none."""
    model = tmp_path / "lid.176.ftz"
    monkeypatch.setenv("CTLLM_LID_MODEL", str(model))
    assert isinstance(CliRunner().invoke(app, ["setup", "--no-kernels"]).exception, MissingPartError)
    model.touch()
    assert "lid.176.ftz" in CliRunner().invoke(app, ["setup", "--no-kernels"]).output


def test_up_refuses_a_taken_port(app: typer.Typer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A taken port ends in one sentence that names the option."""
    import socket

    monkeypatch.setenv("CTLLM_HOME", str(tmp_path / "home"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        result = CliRunner().invoke(app, ["up", "--port", str(other.getsockname()[1])])
    assert isinstance(result.exception, ConfigError)
