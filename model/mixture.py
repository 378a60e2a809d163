"""Shares of lanes: how much to take from each when some are short or missing, and a hash to choose documents by."""

from collections.abc import Mapping

import numpy as np


def lane_quotas(
    available: Mapping[str, int], *, weights: Mapping[str, float], total: int, max_epochs: float
) -> dict[str, int]:
    """How many units of each lane make up `total` in the ratio of `weights`.

    A lane gives at most `max_epochs` times what it has; what it cannot give, the others give in the ratio of their
    weights. Lanes without a weight or without documents give nothing. The sum is below `total` only if all are
    exhausted. With 50 zh and 90 en available, weights 3 : 1, a total of 100 and one epoch: 50 zh and 50 en.
    """
    limits = {lane: int(count * max_epochs) for lane, count in sorted(available.items()) if weights.get(lane, 0) > 0}
    quotas: dict[str, int] = {}
    while open_lanes := {lane: weights[lane] for lane in limits if lane not in quotas}:
        rest, weight = total - sum(quotas.values()), sum(open_lanes.values())
        wanted = {lane: round(rest * share / weight) for lane, share in open_lanes.items()}
        short = {lane: limits[lane] for lane in wanted if wanted[lane] >= limits[lane]}
        quotas.update(short or wanted)
    return quotas


def key_hash(keys: np.ndarray, *, salt: int) -> np.ndarray:
    """A number in [0, 1) for each 64-bit key, float64; SplitMix64's finaliser, so neighbours differ."""
    mixed = keys.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) % (1 << 64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
