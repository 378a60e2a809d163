"""Child processes that end with the process that started them, also when it is killed, and who is left. Linux only."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1  # prctl(2)


def death_signal_setter(death_signal: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """A `preexec_fn`: what the child calls between fork and exec so that it is sent that signal when its parent dies.

    None where there is no such signal (other systems than Linux).
    The signal belongs to the thread that forks: call from one that lives as long as the child.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork: loading a library after it can deadlock
    parent = os.getpid()

    def die_with_parent() -> None:
        prctl(PR_SET_PDEATHSIG, death_signal)
        if os.getppid() != parent:  # it died before prctl was called
            os._exit(1)

    return die_with_parent


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
