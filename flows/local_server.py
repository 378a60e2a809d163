"""A Prefect server on SQLite with one worker, for one machine: everything it writes lies below one home directory.

With these settings the server calls nobody, the page asks the API where it came from, and concurrency slots survive a
restart of the server.
"""

import json
import os
import socket
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctllm.flows.background import Background, marked_values, stop_all, wait_until
from ctllm.flows.registration import POOL, find_project, register
from ctllm.schemas.errors import ConfigError, MissingPartError
from ctllm.schemas.files import read_json, write_json

HOST = "127.0.0.1"
DEFAULT_PORT = 4200  # Prefect's own
HEALTH_TIMEOUT_S = 180.0  # the first start migrates the database: 12-31 s on two idle cores
ANSWER_TIMEOUT_S = 20.0  # on a machine with ten times the load that it can bear, 5 s were not enough
CANCEL_TIMEOUT_S = 45.0  # Prefect's runner asks for cancels every 10 s and kills after another 30 s

RUN_ID = "PREFECT__FLOW_RUN_ID"  # in the environment of a run's process

SERVER_SETTINGS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_UI_API_URL": "/api",  # else the page asks port 4200 whatever --port says
    "PREFECT_SERVER_UI_V2_ENABLED": "false",  # version 2 fetches a remote config from an analytics vendor on every page
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    "PREFECT_CLI_PROMPT": "false",
}


@dataclass(frozen=True)
class LocalServer:
    """Where a server listens and keeps its files."""

    home: Path
    port: int = DEFAULT_PORT

    @property
    def url(self) -> str:
        """Address of the pages."""
        return f"http://{HOST}:{self.port}"

    @property
    def api_url(self) -> str:
        """Address of the API, what PREFECT_API_URL wants."""
        return f"{self.url}/api"

    def environment(self, project: Path) -> dict[str, str]:
        """The environment of the current process with our Prefect settings in place of any others."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        without_proxy = ",".join(filter(None, [os.environ.get("NO_PROXY", ""), HOST]))
        ours = {"PREFECT_HOME": str(self.home / "prefect"), "PREFECT_API_URL": self.api_url, "PWD": str(project)}
        return {**kept, **SERVER_SETTINGS, **ours, "NO_PROXY": without_proxy, "no_proxy": without_proxy}

    def is_healthy(self) -> bool:
        """Whether the API answers."""
        return self.ask("GET", "/health") is True

    def ask(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - whatever JSON can hold
        """The API's answer; None when nobody answers or it refuses."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.api_url + path, data=data, headers=headers, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_TIMEOUT_S) as answer:
                return json.loads(answer.read())
        except (OSError, ValueError):  # urllib's errors are OSErrors
            return None


def default_home() -> Path:
    """CTLLM_HOME, else `.ctllm` in the current directory."""
    return Path(os.environ.get("CTLLM_HOME") or ".ctllm").resolve()


def running_server(home: Path) -> LocalServer | None:
    """The server that was started for `home`, if its process still runs."""
    if Background(home, "server").pid() is None:
        return None
    return LocalServer(home, port=int(read_json(str(home / "server.json"))["port"]))


def start(server: LocalServer, *, say: Callable[[str], None]) -> None:
    """Starts what does not run yet: server, pool, trainer limit, deployments, worker. Calling it again changes nothing.

    Raises ConfigError when the port is taken or the home's server runs on another one, MissingPartError when a part
    does not start.
    """
    project = find_project()
    environment = server.environment(project)
    _start_server(server, environment, say=say)
    register(project, environment=environment, say=say)
    if Background(server.home, "worker").pid() is None:
        for name in end_lost_runs(server):
            say(f"run {name} ended with its machine; start it again, it goes on where it was")
    _start_worker(server, environment, project=project)
    say(f"worker on pool `{POOL}`, working directory {project}")


def stop(home: Path) -> list[str]:
    """Cancels the running flows of `home`, then stops its worker and server; gives the names of what ran.

    Leaves no process and no run that looks alive. Runs that have not begun begin at the next start.
    """
    server = running_server(home)
    if server:
        cancel_runs(server)
    return stop_all(home, in_order=[Background(home, "worker"), Background(home, "server")])


def cancel_runs(server: LocalServer) -> None:
    """Cancels as the page does, so that trainers save; what nobody answers for is marked as cancelled."""
    live = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}}

    def live_runs() -> list[str]:
        return [run["id"] for run in server.ask("POST", "/flow_runs/filter", live) or []]

    def set_state(run: str, state: str, *, force: bool) -> None:
        server.ask("POST", f"/flow_runs/{run}/set_state", {"state": {"type": state}, "force": force})

    for run in live_runs():
        set_state(run, "CANCELLING", force=False)
    wait_until(lambda: not live_runs(), timeout_s=CANCEL_TIMEOUT_S)
    for run in live_runs():
        set_state(run, "CANCELLED", force=True)


def end_lost_runs(server: LocalServer) -> list[str]:
    """Marks as crashed the runs of our pool that look alive without a process; gives their names.

    After the machine went down nobody else does: Prefect would show them as running for ever. Only while no worker
    runs: one that has just taken a run has no process for it yet.
    """
    running = {"state": {"type": {"any_": ["RUNNING", "PENDING", "CANCELLING"]}}}
    pool = {"name": {"any_": [POOL]}}
    alive = marked_values(server.home, RUN_ID)
    found = server.ask("POST", "/flow_runs/filter", {"flow_runs": running, "work_pools": pool}) or []
    lost = [run for run in found if run["id"] not in alive]
    for run in lost:
        state = {"type": "CRASHED", "message": "its process ended with the machine or with its worker"}
        server.ask("POST", f"/flow_runs/{run['id']}/set_state", {"state": state, "force": True})
    return [run["name"] for run in lost]


def _start_server(server: LocalServer, environment: dict[str, str], *, say: Callable[[str], None]) -> None:
    running = running_server(server.home)
    if running and running.port != server.port:
        raise ConfigError(f"--port {server.port}: a server runs on port {running.port}; run `ctllm down` first")
    process = Background(server.home, "server")
    if not running:
        _refuse_taken_port(server.port)
        server.home.mkdir(parents=True, exist_ok=True)
        (server.home / ".gitignore").write_text("*\n")
        write_json(str(server.home / "server.json"), {"port": server.port})
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(server.port)]
        process.start(command, environment=environment, directory=server.home)
    wait_until(lambda: server.is_healthy() or process.pid() is None, timeout_s=HEALTH_TIMEOUT_S)
    if not server.is_healthy():
        raise MissingPartError(_not_there("server", process))
    say(f"server {server.url}{' (was running)' if running else ''}")


def _not_there(name: str, process: Background) -> str:
    """Why one of them does not answer: it has ended, or this machine is too busy for it to have started."""
    if process.pid() is None:
        return f"the Prefect {name} did not start; its log is {process.log}\n{process.tail()}"
    return f"the Prefect {name} is still starting after {HEALTH_TIMEOUT_S:.0f} s ({process.log}); `ctllm up` waits on"


def _refuse_taken_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port just given back is free
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ConfigError(f"--port {port}: cannot be used ({error.strerror}); choose another --port") from error


def _start_worker(server: LocalServer, environment: dict[str, str], *, project: Path) -> None:
    worker = Background(server.home, "worker")
    if worker.pid() is None:
        command = [
            sys.executable,
            "-m",
            "prefect",
            "worker",
            "start",
            "--pool",
            POOL,
            "--name",
            POOL,
            "--type",
            "process",
        ]
        worker.start(command, environment=environment, directory=project)

    def is_online() -> bool:
        workers = server.ask("POST", f"/work_pools/{POOL}/workers/filter", {}) or []
        return any(each["status"] == "ONLINE" for each in workers)

    wait_until(lambda: is_online() or worker.pid() is None, timeout_s=HEALTH_TIMEOUT_S)
    if worker.pid() is None or not is_online():
        raise MissingPartError(_not_there("worker", worker))
