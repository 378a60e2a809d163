"""What follows from the evidence: which items count as leaked, and what is cut or noted for them."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.run_directory import Run
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.cuts import CUT, CUTS
from ctllm.schemas.document import rows_of
from ctllm.schemas.files import read_parquet
from ctllm.schemas.rules import OVERLAP_RULE

KIND_PREFIX = "benchmark:"


def overlap_bound(config: CurationConfig, lane: str) -> float:
    """An overlap above this is a leak in `lane`, rounded as overlaps are; infinite where no rule asks."""
    threshold = getattr(config.rules.of_lane(lane), OVERLAP_RULE, None)
    return float("inf") if threshold is None else float(np.float32(threshold))


def plan_benchmark_cuts(run: Run, split: int, lanes: np.ndarray) -> pa.Table:
    """CUTS of the items that documents of one split leak, best covered first; none where leaks remove documents."""
    action = run.config.decontamination.action
    if action == "drop":
        return CUTS.empty_table()
    evidence = read_parquet(run.part("contamination", split))
    bounds = {lane: overlap_bound(run.config, lane) for lane in np.unique(lanes)}
    limits = np.array([bounds[lane] for lane in lanes[rows_of(evidence["key"].to_numpy())]], np.float64)
    leaked = evidence.filter(pa.array(evidence["overlap"].to_numpy() > limits))
    kinds = pc.binary_join_element_wise(KIND_PREFIX, leaked["benchmark"], "")
    replacements = pa.array([CUT if action == "cut" else None] * leaked.num_rows, pa.string())
    return pa.table([leaked["key"], kinds, leaked["start"], leaked["end"], replacements], schema=CUTS)
