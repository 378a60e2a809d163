"""Cuts of what repeats: every common line and repeated sentence of a split is one, with its own kind and place."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctllm.pipelines.dedup.line_cuts import plan_line_cuts
from ctllm.pipelines.run_directory import Run
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.cuts import CUT, CUTS
from ctllm.schemas.files import write_parquet
from ctllm.schemas.lines import COMMON_LINES, REPEATS
from ctllm.schemas.manifest import RunManifest

SPANS = st.lists(
    st.tuples(st.integers(0, 2**64 - 1), st.sampled_from(["line:site", "run:earlier", "sentence:similar"]),
              st.integers(0, 90), st.integers(1, 9)),
    max_size=4,
)  # fmt: skip


def table(spans: list[tuple[int, str, int, int]], schema: pa.Schema) -> pa.Table:
    """Rows of these keys, kinds, starts and lengths; whatever else the schema has is 1."""
    rows: list[dict[str, Any]] = [
        {**dict.fromkeys(schema.names, 1), "key": key, "kind": kind, "start": start, "end": start + length}
        for key, kind, start, length in spans
    ]
    return pa.Table.from_pylist(rows, schema=schema)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SPANS, SPANS)
def test_everything_that_repeats_is_cut_out(
    tmp_path: Path, common: list[tuple[int, str, int, int]], repeated: list[tuple[int, str, int, int]]
) -> None:
    """Nothing is lost, nothing noted only, common lines come first, so that they name a cut that both ask for."""
    config = CurationConfig()
    manifest = RunManifest(
        run_id="r", version="0", code="c", config_digest="d", config={}, inputs=[], parts={}, index=None,
        compared=(), stages={},
    )  # fmt: skip
    run = Run(str(tmp_path), config, manifest)
    write_parquet(run.part("common_lines", 0), table(common, COMMON_LINES))
    write_parquet(run.part("repeats", 0), table(repeated, REPEATS))
    planned = plan_line_cuts(run, 0, np.array([], dtype=object))
    assert planned.schema.equals(CUTS)
    assert [tuple(row.values()) for row in planned.to_pylist()] == [
        (key, kind, start, start + length, CUT) for key, kind, start, length in [*common, *repeated]
    ]
