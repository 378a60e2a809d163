"""Quotas of lanes and sources, and the hash that chooses documents."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.mixture import Group, MixtureConfig, fill, group_quotas, key_hash

LANES, SOURCES = ("zh", "en", "code"), ("web", "wiki", "books")


def test_totals_follow_the_weights() -> None:
    """With enough of every name the total is divided in the ratio of the weights."""
    limits = {"zh": 1000, "en": 1000, "code": 1000}
    assert fill(limits, weights={"zh": 0.6, "en": 0.3, "code": 0.1}, total=100) == {"zh": 60, "en": 30, "code": 10}


def test_a_short_one_gives_its_weight_to_the_others() -> None:
    """Zh has 30 of the 60 wanted; what is missing is divided 3 : 1 between en and code."""
    limits = {"zh": 30, "en": 1000, "code": 1000}
    assert fill(limits, weights={"zh": 0.6, "en": 0.3, "code": 0.1}, total=100) == {"zh": 30, "en": 52, "code": 18}


def quotas(
    available: dict[Group, int],
    total: int,
    max_epochs: float = 1,
    epochs: dict[str, float] | None = None,
    **config: object,
) -> dict[Group, int]:
    """`group_quotas` with the config's keys as keyword arguments."""
    mixture = MixtureConfig.model_validate(config)
    return group_quotas(available, mixture=mixture, total=total, epochs=epochs or {}, max_epochs=max_epochs)


def test_the_published_mixture_is_the_default() -> None:
    """Zh 67 %, en 25 %, code 8 %, as the card of CT-LLM says."""
    available = {(lane, "web"): 1000 for lane in LANES}
    assert quotas(available, 100) == {("zh", "web"): 67, ("en", "web"): 25, ("code", "web"): 8}


def test_sources_share_their_lane_by_size_and_weight() -> None:
    """Without weights sources give in the ratio of their sizes; a weight of 3 makes a source count three times."""
    available = {("zh", "web"): 900, ("zh", "wiki"): 100}
    assert quotas(available, 100) == {("zh", "web"): 90, ("zh", "wiki"): 10}
    assert quotas(available, 100, source_weights={"wiki": 3}) == {("zh", "web"): 75, ("zh", "wiki"): 25}
    assert quotas(available, 100, source_weights={"wiki": 0}) == {("zh", "web"): 100}


def test_a_short_source_is_made_up_inside_its_lane() -> None:
    """Wiki has 20 of the 60 wanted; web gives the rest of zh, so that the share of the lane stays."""
    available = {("zh", "web"): 100, ("zh", "wiki"): 20, ("en", "web"): 1000}
    found = quotas(available, 160, source_weights={"wiki": 15}, lane_weights={"zh": 1, "en": 1})
    assert found == {("zh", "web"): 60, ("zh", "wiki"): 20, ("en", "web"): 80}


def test_each_source_has_its_own_cap() -> None:
    """Wiki may be repeated four times, the others twice; when all are exhausted the sum stays below the total."""
    available = {("zh", "web"): 10, ("zh", "wiki"): 5, ("en", "web"): 7}
    found = quotas(available, 1000, max_epochs=2, epochs={"wiki": 4})
    assert found == {("zh", "web"): 20, ("zh", "wiki"): 20, ("en", "web"): 14}


def test_missing_and_unwanted_lanes_give_nothing() -> None:
    """Weights of lanes without documents are renormalised away; lanes of no weight, or of weight 0, stay out."""
    available = {("zh", "web"): 100, ("code", "web"): 100, ("en", "web"): 9}
    assert quotas(available, 50, lane_weights={"zh": 0.6, "fr": 0.4, "en": 0}) == {("zh", "web"): 50}


def test_wrong_weights_are_refused() -> None:
    """A weight below 0 names its key, a source that is not there names those that are."""
    with pytest.raises(ConfigError, match=r"lane_weights\.zh: -1"):
        parse_config({"lane_weights": {"zh": -1}}, MixtureConfig, origin="plan.yaml")
    config = MixtureConfig(source_weights={"wikl": 2, "web": 1})
    with pytest.raises(ConfigError, match=r"plan, source_weights: no source 'wikl' in the text; there are web, wiki$"):
        config.check_sources(config.source_weights, place="plan, source_weights", known=["wiki", "web", "wiki"])


@given(
    available=st.dictionaries(st.tuples(st.sampled_from(LANES), st.sampled_from(SOURCES)), st.integers(0, 1000)),
    lane_weights=st.dictionaries(
        st.sampled_from(LANES), st.floats(0, 1, allow_subnormal=False)
    ),  # their ratio is finite
    source_weights=st.dictionaries(st.sampled_from(SOURCES), st.floats(0, 5)),
    epochs=st.dictionaries(st.sampled_from(SOURCES), st.floats(0.1, 3)),
    total=st.integers(0, 9000),
)
def test_quotas_hold(
    available: dict[Group, int],
    lane_weights: dict[str, float],
    source_weights: dict[str, float],
    epochs: dict[str, float],
    total: int,
) -> None:
    """No source gives more than its epochs allow; lanes that are not exhausted stand in the ratio of their weights.

    The sum misses what can be reached by rounding only.
    """
    found = quotas(
        available, total, max_epochs=2, epochs=epochs, lane_weights=lane_weights, source_weights=source_weights
    )
    limits = {
        (lane, source): int(count * epochs.get(source, 2))
        for (lane, source), count in available.items()
        if lane_weights.get(lane, 0) > 0 and source_weights.get(source, 1) > 0
    }
    assert found.keys() == limits.keys()
    assert all(0 <= quota <= limits[group] for group, quota in found.items())
    assert abs(sum(found.values()) - min(total, sum(limits.values()))) <= len(LANES) * len(SOURCES)
    lanes = {lane: sum(quota for group, quota in found.items() if group[0] == lane) for lane, _ in found}
    room = {lane: sum(limit for group, limit in limits.items() if group[0] == lane) for lane in lanes}
    free = {lane for lane in lanes if lanes[lane] < room[lane] - len(SOURCES)}
    for lane, other in product(lanes, free):
        ratio = lane_weights[lane] / lane_weights[other]
        slack = len(SOURCES) * (1 + ratio)
        assert lanes[lane] <= lanes[other] * ratio + slack, "none has more than its share while another has room"


def test_key_hash_spreads_neighbours() -> None:
    """Consecutive keys fall evenly into [0, 1), differently for each salt."""
    keys = np.arange(100_000, dtype=np.uint64)
    hashes = key_hash(keys, salt=0)
    counts, _ = np.histogram(hashes, bins=10, range=(0, 1))
    assert hashes.min() >= 0
    assert hashes.max() < 1
    assert abs(counts - 10_000).max() < 500
    assert (key_hash(keys, salt=1) != hashes).all()
