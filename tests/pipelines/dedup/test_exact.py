"""Exact signatures."""

import numpy as np

from ctllm.pipelines.dedup.exact import exact_signatures


def signed(sequences: list[list[int]], keys: list[int]) -> list[tuple[int, int]]:
    """Signature of each token sequence."""
    tokens = np.array([token for each in sequences for token in each], np.uint64)
    offsets = np.cumsum([0, *map(len, sequences)])
    high, low = exact_signatures(tokens, offsets, keys=np.array(keys, np.uint64))
    return list(zip(high.tolist(), low.tolist(), strict=True))


def test_equal_sequences_have_equal_signatures_wherever_they_stand() -> None:
    """The same tokens give the same 128 bits under any key; order, length and content count."""
    one, again, reversed_, shorter = signed([[5, 6, 7], [5, 6, 7], [7, 6, 5], [5, 6]], [1, 2, 3, 4])
    assert one == again
    assert len({one, reversed_, shorter}) == 3


def test_empty_documents_are_copies_of_nothing() -> None:
    """Documents without tokens never share a signature, neither with each other nor with others."""
    found = signed([[], [], [1], []], [0, 7, 8, 9])
    assert len(set(found)) == 4


def test_both_halves_distinguish() -> None:
    """100,000 different short sequences collide in neither half."""
    found = signed([[i, i % 7] for i in range(100_000)], list(range(100_000)))
    assert len({high for high, _ in found}) == len({low for _, low in found}) == 100_000
