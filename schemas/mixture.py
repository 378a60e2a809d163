"""Shares of lanes and sources: how much to take from each when some are short, and a hash to choose documents by."""

from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import numpy as np
from pydantic import Field

from ctllm.schemas.config import Config
from ctllm.schemas.errors import ConfigError

LANE_WEIGHTS = {"zh": 0.67, "en": 0.25, "code": 0.08}  # CT-LLM card: 840.48 zh, 314.88 en, 99.3 code billion tokens
HELD_OUT_SALT = 0  # the same documents are held out in every plan over the same text, whatever its seed

Group = tuple[str, str]
"""Lane and source."""
Name = TypeVar("Name")
Weight = Annotated[float, Field(ge=0)]


class MixtureConfig(Config):
    """Shares of lanes and, inside a lane, of sources."""

    lane_weights: dict[str, Weight] = Field(LANE_WEIGHTS, description="shares of the lanes; none for a lane = left out")
    source_weights: dict[str, Weight] = Field(
        {}, description="times its size that a source counts inside its lane; 1 where not named, 0 leaves it out"
    )

    def weight_of(self, source: str) -> float:
        """The factor of one source."""
        return self.source_weights.get(source, 1.0)

    def check_sources(self, names: Iterable[str], *, place: str, known: Iterable[str]) -> None:
        """Raises ConfigError when one of the configured names is no source."""
        there = sorted(set(known))
        if unknown := sorted(set(names) - set(there)):
            raise ConfigError(f"{place}: no source {unknown[0]!r} in the text; there are {', '.join(there)}")


def group_quotas(
    available: Mapping[Group, int],
    *,
    mixture: MixtureConfig,
    total: int,
    epochs: Mapping[str, float],
    max_epochs: float,
) -> dict[Group, int]:
    """How many units of each lane and source make up `total`: lanes by weight, in a lane sources by size and weight.

    A source gives at most `epochs[source]` (or `max_epochs`) times what it has. What a source cannot give, the others
    of its lane give; what a lane cannot give, the other lanes give. The sum is below `total` only if all are exhausted.
    """
    limits = {
        group: int(count * epochs.get(group[1], max_epochs))
        for group, count in sorted(available.items())
        if mixture.lane_weights.get(group[0], 0) > 0 and mixture.weight_of(group[1]) > 0
    }
    lane_limits: dict[str, int] = {}
    for (lane, _), limit in limits.items():
        lane_limits[lane] = lane_limits.get(lane, 0) + limit
    quotas: dict[Group, int] = {}
    for lane, quota in fill(lane_limits, weights=mixture.lane_weights, total=total).items():
        members = {group: limit for group, limit in limits.items() if group[0] == lane}
        weights = {group: available[group] * mixture.weight_of(group[1]) for group in members}
        quotas.update(fill(members, weights=weights, total=quota))
    return quotas


def fill(limits: Mapping[Name, int], *, weights: Mapping[Name, float], total: int) -> dict[Name, int]:
    """`total` divided in the ratio of `weights`, nobody above its limit; what one cannot give, the others give.

    fill({"zh": 50, "en": 90}, weights={"zh": 3, "en": 1}, total=100) == {"zh": 50, "en": 50}
    """
    if sum(limits.values()) <= total:
        return dict(limits)
    quotas: dict[Name, int] = {}
    while open_names := {name: weights[name] for name in limits if name not in quotas}:
        rest, weight = total - sum(quotas.values()), sum(open_names.values())
        wanted = {name: round(rest * share / weight) if weight else 0 for name, share in open_names.items()}
        short = {name: limits[name] for name in wanted if wanted[name] >= limits[name]}
        quotas.update(short or wanted)
    return quotas


def key_hash(keys: np.ndarray, *, salt: int) -> np.ndarray:
    """A number in [0, 1) for each 64-bit key, float64; SplitMix64's finaliser, so neighbours differ."""
    mixed = keys.astype(np.uint64) + np.uint64((salt * 0x9E3779B97F4A7C15) % (1 << 64))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)
