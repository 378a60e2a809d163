"""The command line as a user meets it: help, exit codes, one sentence instead of a traceback."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from ctllm import __version__

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "ctllm.cli.main"]
ENVIRONMENT = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """`ctllm` with these arguments."""
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=120)


def test_help_lists_every_command() -> None:
    """`ctllm --help` names every command and exits with 0."""
    result = run("--help")
    assert result.returncode == 0
    names = (
        "demo end-to-end ratios fetch curate decide why stats report quality tokenizer tokenize plan conversations "
        "pretrain sft synthesise dpo evaluate export import generate up down doctor"
    )
    for name in names.split():
        assert f" {name} " in result.stdout


def test_version_needs_no_command() -> None:
    """`ctllm --version` prints name and version."""
    result = run("--version")
    assert (result.returncode, result.stdout) == (0, f"ctllm {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["curate", "--nonsense"], 2, "No such option"),
        (["curate", "nowhere.yaml", "--input", "x", "--out", "y"], 2, "nowhere.yaml: cannot read the config"),
        (["curate", "configs/curation/demo.yaml", "--input", "/no/such", "--out", "y"], 3, "/no/such: no such file"),
        (["curate", "configs/curation/demo.yaml", "--input", "x", "--out", "y", "--set", "dedup.treshold=1"], 2,
         "did you mean threshold?"),
        (["curate", "configs/curation/demo.yaml", "--input", "x", "--out", "y", "--set", "rules.zh.max_url_share=7"], 2,
         "did you mean 0.07?"),
        (["curate", "configs/curation/demo.yaml", "--input", "x", "--out", "y", "--runner", "spark"], 2,
         "--runner spark"),
        (["curate", "configs/curation/demo.yaml", "--input", "x", "--out", "y", "--map", "txt=content"], 2,
         "names are text, id, url, title, date, license"),
        (["curate", "configs/curation/demo.yaml", "--input", "x", "--out", "y", "--map", "content"], 2,
         "--map content: write it as name=column"),
        (["stats", "/no/such/run"], 3, "/no/such/run"),
        (["why", "/no/such/run", "id"], 3, "not a run directory"),
        (["generate", "/no/such/run", "--prompt", "x"], 3, "/no/such/run"),
    ],
)  # fmt: skip
def test_mistakes_end_in_one_sentence(arguments: list[str], code: int, message: str) -> None:
    """Each mistake has its exit code and one clear message, and shows no traceback."""
    result = run(*arguments)
    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("rank", ["0", "1"])
def test_torchrun_shows_a_mistake_once(rank: str, tmp_path: Path) -> None:
    """The first process says it; every one leaves it where torchrun's summary takes it from."""
    told = tmp_path / "error.json"
    environment = {**ENVIRONMENT, "RANK": rank, "TORCHELASTIC_ERROR_FILE": str(told)}
    command = [*COMMAND, "stats", "/no/such/run"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    assert ("/no/such/run" in result.stderr) == (rank == "0")
    failure = ProcessFailure(local_rank=int(rank), pid=1, exitcode=result.returncode, error_file=str(told))
    assert failure.message.startswith("/no/such/run: ")
    assert failure.timestamp > time.time() - 60


def test_verbose_shows_the_traceback() -> None:
    """With `-v` the traceback is there for whoever wants to fix it."""
    result = run("-v", "stats", "/no/such/run")
    assert result.returncode == 3
    assert "Traceback" in result.stderr


def test_ctrl_c_ends_cleanly_and_the_run_continues(tmp_path: Path) -> None:
    """Ctrl-C ends a curation with exit code 130 and one sentence; the same command then finishes it."""
    lines = '{"text": "' + "春眠不觉晓，处处闻啼鸟。" * 20 + '"}\n'
    (tmp_path / "in.jsonl").write_text(lines * 20_000)
    arguments = [
        "curate",
        "configs/curation/recommended.yaml",
        "--input",
        tmp_path / "in.jsonl",
        "--out",
        tmp_path / "run",
    ]
    command = [*COMMAND, *map(str, arguments)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    assert process.stdout is not None
    assert '"measure"' in process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert not list(tmp_path.rglob("documents/*.parquet"))
    (tmp_path / "in.jsonl").write_text(lines * 20)
    assert run(*arguments, "--fresh").returncode == 0
