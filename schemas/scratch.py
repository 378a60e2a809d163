"""Directories for temporary files, which are gone when their work ends: done, failed, or told to stop."""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_live: set[str] = set()


@contextmanager
def scratch_directory(prefix: str) -> Iterator[str]:
    """An empty directory whose name begins with `prefix`; removed at the end of the block.

    Also where a SIGTERM ends the process inside the block, which it then does as it would have, from the main thread
    at least. Who ends the process without leaving the block calls `remove_scratch` first; a SIGKILL leaves it.
    """
    with tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as directory, _removed_on_sigterm():
        _live.add(directory)
        try:
            yield directory
        finally:
            _live.discard(directory)


@contextmanager
def temporary_files_in_scratch(prefix: str) -> Iterator[None]:
    """Inside the block `tempfile` works in a scratch directory: for libraries that leave files behind."""
    with scratch_directory(prefix) as directory:
        before, tempfile.tempdir = tempfile.tempdir, directory
        try:
            yield
        finally:
            tempfile.tempdir = before


def remove_scratch() -> None:
    """Removes all scratch directories of this process."""
    for directory in tuple(_live):
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _removed_on_sigterm() -> Iterator[None]:
    """Where nobody else has asked for SIGTERM; outside the main thread Python allows no handlers."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def end(number: int, _frame: object) -> None:
        remove_scratch()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
