"""The order of hashes, which are uniform: by buckets of their first bits instead of comparisons."""

import numpy as np

from ctllm.pipelines.batch import kernel

_MAX_BITS = 24  # counters of 128 MiB at most


def hash_order(hashes: np.ndarray) -> np.ndarray:
    """As `np.argsort(hashes, kind="stable")` of uint64: (n,), int64; of 200,000 in a third of the time (2026-11-26).

    About one hash falls into a bucket, and those of one bucket are put in order by insertion: equal ones cost nothing,
    many different ones with the same first bits, as counters have, cost the square of their number.
    """
    order = np.empty(len(hashes), np.int64)
    _place(hashes, min(len(hashes).bit_length(), _MAX_BITS), order)
    return order


@kernel
def _place(hashes: np.ndarray, bits: int, order: np.ndarray) -> None:
    shift = np.uint64(64 - bits)
    ends = np.zeros((1 << bits) + 1, np.int64)
    for i in range(hashes.shape[0]):
        ends[int(hashes[i] >> shift) + 1] += 1
    for bucket in range(1 << bits):
        ends[bucket + 1] += ends[bucket]
    starts = ends[:-1].copy()
    for i in range(hashes.shape[0]):
        bucket = int(hashes[i] >> shift)
        place = ends[bucket]
        ends[bucket] += 1
        while place > starts[bucket] and hashes[order[place - 1]] > hashes[i]:
            order[place] = order[place - 1]
            place -= 1
        order[place] = i
