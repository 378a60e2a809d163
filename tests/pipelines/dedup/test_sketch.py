"""Bottom-k sketches."""

import numpy as np

from ctllm.pipelines.dedup.sketch import bottom_sketches


def test_sketch_is_the_smallest_hashes_in_order() -> None:
    """Each set gives its k smallest upper halves, ascending; a smaller set all, an empty one none."""
    generator = np.random.default_rng(7)
    sets = [generator.integers(1, 2**64, size, dtype=np.uint64) for size in (0, 5, 64, 65, 300, 20_000, 0)]
    values, offsets = bottom_sketches(np.concatenate(sets), np.cumsum([0, *map(len, sets)]), size=64)
    for own, start, end in zip(sets, offsets[:-1], offsets[1:], strict=True):
        np.testing.assert_array_equal(values[start:end], np.sort(own >> np.uint64(32))[:64])


def test_set_of_only_large_hashes_still_fills_its_sketch() -> None:
    """The shortcut that sorts only small hashes never makes a sketch shorter than it should be."""
    hashes = np.arange(2**64 - 10_000, 2**64 - 1, dtype=np.uint64) | np.uint64(0xFF << 56)
    values, offsets = bottom_sketches(hashes, np.array([0, len(hashes)]), size=32)
    assert offsets.tolist() == [0, 32]
    assert (values == 0xFFFFFFFF).all()


def test_equal_and_uneven_hashes_are_sorted_too() -> None:
    """A small set with equal upper halves, the largest ones and all in one place comes out ascending and complete."""
    uppers = [7, 7, 0xFFFFFFFF, 0xFFFFFFFF, 0, *range(40, 5, -1)]
    hashes = np.array([upper << 32 | 1 for upper in uppers], np.uint64)
    values, offsets = bottom_sketches(hashes, np.array([0, len(hashes)]), size=64)
    assert values.tolist() == sorted(uppers)
    assert offsets.tolist() == [0, len(uppers)]
