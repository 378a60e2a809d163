"""Child processes that end with the process that started them, also when it is killed, and who is left. Linux only.

`python -m ctllm.schemas.processes PARENT SIGNAL COMMAND…` is a step of `dying_with_parent`.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2)


def death_signal_setter(
    death_signal: signal.Signals = signal.SIGTERM, *, parent: int | None = None
) -> Callable[[], None] | None:
    """A `preexec_fn`: what the child calls between fork and exec so that it is sent that signal when its parent dies.

    None where there is no such signal (other systems than Linux). Not where gRPC is at work: `dying_with_parent`.
    The signal belongs to the thread that forks: call from one that lives as long as the child.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: loading a library after it can deadlock
    parent = parent or os.getpid()

    def die_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before prctl was called
            os._exit(1)

    return die_with_parent


def dying_with_parent(command: Sequence[str], *, death_signal: signal.Signals) -> list[str]:
    """`command` for a child of this process, which is sent that signal when the starting thread ends.

    For processes that speak gRPC. A `preexec_fn` makes Python run what libraries want done after a fork, and gRPC's
    share of that ended 2 to 7 of 100 children by SIGABRT (2026-11-27). Costs a start of Python.
    """
    return [sys.executable, "-m", __spec__.name, str(os.getpid()), str(int(death_signal)), *command]


def _become_command(parent: str, death_signal: str, *command: str) -> None:
    if die_with_parent := death_signal_setter(signal.Signals(int(death_signal)), parent=int(parent)):
        die_with_parent()
    os.execvp(command[0], command)  # the signal stays set


def describe_exit(code: int) -> str:
    """How a child ended by its return code, as the end of a sentence that begins with its name."""
    if code >= 0:
        return f"ended with exit code {code}"
    cause = " (out of memory?)" if -code == signal.SIGKILL else ""
    return f"was ended by {signal.Signals(-code).name}{cause}"


def session_members(leader: int) -> list[int]:
    """The processes of a session that run; one that has ended and was not yet waited for does not.

    Empty where there is no /proc.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = (
                path.read_text(encoding="utf-8").rpartition(")")[2].split()
            )  # proc(5): state, parent, group, session
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
        if fields[0] != "Z" and int(fields[3]) == leader:
            found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    _become_command(*sys.argv[1:])
