"""The local Prefect server: its settings, and what it refuses before anything starts."""

import os
import socket
from pathlib import Path

import pytest

from ctllm.flows import local_server
from ctllm.flows.background import Background, stop_all
from ctllm.flows.local_server import LocalServer, default_home, running_server, start, stop
from ctllm.schemas.errors import ConfigError, MissingPartError


def test_environment_is_ours_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings of another Prefect do not leak in, and nothing is sent anywhere."""
    monkeypatch.setenv("PREFECT_API_KEY", "of somebody's cloud")
    monkeypatch.setenv("NO_PROXY", "internal")
    environment = LocalServer(tmp_path, port=4299).environment(Path("/project"))
    assert "PREFECT_API_KEY" not in environment
    assert environment["PREFECT_API_URL"] == "http://127.0.0.1:4299/api"
    assert environment["PREFECT_HOME"] == str(tmp_path / "prefect")
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["DO_NOT_TRACK"] == "1"
    assert environment["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"].endswith("lease_storage.filesystem")
    assert environment["NO_PROXY"] == "internal,127.0.0.1"
    assert environment["PWD"] == "/project"


def test_taken_port_is_refused(tmp_path: Path) -> None:
    """A port that another program listens on is named, and no process is left."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"--port {port}: .*choose another"):
            start(LocalServer(tmp_path, port=port), say=print)
    assert running_server(tmp_path) is None


def test_a_start_that_takes_long_is_told_from_one_that_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A server that has not answered yet but runs is waited for by the next `ctllm up`."""
    monkeypatch.setattr(local_server, "HEALTH_TIMEOUT_S", 0.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    try:
        with pytest.raises(MissingPartError, match=r"still starting after 0 s .*`ctllm up` waits on"):
            start(LocalServer(tmp_path, port=port), say=print)
        assert running_server(tmp_path) == LocalServer(tmp_path, port=port)
    finally:
        stop_all(tmp_path, in_order=[Background(tmp_path, "server")])


def test_nobody_answers(tmp_path: Path) -> None:
    """A server that is not there is not healthy, and stopping it stops nothing."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert not LocalServer(tmp_path, port=free.getsockname()[1]).is_healthy()
    assert stop(tmp_path) == []


def test_home_is_here_or_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything lies in `.ctllm` of the current directory, or where CTLLM_HOME says."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CTLLM_HOME", raising=False)
    assert default_home() == tmp_path / ".ctllm"
    monkeypatch.setenv("CTLLM_HOME", "elsewhere")
    assert default_home() == tmp_path / "elsewhere"


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_stopping_leaves_no_run_alive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A run whose process is gone does not look alive after `ctllm down`; one that has not begun is left to begin."""
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL
    from prefect.states import Running, Scheduled

    @flow
    def anything() -> None:
        """Never called: only its runs are looked at."""

    monkeypatch.setattr(local_server, "CANCEL_TIMEOUT_S", 0.2)
    server = LocalServer(tmp_path, port=int(PREFECT_API_URL.value().split(":")[2].partition("/")[0]))
    with get_client(sync_client=True) as client:
        runs = [client.create_flow_run(anything, state=state).id for state in (Running(), Scheduled())]
        local_server.cancel_runs(server)
        states = [client.read_flow_run(run).state_name for run in runs]
    assert states == ["Cancelled", "Scheduled"]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_lost_machine_leaves_no_run_alive(tmp_path: Path) -> None:
    """A run of our pool without a process is marked as crashed; one with a process, or elsewhere, is not."""
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolCreate
    from prefect.settings import PREFECT_API_URL
    from prefect.states import Running

    @flow
    def anything() -> None:
        """Never called: only its runs are looked at."""

    server = LocalServer(tmp_path, port=int(PREFECT_API_URL.value().split(":")[2].partition("/")[0]))
    with get_client(sync_client=True) as client:
        names = (local_server.POOL, local_server.POOL, "elsewhere")
        for pool in set(names):
            client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        flow_id = client.create_flow(anything)
        runs = []
        for number, pool in enumerate(names):
            deployment = client.create_deployment(flow_id, f"lost-{number}", work_pool_name=pool)
            runs.append(client.create_flow_run_from_deployment(deployment, state=Running()))
        alive = Background(tmp_path, "run")
        environment = {**os.environ, local_server.RUN_ID: str(runs[1].id)}
        alive.start(["sleep", "60"], environment=environment, directory=tmp_path)
        assert local_server.end_lost_runs(server) == [runs[0].name]
        states = [client.read_flow_run(run.id).state_name for run in runs]
        for pool in set(names):
            client.delete_work_pool(pool)
    stop_all(tmp_path, in_order=[alive])
    assert states == ["Crashed", "Running", "Running"]
