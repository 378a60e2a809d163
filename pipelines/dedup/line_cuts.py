"""What is cut because it repeats something: sentences of the document itself, lines of other documents."""

import numpy as np
import pyarrow as pa

from ctllm.pipelines.run_directory import Run
from ctllm.schemas.cuts import CUT, CUTS
from ctllm.schemas.files import read_parquet

_COLUMNS = ["key", "kind", "start", "end"]


def plan_line_cuts(run: Run, split: int, lanes: np.ndarray) -> pa.Table:
    """CUTS of one split: common lines, then repeated sentences. `lanes` does not matter, code has neither."""
    del lanes
    planned = pa.concat_tables(
        read_parquet(run.part(name, split), columns=_COLUMNS) for name in ("common_lines", "repeats")
    )
    return planned.append_column("replacement", pa.array([CUT] * planned.num_rows, pa.string())).cast(CUTS)
