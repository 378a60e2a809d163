"""Steps whose gradient norm is out of line with those before: seen, so that they can be left out.

One bad batch can undo thousands of steps, and clipping only makes its step shorter (PaLM, arXiv 2204.02311 section 5.1,
went back and skipped such batches by hand). The norms before are those of the ledger, so a resumed run decides as an
uninterrupted one.
"""

import statistics
from collections import deque
from collections.abc import Iterable

WINDOW = 128  # chosen: steps that the median is taken over
MIN_STEPS = 16  # chosen: before that many norms there is no median worth the name; warm-up begins there too


class SpikeDetector:
    """Knows the norms of the last steps that were applied."""

    def __init__(self, limit: float | None, *, norms: Iterable[float]) -> None:
        """`limit` is in medians, None means that nothing is a spike; `norms` are those of the applied steps so far."""
        self._limit = limit
        self._norms = deque(norms, maxlen=WINDOW)

    def is_spike(self, norm: float) -> bool:
        """Whether `norm` is above the limit; if not, it is one of the norms before from now on."""
        is_spike = (
            self._limit is not None
            and len(self._norms) >= MIN_STEPS
            and norm > self._limit * statistics.median(self._norms)
        )
        if not is_spike:
            self._norms.append(norm)
        return is_spike
