"""Processes that outlive the command that starts them, each with a pid file and a log, stopped without a survivor.

Every process of one home, however deep, carries the home in its environment: that is how `stop_all` finds flow runs
whose worker was killed. Linux; elsewhere (no /proc) only the processes with a pid file are found.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ctllm.schemas.errors import StageError
from ctllm.schemas.files import write_json

HOME_MARK = "CTLLM_SERVER_HOME"
POLL_SECONDS = 0.2
KILL_TIMEOUT_S = 5.0  # SIGKILL needs none of it, unless the process hangs in the kernel
PROC = Path("/proc")


@dataclass(frozen=True)
class Background:
    """One long-lived process: `home/<name>.pid`, `home/<name>.log`."""

    home: Path
    name: str

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.home / f"{self.name}.log"

    @property
    def _pid_file(self) -> Path:
        return self.home / f"{self.name}.pid"

    def start(self, command: Sequence[str], *, environment: Mapping[str, str], directory: Path) -> None:
        """Starts `command` in a session of its own, so that Ctrl-C in the terminal does not reach it."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=directory,
                env={**environment, HOME_MARK: str(self.home)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        write_json(str(self._pid_file), {"pid": child.pid, "started": start_time(child.pid)})

    def pid(self) -> int | None:
        """Its process id while it runs; None also when the number now belongs to another process."""
        try:
            noted = json.loads(self._pid_file.read_text())
        except (OSError, ValueError):
            return None
        pid = int(noted["pid"])
        return pid if is_alive(pid) and start_time(pid) == noted["started"] else None

    def tail(self, *, num_lines: int = 15) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-num_lines:]) if self.log.exists() else ""

    def forget(self) -> None:
        """Deletes the pid file."""
        self._pid_file.unlink(missing_ok=True)


def stop_all(home: Path, *, in_order: Sequence[Background]) -> list[str]:
    """Ends the processes `in_order` of `home` and whatever they started; gives the names of those that ran.

    Raises StageError naming the process ids when something survives even SIGKILL.
    """
    stopped = []
    for process in in_order:
        pid = process.pid()
        if pid is not None:
            stopped.append(process.name)
            _end([pid], patience=(10.0, 35.0))  # Prefect's worker: the first SIGTERM drains, the second ends its runs
        process.forget()
        still_needed = {each.pid() for each in in_order}
        _end({pid for pid in marked_processes(home) if _session(pid) not in still_needed}, patience=(10.0,))
    if survivors := marked_processes(home):
        raise StageError(f"still running: processes {', '.join(map(str, sorted(survivors)))}; end them with `kill -9`")
    return stopped


def _end(pids: Iterable[int], *, patience: Sequence[float]) -> None:
    """SIGTERM as often as there are patiences, each followed by that many seconds of waiting; then SIGKILL."""
    targets = tuple(pids)

    def have_ended() -> bool:
        return not any(map(is_alive, targets))

    for seconds in patience:
        _signal(targets, signal.SIGTERM)
        if wait_until(have_ended, timeout_s=seconds):
            return
    _signal(targets, signal.SIGKILL)
    wait_until(have_ended, timeout_s=KILL_TIMEOUT_S)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _session(pid: int) -> int | None:
    """The session leader's process id: a background process and its direct children share one."""
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def wait_until(is_true: Callable[[], bool], *, timeout_s: float) -> bool:
    """Whether `is_true()` held within `timeout_s`; asked five times a second."""
    deadline = time.monotonic() + timeout_s
    while not is_true():
        if time.monotonic() >= deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and was not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]


def start_time(pid: int) -> str:
    """When the process began, in clock ticks since boot; empty where there is no /proc."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def _stat(pid: int) -> list[str]:
    """Fields of /proc/PID/stat from the state on (proc(5): state is field 3, the start time field 22)."""
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def marked_processes(home: Path) -> set[int]:
    """Living processes that were started, at any depth, by the background processes of `home`."""
    return {pid for pid, _ in _marked_environments(home)}


def marked_values(home: Path, name: str) -> set[str]:
    """Values of the environment variable `name` in those processes."""
    prefix = f"{name}=".encode()
    settings = (each for _, environment in _marked_environments(home) for each in environment)
    return {each.removeprefix(prefix).decode() for each in settings if each.startswith(prefix)}


def _marked_environments(home: Path) -> Iterator[tuple[int, list[bytes]]]:
    mark = f"{HOME_MARK}={home}".encode()
    for entry in PROC.glob("[0-9]*/environ"):
        with suppress(OSError):  # it ended meanwhile, or belongs to somebody else
            pid, environment = int(entry.parent.name), entry.read_bytes().split(b"\0")
            if mark in environment and is_alive(pid) and pid != os.getpid():
                yield pid, environment
