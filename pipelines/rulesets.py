"""Decides from signals alone: which rules a document fails, with the value seen and the threshold it broke.

Vectorised over documents; reads no text. Duplicates are decided elsewhere (`decide`).
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.schemas.document import LANES
from ctllm.schemas.rules import Rule, RulesConfig
from ctllm.schemas.verdict import NOTHING_LEFT, OTHER_LANGUAGE, REASONS


def evaluate(
    signals: pa.RecordBatch | pa.Table,
    lanes: "pa.Array[Any] | pa.ChunkedArray[Any]",
    *,
    rules: RulesConfig,
    emptied: np.ndarray | None = None,
) -> tuple[np.ndarray, "pa.ListArray[Any]"]:
    """Whether each document passes every rule of its lane, and all the rules it fails, in rule order.

    (documents,), bool; list array of REASONS. A rule that is None, or a signal that is NaN, never fails a document.
    A document of no lane fails with `other_language`, value and threshold NaN, one that is `emptied`, (documents,),
    bool, with `nothing_left` before all rules.
    """
    rows, codes, values, thresholds = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0)], [np.empty(0)]
    names: list[str] = []
    if emptied is not None and emptied.any():
        members = np.flatnonzero(emptied)
        rows, codes = [members], [np.zeros(len(members), np.int32)]
        values, thresholds = [np.full(len(members), np.nan)], [np.full(len(members), np.nan)]
        names = [NOTHING_LEFT]
    for lane in LANES:
        members = np.flatnonzero(np.asarray(pc.equal(lanes, lane)))
        if lane == "other":
            failures = [(members, OTHER_LANGUAGE, np.full(len(members), np.nan), np.nan)]
        elif len(members):  # a lane without documents asks for no columns
            failures = [_failures(signals, members, rule) for rule in rules.of_lane(lane).rules()]
        else:
            continue
        for failing, name, seen, threshold in failures:
            rows.append(failing)
            codes.append(np.full(len(failing), len(names), np.int32))
            names.append(name)
            values.append(seen)
            thresholds.append(np.full(len(failing), threshold))
    row = np.concatenate(rows)
    order = np.argsort(row, kind="stable")  # a document meets its rules in field order
    counts = np.bincount(row, minlength=len(lanes))
    flat = [np.concatenate(each)[order] for each in (codes, values, thresholds)]
    return counts == 0, _reasons(counts, pa.array(names, pa.string()), *flat)


def _failures(
    signals: pa.RecordBatch | pa.Table, members: np.ndarray, rule: Rule
) -> tuple[np.ndarray, str, np.ndarray, float]:
    """Rows among `members` that fail `rule`, the rule's name, the values seen, the threshold."""
    if rule.threshold is None:
        return members[:0], rule.name, np.empty(0), np.nan
    column = np.asarray(signals.column(rule.signal))[members]
    # Shares are float32: rounded alike, 0.1 as measured equals 0.1 as configured.
    bound = np.float32(rule.threshold) if column.dtype == np.float32 else rule.threshold
    fails = column < bound if rule.is_minimum else column > bound
    return members[fails], rule.name, column[fails].astype(np.float64), rule.threshold


def _reasons(
    counts: np.ndarray, names: "pa.Array[Any]", codes: np.ndarray, values: np.ndarray, thresholds: np.ndarray
) -> "pa.ListArray[Any]":
    kinds = REASONS.value_type
    structs = pa.StructArray.from_arrays(
        [names.take(pa.array(codes)), pa.array(values), pa.array(thresholds)],
        fields=[kinds.field(i) for i in range(3)],
    )
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    return pa.ListArray.from_arrays(offsets, structs, type=REASONS)
