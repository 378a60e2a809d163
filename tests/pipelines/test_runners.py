"""The same input and config give the same bytes on every runner."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from apache_beam.runners.portability.prism_runner import PrismJobServer

from ctllm.examples.corpus.build import build_corpus
from ctllm.pipelines.curate import curate
from ctllm.pipelines.language_model import MODEL_VARIABLE, find_language_model
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.portable_services import flink_jars, flink_runner_jar, portable_services
from ctllm.pipelines.tokenize import tokenize
from ctllm.pipelines.worker_pool import WORKER_NAME
from ctllm.schemas.config import read_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import StageError
from ctllm.schemas.processes import session_members
from tests.pipelines.test_curate_corpus import digests
from tests.pipelines.test_portable_services import java_that_serves_jobs, listens, write_jar
from tests.pipelines.test_tokenize import write_tokenizer

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "configs/curation/demo.yaml"
PRISM = Path(PrismJobServer.BIN_CACHE) / "prism"


def run_curate(inputs: Path, out: Path, options: RunnerOptions) -> dict[str, str]:
    """Curates with the demo's config; the digest of every file of the run that holds no time."""
    with portable_services(options) as started:
        curate(read_config(CONFIG, CurationConfig), inputs=[str(inputs)], out=str(out), options=started)
    return digests(out)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus."""
    folder = tmp_path_factory.mktemp("runners") / "corpus"
    build_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def plain(corpus: Path) -> Path:
    """The run of one thread in this process."""
    run_curate(corpus, corpus.parent / "plain", RunnerOptions(workers=1))
    return corpus.parent / "plain"


@pytest.fixture
def prism() -> Iterator[str]:
    """Beam's portable runner in Go, serving jobs on this machine: its address."""
    if not PRISM.is_file():
        assert not os.environ.get("CTLLM_REQUIRE_PRISM"), f"{PRISM} is not there; run `make prism`"
        pytest.skip(f"{PRISM} is not there; `make prism` builds it where Go is installed")
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [str(PRISM), f"--job_port={port}", "--serve_http=false", "--log_level=error"], stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not listens(f"localhost:{port}"):
        time.sleep(0.05)
    yield f"localhost:{port}"
    process.terminate()
    process.wait()


@pytest.mark.parametrize(
    "options",
    [
        RunnerOptions(workers=1, beam_args=("--direct_running_mode=in_memory",)),
        RunnerOptions(workers=2, beam_args=("--direct_running_mode=multi_processing",)),
        RunnerOptions("processes", 2),
    ],
)
def test_processes_write_the_bytes_of_threads(
    corpus: Path, plain: Path, tmp_path: Path, options: RunnerOptions
) -> None:
    """Beam's local runner: without any thread, with two processes as it starts them, and with two of our pool."""
    assert run_curate(corpus, tmp_path / "run", options) == digests(plain)


def test_another_runner_with_separate_workers_writes_the_same_bytes(
    corpus: Path, plain: Path, tmp_path: Path, prism: str
) -> None:
    """Prism, written in Go: other bundles, another shuffle, workers of a pool; documents and token shards."""
    options = RunnerOptions("portable", 2, (f"--job_endpoint={prism}",))
    assert run_curate(corpus, tmp_path / "run", options) == digests(plain)
    tokenizer = write_tokenizer(tmp_path / "tokenizer.model")
    tokenize(str(plain), tokenizer=tokenizer, out=str(tmp_path / "here"), options=RunnerOptions(workers=1))
    with portable_services(options) as started:
        tokenize(str(plain), tokenizer=tokenizer, out=str(tmp_path / "there"), options=started)
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_flink_writes_the_same_bytes_though_a_worker_is_killed(corpus: Path, plain: Path, tmp_path: Path) -> None:
    """A Flink cluster inside Beam's job server, workers of a pool: the lost one is replaced, its bundles done again."""
    if flink_runner_jar() is None or shutil.which("java") is None:
        assert not os.environ.get("CTLLM_REQUIRE_FLINK"), (
            f"no job server in {flink_jars()}, or no Java; run `make flink`"
        )
        pytest.skip(f"no job server in {flink_jars()}, or no Java; `make flink` fetches it")
    first = started("flink", corpus, tmp_path / "run", environment=dict(os.environ))
    (worker,) = (pid for pid in session_members(first.pid) if is_worker(pid))
    os.kill(worker, signal.SIGKILL)
    assert first.wait() == 0, (tmp_path / "log").read_text(encoding="utf-8")
    assert ended(first.pid)
    assert without_report(tmp_path / "run") == without_report(plain)


@pytest.mark.parametrize("runner", ["processes", "flink"])
def test_a_killed_run_leaves_no_process_and_is_continued(
    corpus: Path, plain: Path, tmp_path: Path, runner: str
) -> None:
    """The command is killed half-way: server, pool and workers go; again, and the bytes are equal.

    In the place of Flink's jars stands Beam's own job server.
    """
    environment = {
        **os.environ,
        "HOME": str(tmp_path),  # where Beam's cache with the jars is
        "PATH": f"{java_that_serves_jobs(tmp_path / 'bin').parent}{os.pathsep}{os.environ['PATH']}",
        MODEL_VARIABLE: str(find_language_model()),
    }
    write_jar(tmp_path / flink_jars().relative_to(Path.home()))
    first = started(runner, corpus, tmp_path / "run", environment=environment)
    assert len(session_members(first.pid)) >= 4  # command, pool, the process that forks, worker
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    assert ended(first.pid)
    assert not (tmp_path / "run/curated").exists()
    again = started(runner, corpus, tmp_path / "run", environment=environment)
    assert again.wait() == 0, (tmp_path / "log").read_text(encoding="utf-8")
    assert without_report(tmp_path / "run") == without_report(plain)


def test_a_lost_worker_process_ends_the_run(corpus: Path, plain: Path, tmp_path: Path) -> None:
    """Killed, as by a system out of memory: one sentence instead of waiting for ever; the same command continues."""
    first = started("processes", corpus, tmp_path / "run", environment=dict(os.environ))
    (worker,) = (pid for pid in session_members(first.pid) if is_worker(pid))
    os.kill(worker, signal.SIGKILL)
    assert first.wait(timeout=60) == StageError.exit_code
    assert "a worker process was killed" in (tmp_path / "log").read_text(encoding="utf-8")
    assert ended(first.pid)
    assert run_curate(corpus, tmp_path / "run", RunnerOptions(workers=1)) == digests(plain)


def started(runner: str, corpus: Path, run: Path, *, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """`ctllm curate` in a session of its own that has written its first documents; its log is beside the run."""
    inputs = ["--input", str(corpus), "--workers", "1", "--runner", runner]
    command = [sys.executable, "-m", "ctllm.cli.main", "curate", str(CONFIG), *inputs, "--out", str(run)]
    with (run.parent / "log").open("a") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    while process.poll() is None and not list((run / "documents").glob("part-*")):
        time.sleep(0.02)
    return process


def is_worker(pid: int) -> bool:
    """Whether it is a worker process of Beam's pool."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == WORKER_NAME


def ended(leader: int) -> bool:
    """Whether all processes of the session end within a minute."""
    deadline = time.monotonic() + 60
    while session_members(leader) and time.monotonic() < deadline:
        time.sleep(0.1)
    return session_members(leader) == []


def without_report(run: Path) -> dict[str, str]:
    """Digests of what the pipelines write; the command adds a report."""
    return {name: digest for name, digest in digests(run).items() if name != "report.html"}
