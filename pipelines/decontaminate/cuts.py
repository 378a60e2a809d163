"""What follows from the evidence: which items count as leaked."""

import numpy as np

from ctllm.schemas.curation_config import CurationConfig

OVERLAP_RULE = "max_benchmark_overlap"


def overlap_bound(config: CurationConfig, lane: str) -> float:
    """An overlap above this is a leak in `lane`, rounded as overlaps are; infinite where no rule asks."""
    threshold = getattr(config.rules.of_lane(lane), OVERLAP_RULE, None)
    return float("inf") if threshold is None else float(np.float32(threshold))
