"""Child processes that end with the process that started them, also when it is killed. Linux; elsewhere a no-op."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1  # prctl(2)


def death_signal_setter(death_signal: signal.Signals = signal.SIGTERM) -> Callable[[], None] | None:
    """A `preexec_fn`: what the child calls between fork and exec so that it is sent that signal when its parent dies.

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
