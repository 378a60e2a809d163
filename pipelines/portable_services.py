"""What a portable job needs on this machine: a job server and a pool of worker processes, for as long as jobs run.

processes the pool
portable  any job server, named by `--job_endpoint` (Spark's, Prism's, a Flink session's); the pool is started here
flink     without a master: Beam's Flink job server with a cluster inside it, and the pool; `make flink` brings the jars

A pool is started unless `--environment_type` says where workers come from. Both end with this process, also when it is
killed; the workers of a pool end with it.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

from apache_beam.utils.subprocess_server import JavaJarServer

from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.errors import ConfigError, MissingPartError, StageError
from ctllm.schemas.processes import death_signal_setter
from ctllm.schemas.scratch import scratch_directory

FLINK_SERVER = "org.apache.beam.runners.flink.FlinkJobServerDriver"
FLINK_SETTINGS = """restart-strategy: fixed-delay
restart-strategy.fixed-delay.attempts: 3
restart-strategy.fixed-delay.delay: 1 s
"""  # a lost worker is replaced and its bundles are done again; by default the job fails
POOL_COMMAND = (sys.executable, "-m", "ctllm.pipelines.worker_pool", "--service_port=0")
ADDRESS = re.compile(r"(?:JobService|worker pool) started on (localhost:\d+)$", re.MULTILINE)
"""What Beam's job server and our pool say. They pick the port, for one that was free a moment ago may be another's."""

START_SECONDS = 120.0  # chosen: a cold Java on a busy machine took a tenth
STOP_SECONDS = 15.0  # a pool gives its workers 10
JAVA_FLAGS = ("--add-opens=java.base/java.util=ALL-UNNAMED", "--add-opens=java.base/java.lang=ALL-UNNAMED")  # Java 17


@contextmanager
def portable_services(options: RunnerOptions) -> Iterator[RunnerOptions]:
    """`options` with the addresses of what was started for them; all of it is stopped at the end.

    Raises MissingPartError when Java or its jars are not there, StageError when a service does not start.
    """
    if options.runner == "processes":
        with _service("worker pool", POOL_COMMAND) as address:  # which is waited for when the first job is there
            yield replace(options, worker_pool=address)
        return
    if options.runner not in ("portable", "flink") or _is_set(options, "flink_master"):
        yield options
        return
    has_server, has_workers = _is_set(options, "job_endpoint"), _is_set(options, "environment_type")
    if options.runner == "portable" and not has_server:
        raise ConfigError("--runner portable: name the job server, `-- --job_endpoint=HOST:PORT`")
    more = []
    with ExitStack() as services:
        if not has_server:
            scratch = services.enter_context(scratch_directory("ctllm-flink-"))
            server = services.enter_context(_service("Flink job server", _flink_command(scratch)))
            more.append(f"--job_endpoint={server()}")
        if not has_workers:
            pool = services.enter_context(_service("worker pool", POOL_COMMAND))
            more += ["--environment_type=EXTERNAL", f"--environment_config={pool()}"]
        yield replace(options, beam_args=(*options.beam_args, *more))


def flink_jars() -> Path:
    """The folder with the jars of Beam's Flink job server; `make flink` fills it."""
    return Path(JavaJarServer.JAR_CACHE) / "flink-job-server"


def flink_runner_jar() -> Path | None:
    """Beam's runner among them, whose name tells the versions of Flink and Beam; None before `make flink`."""
    return next(iter(sorted(flink_jars().glob("beam-runners-flink-*.jar"))), None)


def _is_set(options: RunnerOptions, name: str) -> bool:
    return any(each.split("=")[0] == f"--{name}" for each in options.beam_args)


def _flink_command(scratch: str) -> list[str]:
    if shutil.which("java") is None:
        raise MissingPartError("--runner flink: no `java` in PATH; install a Java 17 runtime (openjdk-17-jre-headless)")
    if flink_runner_jar() is None:
        raise MissingPartError(f"--runner flink: no job server in {flink_jars()}; `make flink` fetches it with Maven")
    ports = ["--job-port", "0", "--artifact-port", "0", "--expansion-port", "-1"]  # 0: any, -1: none
    (Path(scratch) / "flink-conf.yaml").write_text(FLINK_SETTINGS, encoding="utf-8")
    folders = ["--artifacts-dir", scratch, "--flink-conf-dir", scratch]
    server = [FLINK_SERVER, "--flink-master", "[local]", *folders, *ports]
    return ["java", *JAVA_FLAGS, "-cp", f"{flink_jars()}/*", *server]


@contextmanager
def _service(name: str, command: Sequence[str]) -> Iterator[Callable[[], str]]:
    """Runs `command` until the end. The function waits for the address that it says it serves at.

    It raises StageError with what else the command says when it ends before.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=death_signal_setter(),  # noqa: PLW1509 - async-signal-safe calls only, and it execs at once
        )
        try:
            yield functools.cache(lambda: _address(name, process, log))
        finally:
            _stop(process)


def _address(name: str, process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while True:
        running = process.poll() is None and time.monotonic() < deadline
        text = os.pread(log.fileno(), 1 << 20, 0).decode(errors="replace")  # `seek` would move the writer as well
        if running and (found := ADDRESS.search(text)):
            return found[1]
        if not running:
            raise StageError(f"the {name} did not start; it said: {' / '.join(text.splitlines()[-5:])}")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":  # `make flink` asks where to put the jars
    print(flink_jars())
