"""The order of hashes, with NumPy's stable sort as oracle."""

import numpy as np
import pytest

from ctllm.pipelines.dedup.hash_order import hash_order


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 70_000])
def test_order_is_that_of_a_stable_sort(size: int) -> None:
    """Equal hashes stay as they stood; the smallest, the largest and neighbours of a bucket are in their places."""
    hashes = np.random.default_rng(size).integers(0, 2**64, size, dtype=np.uint64)
    hashes[::3] = hashes[: len(hashes[::3])]
    hashes[1::50] = np.uint64(2**64 - 1)
    hashes[2::50] = np.arange(len(hashes[2::50]))[::-1]
    assert hash_order(hashes).tolist() == np.argsort(hashes, kind="stable").tolist()
