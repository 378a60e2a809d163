"""What becomes of freed memory: back to the system, where a process should stay small, or kept, where it works."""

import ctypes
from contextlib import suppress

import pyarrow as pa

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc
_ARENAS = 2
_LARGEST = 2**31 - 1  # an int


def share_arenas() -> None:
    """All threads allocate from two arenas; glibc would give each its own, and each keeps what was freed in it.

    Arrow too: its own allocator kept 12 of the 241 MB of a dashboard over a million documents (2026-11-26).
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Returns freed memory of Arrow and of the C library to the system; some milliseconds, after large answers."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_freed_memory() -> None:
    """From now on what this process frees waits for its next allocation, instead of going back to the system.

    For work that takes and frees the same large blocks again and again: the system hands each out anew, page by page.
    """
    with suppress(OSError, AttributeError):  # another C library
        for threshold in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
            ctypes.CDLL(None).mallopt(threshold, _LARGEST)
