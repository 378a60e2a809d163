"""The job server and the worker pool of portable runners on this machine."""

import socket
import sys
from pathlib import Path
from shutil import which

import apache_beam as beam
import pytest

from ctllm.pipelines import portable_services as module
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.portable_services import portable_services
from ctllm.schemas.errors import ConfigError, MissingPartError, StageError

JOB_SERVER = """#!{python} -u
import signal, sys, time
from apache_beam.runners.portability import local_job_service_main as server

def serve(words):
    print("JobService started on localhost:" + words.split()[-1].rstrip("."))
    time.sleep(1000)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve = serve
server.run(["--job_port=0"])
"""


def java_that_serves_jobs(folder: Path) -> Path:
    """A `java` that starts Beam's own job server instead of the jar's, and says so in the jar's words."""
    java = folder / "java"
    folder.mkdir(parents=True, exist_ok=True)
    java.write_text(JOB_SERVER.format(python=sys.executable), encoding="utf-8")
    java.chmod(0o755)
    return java


def listens(address: str) -> bool:
    """Whether somebody accepts connections there."""
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def values(options: RunnerOptions) -> dict[str, str]:
    """The Beam options by name."""
    return dict(each.removeprefix("--").split("=", 1) for each in options.beam_args)


@pytest.fixture
def jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty file where the jar of Beam's Flink runner should lie."""
    monkeypatch.setattr(module.JavaJarServer, "JAR_CACHE", str(tmp_path))
    return write_jar(module.flink_jars())


def write_jar(folder: Path) -> Path:
    """An empty file in the place of Beam's Flink runner."""
    folder.mkdir(parents=True)
    jar = folder / "beam-runners-flink-1.19-2.62.0.jar"
    jar.touch()
    return jar


def test_flink_without_a_master_gets_server_and_workers_until_the_end(
    jar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both answer inside, nothing is left afterwards, and the user's own options stay."""
    assert module.flink_runner_jar() == jar
    monkeypatch.setenv("PATH", str(java_that_serves_jobs(tmp_path / "bin").parent), prepend=":")
    with portable_services(RunnerOptions("flink", 2, ("--job_name=mine",))) as options:
        found = values(options)
        addresses = [found["job_endpoint"], found["environment_config"]]
        assert (found["job_name"], found["environment_type"]) == ("mine", "EXTERNAL")
        assert all(map(listens, addresses))
        assert options.pipeline_options().get_all_options()["sdk_worker_parallelism"] == "2"
    assert not any(map(listens, addresses))


def test_processes_are_those_of_a_pool() -> None:
    """The pool listens when it is asked for; without one a job says what is missing."""
    with portable_services(RunnerOptions("processes", 2)) as options:
        assert options.beam_args == ()
        assert options.worker_pool is not None
        assert listens(options.worker_pool())
    assert not listens(options.worker_pool())
    with pytest.raises(ConfigError, match="--runner processes: no workers"):
        run_job("pairs", lambda pipeline: pipeline | beam.Create([1]), options=RunnerOptions("processes"))


def test_a_job_server_of_the_users_gets_workers_only() -> None:
    """With `--job_endpoint` no server is started."""
    with portable_services(RunnerOptions("portable", 1, ("--job_endpoint=localhost:1",))) as options:
        found = values(options)
        assert found["job_endpoint"] == "localhost:1"
        assert listens(found["environment_config"])


@pytest.mark.parametrize(
    "options",
    [
        RunnerOptions("direct"),
        RunnerOptions("dataflow"),
        RunnerOptions("flink", beam_args=("--flink_master=cluster:8081", "--environment_type=DOCKER")),
        RunnerOptions("portable", beam_args=("--job_endpoint=localhost:1", "--environment_type=LOOPBACK")),
    ],
)
def test_nothing_is_started_where_the_options_name_it_all(options: RunnerOptions) -> None:
    """The direct runner and Dataflow need no service; a named master and workers from elsewhere are the user's."""
    with portable_services(options) as same:
        assert same == options


def test_missing_parts_are_named_with_their_way_out(jar: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Java, no jar, no job server: one sentence each, before any work."""
    monkeypatch.setattr(module.shutil, "which", lambda _name: "/usr/bin/java")
    jar.unlink()
    with pytest.raises(MissingPartError, match="`make flink` fetches it"), portable_services(RunnerOptions("flink")):
        pass
    monkeypatch.setattr(module.shutil, "which", lambda _name: None)
    with pytest.raises(MissingPartError, match="no `java` in PATH"), portable_services(RunnerOptions("flink")):
        pass
    with pytest.raises(ConfigError, match="--job_endpoint=HOST:PORT"), portable_services(RunnerOptions("portable")):
        pass


def test_a_server_that_does_not_start_says_why(jar: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last lines of what it printed are in the error."""
    assert jar.is_file()
    java = java_that_serves_jobs(tmp_path / "bin")
    java.write_text("#!/bin/sh\necho Unsupported class file major version 65\nexit 1\n", encoding="utf-8")
    monkeypatch.setenv("PATH", str(java.parent), prepend=":")
    with pytest.raises(StageError, match="major version 65"), portable_services(RunnerOptions("flink")):
        pass


@pytest.mark.skipif(which("java") is None, reason="no Java here")
def test_a_broken_jar_is_an_error_of_java_itself(jar: Path) -> None:
    """The real Java's own words reach the user."""
    assert jar.read_bytes() == b""
    with (
        pytest.raises(StageError, match=r"(?i)could not find or load main class .*FlinkJobServerDriver"),
        portable_services(RunnerOptions("flink")),
    ):
        pass
