"""Keeps a process of many threads small: what was freed goes back to the system."""

import ctypes
from contextlib import suppress

import pyarrow as pa

_M_ARENA_MAX = -8  # malloc.h of glibc
_ARENAS = 2


def share_arenas() -> None:
    """All threads allocate from two arenas; glibc would give each its own, and each keeps what was freed in it."""
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Returns freed memory of Arrow and of the C library to the system; some milliseconds, after large answers."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
