"""Programs that a model wrote do no harm, and right ones pass."""

import json
import sys
from pathlib import Path

import pytest

from ctllm.model.evaluation.sandbox import SandboxResult, run_program
from ctllm.schemas.errors import MissingPartError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="seccomp is Linux's")


def test_a_right_program_passes_and_a_wrong_one_fails() -> None:
    """What reaches its end has passed; an exception is told; leaving early, even with success, is no end."""
    right = "import math, re, collections, typing\nassert math.gcd(4, 6) == 2\nprint('说')"
    assert run_program(right) == SandboxResult("passed", "")
    assert run_program("assert 1 == 2, 'no'") == SandboxResult("failed", "AssertionError: no")
    for leaving in ("import os\nos._exit(0)", "import sys\nsys.exit(0)"):
        assert run_program(leaving).outcome == "failed"


def test_what_a_program_may_not_do(tmp_path: Path) -> None:
    """It cannot write, create, rename or delete files, open sockets, start processes or threads, or kill its parent."""
    (tmp_path / "mine").write_text("kept")
    place = json.dumps(str(tmp_path))
    attempts = f"""
import os, socket, subprocess, threading
os.chdir({place})
def attempt(action):
    try:
        action()
    except (OSError, RuntimeError):
        return
    raise SystemExit(action.__code__.co_firstlineno)
attempt(lambda: open("new", "w"))
attempt(lambda: open("mine", "a"))
attempt(lambda: os.open("mine", os.O_RDWR))
attempt(lambda: os.mkdir("folder"))
attempt(lambda: os.rename("mine", "yours"))
attempt(lambda: os.unlink("mine"))
attempt(lambda: os.truncate("mine", 0))
attempt(lambda: os.symlink("mine", "link"))
attempt(lambda: os.chmod("mine", 0))
attempt(lambda: socket.socket())
attempt(lambda: os.fork())
attempt(lambda: os.execv("/bin/true", ["true"]))
attempt(lambda: subprocess.run(["true"]))
attempt(lambda: threading.Thread(target=int).start())
attempt(lambda: os.kill(os.getppid(), 9))
assert open("mine").read() == "kept"
"""
    assert run_program(attempts) == SandboxResult("passed", "")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine").read_text() == "kept"


@pytest.mark.parametrize(
    ("program", "outcome"),
    [
        ("while True: pass", "timed out"),
        ("import time\ntime.sleep(60)", "timed out"),
        ("text = 'x' * (3 << 30)", "failed"),
        ("while True: print('x' * 1000)", "killed"),
        ("import resource\nresource.setrlimit(resource.RLIMIT_CPU, (99, 99))", "failed"),
    ],
)
def test_what_never_ends_is_ended(program: str, outcome: str) -> None:
    """Loops, sleep, memory, output and a try to lift the limits end the program, not the evaluation."""
    assert run_program(program, cpu_seconds=1, wall_seconds=4).outcome == outcome


def test_without_a_lock_nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the process cannot be locked in, the program is refused, with the way out."""
    jail = tmp_path / "sandbox_jail.py"
    jail.write_text("import os\nprint('KeyError: sparc', flush=True)\nos._exit(97)")
    monkeypatch.setattr("ctllm.model.evaluation.sandbox.JAIL", jail)
    with pytest.raises(MissingPartError, match=r"KeyError: sparc.*evaluate on Linux"):
        run_program("pass")
