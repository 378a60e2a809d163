"""How often each character stands in a text: a fifth as many numbers as characters in Chinese, few in English."""

import threading
from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import kernel

_NUM_CODEPOINTS = 0x110000


@dataclass(frozen=True)
class CharacterCounts:
    """The distinct characters of each text of a batch, in order of their first place."""

    codepoints: np.ndarray
    """(distinct characters of all texts,), uint32"""
    counts: np.ndarray
    """(distinct characters of all texts,), uint32: how often each stands in its text"""
    offsets: np.ndarray
    """(texts + 1,), int64: the characters of each text"""


def count_characters(codepoints: np.ndarray, offsets: np.ndarray) -> CharacterCounts:
    """Every character of every text."""
    distinct, counts = (np.empty(len(codepoints) + 1, np.uint32) for _ in range(2))
    count_offsets = np.zeros(len(offsets), np.int64)
    used = _count_texts(codepoints, offsets, _zero_counts(), distinct, counts, count_offsets)
    return CharacterCounts(distinct[:used], counts[:used], count_offsets)


_of_thread = threading.local()


def _zero_counts() -> np.ndarray:
    """A count per code point, int32, this thread's own; who uses it leaves zeros, so nobody clears 4 MB a slice."""
    if not hasattr(_of_thread, "counts"):
        _of_thread.counts = np.zeros(_NUM_CODEPOINTS, np.int32)
    counts: np.ndarray = _of_thread.counts
    return counts


@kernel
def _count_texts(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    seen: np.ndarray,
    distinct: np.ndarray,
    counts: np.ndarray,
    count_offsets: np.ndarray,
) -> int:
    used = 0
    for text in range(offsets.shape[0] - 1):
        num = _count(codepoints[offsets[text] : offsets[text + 1]], seen, distinct[used:])
        for k in range(used, used + num):
            counts[k] = seen[distinct[k]]
            seen[distinct[k]] = 0
        used += num
        count_offsets[text + 1] = used
    return used


@kernel
def _count(codepoints: np.ndarray, seen: np.ndarray, distinct: np.ndarray) -> int:
    """Counts every character in `seen`; lists the distinct ones, and how many."""
    used = np.uint64(0)
    for i in range(codepoints.shape[0]):
        c = codepoints[i]
        distinct[used] = c
        used += np.uint64(seen[c] == 0)
        seen[c] += 1
    return int(np.int64(used))
