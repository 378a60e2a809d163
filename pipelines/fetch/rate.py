"""A limit on bytes per second that all connections share."""

import threading
import time
from collections.abc import Callable


class RateLimit:
    """Every byte taken pushes back the moment at which the next may be; None is no limit."""

    def __init__(
        self,
        bytes_per_s: float | None,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._pause = pause
        self._free_at = clock()
        self._lock = threading.Lock()

    def take(self, num_bytes: int) -> None:
        """Returns when `num_bytes` that have just arrived are paid for."""
        if self._bytes_per_s is None:
            return
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now) + num_bytes / self._bytes_per_s
            wait_s = self._free_at - now
        self._pause(wait_s)
