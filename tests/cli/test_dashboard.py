"""`ctllm dashboard` as a command: what it refuses, and how it ends. What it shows is tested in tests/dashboards."""

import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from .conftest import ENVIRONMENT, ROOT, run_ctllm

PROGRAM = [sys.executable, "-m", "ctllm.cli.main", "dashboard"]
TOKEN = "a-long-token-of-the-tests"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_cleanly(tmp_path: Path, ending: signal.Signals) -> None:
    """The address is printed when it can be opened; a signal ends the command with 0, and nothing was written."""
    (tmp_path / "runs").mkdir()
    environment = {**ENVIRONMENT, "CTLLM_DASHBOARD_CACHE": str(tmp_path / "cache"), "CTLLM_DASHBOARD_TOKEN": TOKEN}
    command = [*PROGRAM, str(tmp_path / "runs"), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert found
        with urllib.request.urlopen(f"{found[0]}api/health", timeout=30) as answer:
            assert answer.read() == b"ok"
        request = urllib.request.Request(f"{found[0]}api/runs", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.read() == b'{"curation":[],"training":[]}'
        process.send_signal(ending)
        assert process.wait(timeout=30) == 0
        assert process.stdout.read() == ""
    assert TOKEN not in line
    assert list((tmp_path / "runs").iterdir()) == []


def test_what_cannot_be_served_is_refused(tmp_path: Path) -> None:
    """A directory that is not there, an open address without a token, and a short token end with 2 and a sentence."""
    for arguments, message in (
        ([tmp_path / "nowhere"], "not a directory"),
        ([tmp_path, "--host", "0.0.0.0"], "open to others without a token"),
        ([tmp_path, "--token", "short-token"], "at least 16 ASCII characters"),
    ):
        result = run_ctllm("dashboard", *arguments)
        assert result.returncode == 2
        assert message in result.stderr
        assert "short-token" not in result.stderr
