"""Which benchmark items a document holds, how much of each, and where: the rows of `contamination/`.

Only documents whose `benchmark_overlap` is worth recording are looked at a second time.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.signals.words import unit_bounds, units_of
from ctllm.schemas.contamination import CONTAMINATION


def find_evidence(
    index: BenchmarkIndex, documents: pa.RecordBatch, overlaps: "pa.Array[Any]", *, min_overlap: float
) -> pa.RecordBatch:
    """CONTAMINATION of DOCUMENTS whose best overlaps are given, in order of document, overlap (best first) and place.

    An item that covers exactly `min_overlap` is recorded.
    """
    bound = np.float32(min_overlap)  # overlaps are float32: rounded alike, 0.3 as measured equals 0.3 as configured
    rows = np.flatnonzero(overlaps.to_numpy() >= bound)
    keys = documents.column("key").to_numpy()
    found: list[dict[str, Any]] = []
    for row in rows.tolist():
        text = documents.column("text")[row].as_py()
        starts, ends = unit_bounds(text)
        for item in index.covered(units_of([text]), min_share=bound):
            for first, stop in item.spans:
                found.append({
                    "key": int(keys[row]),
                    "benchmark": item.item.benchmark,
                    "item_id": item.item.item_id,
                    "overlap": item.share,
                    "start": int(starts[first]),
                    "end": int(ends[stop - 1]),
                })  # fmt: skip
    return pa.RecordBatch.from_pylist(found, schema=CONTAMINATION)
