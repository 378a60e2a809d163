"""Candidates from buckets."""

import numpy as np

from ctllm.pipelines.dedup.buckets import exact_candidates, near_candidates, unique_pairs


def rows(*triples: tuple[int, int, int]) -> np.ndarray:
    """Rows as they are shuffled."""
    return np.array(triples, np.uint64).reshape(-1, 3)


def test_exact_copies_are_paired_with_the_first() -> None:
    """All 128 bits must agree; every later copy is linked to the first, in any order of arrival."""
    pairs = exact_candidates(rows((9, 1, 30), (9, 1, 10), (9, 2, 11), (9, 1, 20), (8, 1, 12)))
    assert sorted(map(tuple, pairs.tolist())) == [(10, 20), (10, 30)]


def test_documents_of_a_band_are_all_paired_once() -> None:
    """A pair that meets in two bands is one candidate, smaller position first."""
    bands = rows((1, 2, 30), (1, 3, 10), (1, 1, 20), (2, 3, 10), (2, 2, 30), (3, 4, 40))
    pairs, num_hot = near_candidates(bands, max_bucket=3)
    assert sorted(map(tuple, pairs.tolist())) == [(10, 20), (10, 30), (20, 30)]
    assert num_hot == 0


def test_exact_copies_count_as_their_first_one_in_a_band() -> None:
    """500 exact copies and one near copy give one candidate, not 125,000."""
    copies = [(7, 1, 100 + i) for i in range(500)]
    pairs, num_hot = near_candidates(rows(*copies, (7, 2, 50)), max_bucket=2)
    assert pairs.tolist() == [[50, 100]]
    assert num_hot == 0


def test_hot_bucket_is_linked_star_wise_and_counted() -> None:
    """One document more than `max_bucket` and all are paired with the first only."""
    bucket = rows(*[(7, 99 - i, 10 * i) for i in range(1, 6)])
    full, not_hot = near_candidates(bucket, max_bucket=5)
    star, hot = near_candidates(bucket, max_bucket=4)
    assert (len(full), not_hot, hot) == (10, 0, 1)
    assert star.tolist() == [[10, 20], [10, 30], [10, 40], [10, 50]]


def test_documents_of_earlier_snapshots_are_paired_with_new_ones_only() -> None:
    """Positions below `first_new` stand for others; the first of them for all exact copies."""
    copies = rows((9, 1, 10), (9, 1, 19), (9, 1, 20), (9, 1, 30), (8, 1, 11), (8, 1, 12))
    assert exact_candidates(copies, first_new=20).tolist() == [[10, 20], [10, 30]]
    band = rows((1, 1, 10), (1, 2, 19), (1, 3, 20), (1, 4, 30), (2, 1, 10), (2, 2, 19))
    pairs, _ = near_candidates(band, max_bucket=4, first_new=20)
    assert sorted(map(tuple, pairs.tolist())) == [(10, 20), (10, 30), (19, 20), (19, 30), (20, 30)]
    star, hot = near_candidates(band, max_bucket=3, first_new=20)
    assert (star.tolist(), hot) == ([[10, 20], [10, 30]], 1)
    assert len(near_candidates(band, max_bucket=4, first_new=31)[0]) == 0


def test_nothing_gives_nothing() -> None:
    """Empty partitions have no candidates."""
    assert exact_candidates(rows()).shape == (0, 2)
    assert near_candidates(rows(), max_bucket=2)[0].shape == (0, 2)
    assert unique_pairs(np.empty((0, 2), np.uint64)).shape == (0, 2)
