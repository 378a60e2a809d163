"""Runs one command as a supervised child process: cancelled, killed and resumed together with its flow.

Why a child: torch and Beam keep threads that a flow cannot cancel. Why the same process group and a parent-death
signal: Prefect's runner signals the whole group on cancel, and a SIGKILLed flow (out of memory) takes the child with
it. The rules were measured against the alternatives (docs/decisions/0004-supervised-child.md). Linux; elsewhere only
group signals work.
"""

import contextvars
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctllm.schemas.errors import StageError
from ctllm.schemas.processes import death_signal_setter, describe_exit

GRACE_SECONDS = 2.0  # a child that the runner has already signalled needs no second signal
KILL_SECONDS = 25.0  # Prefect's runner kills the group after 30 s: be done before
NUM_LAST_LINES = 20
DRAIN_SECONDS = 5.0  # a grandchild may hold the pipe open for ever


def ctllm_command(arguments: Sequence[str]) -> list[str]:
    """`ctllm <arguments>` with the interpreter of this process, whatever stands in PATH."""
    return [sys.executable, "-m", "ctllm.cli.main", *arguments]


def supervise(
    command: Sequence[str],
    *,
    log: Path,
    on_line: Callable[[str], None],
    on_progress: Callable[[Mapping[str, Any]], None],
    environment: Mapping[str, str] | None = None,
) -> None:
    """Runs `command` to its end; `log` gets every line, `on_progress` a stage's JSON lines, `on_line` the others.

    Call it from the main thread: the parent-death signal belongs to the calling thread, and only the main thread is
    told of a cancel. Raises StageError with the child's last lines for a non-zero exit. Whatever ends this function
    early (cancel, Ctrl-C) ends the child: SIGTERM first, so that a trainer writes its checkpoint, SIGKILL after 25 s.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
        preexec_fn=death_signal_setter(),  # noqa: PLW1509 - async-signal-safe calls only, and the child execs at once
    )
    output = _Output(log, on_line, on_progress)
    context = contextvars.copy_context()  # Prefect knows the run only through context variables
    reader = threading.Thread(target=context.run, args=(output.forward, child.stdout), daemon=True)
    try:
        reader.start()
        code = child.wait()
    except BaseException:  # Prefect cancels by raising in the main thread, Ctrl-C by KeyboardInterrupt
        _stop(child)
        raise
    finally:
        reader.join(timeout=DRAIN_SECONDS)
    if code != 0:
        tail = "\n".join(output.last_lines)
        raise StageError(f"`{shlex.join(command)}` {describe_exit(code)}; the whole log is {log}\n{tail}")


@dataclass
class _Output:
    """Sends each line of a child where it belongs and keeps the last ones for the error message."""

    log: Path
    on_line: Callable[[str], None]
    on_progress: Callable[[Mapping[str, Any]], None]
    last_lines: list[str] = field(default_factory=list)

    def forward(self, lines: Sequence[str]) -> None:
        with self.log.open("a", encoding="utf-8") as file:
            for line in lines:
                file.write(line)
                file.flush()
                try:
                    self._dispatch(line.rstrip())
                except Exception as error:  # whatever a listener does: an undrained pipe would halt the child for ever
                    file.write(f"[this line was not forwarded: {type(error).__name__}: {error}]\n")

    def _dispatch(self, line: str) -> None:
        event = _json_event(line)
        if event is not None:
            self.on_progress(event)
        elif line:
            self.last_lines[:] = [*self.last_lines[1 - NUM_LAST_LINES :], line]
            self.on_line(line)


def _json_event(line: str) -> Mapping[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        event = json.loads(line)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "stage" in event else None


def _stop(child: subprocess.Popen[str]) -> None:
    """Ends the child: wait for the runner's own signal to work, then SIGTERM once, then SIGKILL."""
    deadline = time.monotonic() + KILL_SECONDS
    try:
        if not _ended(child, timeout=GRACE_SECONDS):
            child.send_signal(signal.SIGTERM)
            _ended(child, timeout=max(0.0, deadline - time.monotonic()))
    finally:  # also when a second cancel arrives here
        if child.poll() is None:
            child.kill()
            child.wait()


def _ended(child: subprocess.Popen[str], *, timeout: float) -> bool:
    try:
        child.wait(timeout=timeout)
    except subprocess.TimeoutExpired:
        return False
    return True
