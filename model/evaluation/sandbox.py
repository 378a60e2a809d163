"""Runs a program that a model wrote, in a process of its own that can do no harm.

The process is a bare Python in an empty directory with an empty environment. Before the program runs, it gives up, for
good, through seccomp: sockets, new processes and threads, executing anything, signals to others, and every way to
create, write, rename or delete a file. Limits hold for CPU time, memory, file size and wall time. What is forbidden
fails with EPERM inside the program; it is then simply wrong.

seccomp is Linux's (kernel 3.17). Elsewhere programs are refused, not run.
"""

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ctllm.schemas.errors import MissingPartError

CPU_SECONDS = 5  # chosen: a right solution of HumanEval takes milliseconds
WALL_SECONDS = 10.0  # chosen: twice the CPU time, for machines that are busy
MEMORY_BYTES = 1 << 30  # chosen: the interpreter takes 20 MB
MAX_OUTPUT_BYTES = 10_000
JAIL = Path(__file__).with_name("sandbox_jail.py")

Outcome = Literal["passed", "failed", "timed out", "killed"]


@dataclass(frozen=True)
class SandboxResult:
    """How a program ended."""

    outcome: Outcome
    """passed: its last line was reached; failed: an exception, or it left early; killed: by a limit or a signal."""
    message: str
    """Last line of what it said, for a person."""


def run_program(
    program: str,
    *,
    cpu_seconds: int = CPU_SECONDS,
    wall_seconds: float = WALL_SECONDS,
    memory_bytes: int = MEMORY_BYTES,
) -> SandboxResult:
    """Runs Python source to its end. Raises MissingPartError where the process cannot be locked in."""
    token = secrets.token_hex(16)
    limits = f"{cpu_seconds} {memory_bytes} {token}\n"
    with (
        tempfile.TemporaryDirectory(prefix="ctllm-sandbox-") as directory,
        subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", str(JAIL)],
            cwd=directory,
            env={"PYTHONHASHSEED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        output, stopped = _watch(process, (limits + program).encode(), wall_seconds=wall_seconds)
    return stopped or _result(process.returncode, output.decode("utf-8", "replace"), token=token)


def _watch(
    process: "subprocess.Popen[bytes]", program: bytes, *, wall_seconds: float
) -> tuple[bytes, SandboxResult | None]:
    """What the process says until it ends; it is killed when it says too much or takes too long."""
    assert process.stdin is not None
    assert process.stdout is not None
    deadline = time.monotonic() + wall_seconds
    stopped = None
    with contextlib.suppress(BrokenPipeError):  # it died before it had read all
        process.stdin.write(program)
        process.stdin.close()
    output = bytearray()
    while stopped is None:
        is_ready, _, _ = select.select([process.stdout], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(process.stdout.fileno(), 1 << 16) if is_ready else None
        if part is None:
            stopped = SandboxResult("timed out", f"no end within {wall_seconds:g} s")
        elif not part:
            break
        elif len(output) + len(part) > MAX_OUTPUT_BYTES:
            stopped = SandboxResult("killed", f"more than {MAX_OUTPUT_BYTES} bytes of output")
        else:
            output += part
    try:
        process.wait(max(0.0, deadline - time.monotonic()) if stopped is None else 0)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stopped = stopped or SandboxResult("timed out", f"no end within {wall_seconds:g} s")
    return bytes(output), stopped


def _result(code: int, output: str, *, token: str) -> SandboxResult:
    lines = output.strip().splitlines() or [""]
    if code == JAIL_FAILED:
        raise MissingPartError(
            f"programs of models run only where Linux seccomp can lock them in ({lines[-1]}); "
            "leave tasks of kind program out, or evaluate on Linux"
        )
    if code == -signal.SIGXCPU:
        return SandboxResult("timed out", "the limit of CPU time")
    if code < 0:
        return SandboxResult("killed", signal.Signals(-code).name)
    if code == 0 and lines[-1] == token:
        return SandboxResult("passed", "")
    return SandboxResult("failed", lines[-1] if lines[-1] else "left before its end")


JAIL_FAILED = 97
"""Exit code of the jail when it cannot be closed; also in sandbox_jail.py, which imports nothing of ours."""
