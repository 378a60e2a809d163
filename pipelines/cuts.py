"""Cuts known before documents are judged: planned from evidence, counted in `decide`, done in `publish`.

A planner is a plain function from what was measured of one split to rows of CUTS; it reads no text. A document is
judged by what its cuts leave of it, and removed by its lane's own rule on length when that is too little.
"""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.decontaminate.cuts import plan_benchmark_cuts
from ctllm.pipelines.dedup.line_cuts import plan_line_cuts
from ctllm.pipelines.run_directory import Run
from ctllm.schemas.cuts import CUTS, LENGTH_SIGNALS
from ctllm.schemas.document import rows_of

Planner = Callable[[Run, int, np.ndarray], pa.Table]
"""(run, split, lane of each document: (documents,), object) → CUTS rows in any order, overlapping as they may."""

PLANNERS: tuple[Planner, ...] = (plan_benchmark_cuts, plan_line_cuts)
"""Whose cuts overlap: the merged one has the kind of the planner named first."""


def plan_cuts(run: Run, split: int, lanes: np.ndarray) -> pa.Table:
    """CUTS of one split under the run's config. `lanes` are those of its documents."""
    return merge_cuts(pa.concat_tables([planner(run, split, lanes) for planner in PLANNERS]))


def merge_cuts(planned: pa.Table) -> pa.Table:
    """CUTS in their order; those of one document that overlap are one, which has the kind of the row given first.

    Spans that only touch stay two. Cuts and notes are merged among themselves.
    """
    if not planned.num_rows:
        return planned
    keys, notes = planned["key"].to_numpy(), pc.is_null(planned["replacement"]).to_numpy()
    starts, ends = (planned[name].to_numpy().astype(np.int64) for name in ("start", "end"))
    order = np.lexsort([starts, notes, keys])
    is_next = (np.diff(keys[order], prepend=keys[order[0]]) != 0) | np.diff(notes[order], prepend=notes[order[0]])
    origin = np.cumsum(is_next) * ends.max()  # documents beside each other on one line
    begin, reach = starts[order] + origin, np.maximum.accumulate(ends[order] + origin)
    firsts = np.flatnonzero(np.concatenate([[True], begin[1:] >= reach[:-1]]))
    lasts = np.append(firsts[1:], len(order)) - 1
    columns = [
        keys[order[firsts]],
        planned["kind"].take(pa.array(np.minimum.reduceat(order, firsts))),
        (begin[firsts] - origin[firsts]).astype(np.int32),
        (reach[lasts] - origin[firsts]).astype(np.int32),
        planned["replacement"].take(pa.array(order[firsts])),
    ]
    return pa.table(columns, schema=CUTS)


def cut_chars(cuts: pa.Table, num_documents: int) -> np.ndarray:
    """Characters that are cut out of each document of a split: (num_documents,), int64."""
    real = cuts.filter(pc.is_valid(cuts["replacement"]))
    lengths = real["end"].to_numpy() - real["start"].to_numpy()
    return np.bincount(rows_of(real["key"].to_numpy()), lengths, num_documents).astype(np.int64)


def emptied(cuts: pa.Table, left: np.ndarray) -> np.ndarray:
    """Which documents, with `left` characters after their cuts, are cut wholly: (documents,), bool.

    No more is left than one character before each cut and one behind the last: the marks and line ends between them.
    """
    real = cuts.filter(pc.is_valid(cuts["replacement"]))
    num_cuts = np.bincount(rows_of(real["key"].to_numpy()), minlength=len(left))
    return np.asarray((num_cuts > 0) & (left <= num_cuts + 1))


def kept_after_cuts(signals: pa.Table, cuts: pa.Table, kept: np.ndarray) -> pa.Table:
    """`after_cuts` of the documents that are kept; removed ones count with all their text."""
    return after_cuts(signals, np.where(kept, cut_chars(cuts, signals.num_rows), 0))


def after_cuts(signals: pa.Table, cut: np.ndarray) -> pa.Table:
    """Signals whose LENGTH_SIGNALS count what is left; every other value is of the whole text."""
    if not cut.any():
        return signals
    left = 1 - cut / np.maximum(signals["num_chars"].to_numpy(), 1)
    for name in LENGTH_SIGNALS:
        if name in signals.column_names:
            kind = signals.schema.field(name)
            values = signals[name].to_numpy() * left
            shrunk = pa.array(np.rint(values) if pa.types.is_integer(kind.type) else values, from_pandas=True)
            signals = signals.set_column(signals.column_names.index(name), kind, shrunk.cast(kind.type))
    return signals
