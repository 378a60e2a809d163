"""Child processes that end with their parent, and who is left of a session."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ctllm.schemas.processes import describe_exit, session_members

PARENT = """
import subprocess, sys, time
from ctllm.schemas.processes import death_signal_setter
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=death_signal_setter())
print(child.pid, flush=True)
time.sleep(60)
"""


def test_a_child_ends_when_its_parent_is_killed() -> None:
    """Also by SIGKILL, which leaves the parent no moment to end it."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_running(child)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def test_a_session_has_the_processes_that_run_in_it() -> None:
    """The leader and its child; not one that has ended and waits for its parent; nobody when all are gone."""
    shell = "sleep 60 & sleep 0 & echo $!; exec sleep 60"
    leader = subprocess.Popen(["sh", "-c", shell], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert leader.stdout is not None
    short = int(leader.stdout.readline())
    while is_running(short):
        time.sleep(0.02)
    assert Path(f"/proc/{short}").exists()
    members = session_members(leader.pid)
    assert (len(members), leader.pid in members, short in members) == (2, True, False)
    os.killpg(leader.pid, signal.SIGKILL)
    leader.wait()
    while any(map(is_running, members)):
        time.sleep(0.02)
    assert session_members(leader.pid) == []


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (0, "ended with exit code 0"),
        (5, "ended with exit code 5"),
        (-15, "was ended by SIGTERM"),
        (-9, "was ended by SIGKILL (out of memory?)"),
    ],
)
def test_an_end_is_told_by_its_cause(code: int, said: str) -> None:
    """A signal by its name, and what usually sends SIGKILL."""
    assert describe_exit(code) == said


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
