"""Quotas of lanes and the hash that chooses documents."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctllm.model.mixture import key_hash, lane_quotas

LANES = ("zh", "en", "code")


def test_quotas_follow_the_weights() -> None:
    """With enough of every lane the total is divided in the ratio of the weights."""
    available = {"zh": 1000, "en": 1000, "code": 1000}
    quotas = lane_quotas(available, weights={"zh": 0.6, "en": 0.3, "code": 0.1}, total=100, max_epochs=1)
    assert quotas == {"zh": 60, "en": 30, "code": 10}


def test_a_short_lane_gives_its_weight_to_the_others() -> None:
    """Zh has 30 of the 60 wanted; what is missing is divided 3 : 1 between en and code."""
    available = {"zh": 30, "en": 1000, "code": 1000}
    quotas = lane_quotas(available, weights={"zh": 0.6, "en": 0.3, "code": 0.1}, total=100, max_epochs=1)
    assert quotas == {"zh": 30, "en": 52, "code": 18}


def test_a_missing_lane_and_an_unwanted_lane_give_nothing() -> None:
    """Weights of lanes without documents are renormalised away; documents of lanes without a weight stay out."""
    assert lane_quotas({"zh": 100, "code": 100}, weights={"zh": 0.6, "en": 0.4}, total=50, max_epochs=1) == {"zh": 50}


def test_epochs_cap_the_total() -> None:
    """When all lanes are exhausted the sum stays below the total."""
    assert lane_quotas({"zh": 10, "en": 5}, weights={"zh": 1, "en": 1}, total=100, max_epochs=2) == {"en": 10, "zh": 20}


@given(
    available=st.dictionaries(st.sampled_from(LANES), st.integers(0, 1000)),
    weights=st.dictionaries(st.sampled_from(LANES), st.floats(0.01, 1)),
    total=st.integers(0, 5000),
)
def test_quotas_never_exceed_what_there_is(available: dict[str, int], weights: dict[str, float], total: int) -> None:
    """No lane gives more than its epochs allow, and the sum misses the reachable total by rounding only."""
    quotas = lane_quotas(available, weights=weights, total=total, max_epochs=2)
    reachable = min(total, sum(2 * count for lane, count in available.items() if lane in weights))
    assert all(0 <= quota <= 2 * available[lane] for lane, quota in quotas.items())
    assert abs(sum(quotas.values()) - reachable) <= len(LANES)


def test_key_hash_spreads_neighbours() -> None:
    """Consecutive keys fall evenly into [0, 1), differently for each salt."""
    keys = np.arange(100_000, dtype=np.uint64)
    hashes = key_hash(keys, salt=0)
    counts, _ = np.histogram(hashes, bins=10, range=(0, 1))
    assert hashes.min() >= 0
    assert hashes.max() < 1
    assert abs(counts - 10_000).max() < 500
    assert (key_hash(keys, salt=1) != hashes).all()
