"""Planned cuts: what overlaps is one, documents are judged by what is left, published text has it no more."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.cuts import after_cuts, cut_chars, emptied, merge_cuts
from ctllm.schemas.cuts import CUTS
from ctllm.schemas.document import document_keys

KEYS = document_keys(snapshot=3, split=5, first_row=0, num_rows=4)
Row = tuple[int, str, int, int, str | None]


def table(rows: list[Row]) -> pa.Table:
    """CUTS of document row, kind, start, end and replacement."""
    columns = list(zip(*rows, strict=True)) if rows else [[]] * 5
    keys = pa.array([KEYS[row] for row in columns[0]], pa.uint64())
    return pa.table(
        [keys, *(pa.array(column, field.type) for column, field in zip(columns[1:], list(CUTS)[1:], strict=True))],
        schema=CUTS,
    )


def merged(*rows: Row) -> list[Row]:
    """The rows after merging."""
    found = merge_cuts(table(list(rows)))
    assert found.schema.equals(CUTS)
    numbers = {int(key): row for row, key in enumerate(KEYS)}
    return [
        (numbers[row["key"]], row["kind"], row["start"], row["end"], row["replacement"]) for row in found.to_pylist()
    ]


def test_items_that_overlap_are_one_cut() -> None:
    """Two questions that share a sentence are cut once, named after the one that was planned first."""
    assert merged((1, "b", 10, 30, ""), (1, "a", 20, 40, ""), (1, "c", 35, 38, "")) == [(1, "b", 10, 40, "")]
    assert merged((1, "b", 20, 40, ""), (1, "a", 10, 30, "")) == [(1, "b", 10, 40, "")]


def test_lines_that_touch_are_two_cuts() -> None:
    """Neighbouring lines are cut one by one, so that each is counted."""
    assert merged((0, "line", 5, 9, ""), (0, "line", 0, 5, "")) == [(0, "line", 0, 5, ""), (0, "line", 5, 9, "")]


def test_documents_and_notes_are_kept_apart() -> None:
    """The same place in another document is another cut, and a note over a cut stays a note."""
    rows: list[Row] = [(2, "a", 0, 9, ""), (1, "a", 0, 9, ""), (1, "b", 3, 12, None), (1, "c", 11, 14, None)]
    assert merged(*rows) == [(1, "a", 0, 9, ""), (1, "b", 3, 14, None), (2, "a", 0, 9, "")]
    assert merged() == []


SPANS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30), st.integers(1, 9), st.booleans()))


@given(SPANS)
def test_merging_covers_the_same_characters(spans: list[tuple[int, int, int, bool]]) -> None:
    """No character is cut or noted that was not before, none is forgotten, and none is named twice."""

    def covered(rows: list[Row]) -> list[tuple[int, int, bool]]:
        return [(row, at, replacement is None) for row, _, start, end, replacement in rows for at in range(start, end)]

    rows: list[Row] = [(row, "k", start, start + size, "" if cut else None) for row, start, size, cut in spans]
    after = covered(merged(*rows))
    assert sorted(after) == sorted(set(covered(rows)))
    before = {row: {at for each, at, note in covered(rows) if each == row and not note} for row in range(4)}
    assert cut_chars(merge_cuts(table(rows)), 4).tolist() == [len(before[row]) for row in range(4)]


def test_lengths_count_what_is_left() -> None:
    """Characters exactly, words in proportion, nothing else, nor the length that `ctllm_zh` judges."""
    signals = pa.table({
        "num_chars": pa.array([300, 300, 7], pa.int32()), "num_words": pa.array([60, 60, 2], pa.int32()),
        "ctllm_num_chars": pa.array([290, 10_001, 7], pa.float32()), "han_share": pa.array([0.5, 0.5, 1], pa.float32()),
    })  # fmt: skip
    after = after_cuts(signals, np.array([100, 150, 7]))
    assert after.schema.equals(signals.schema)
    assert after.to_pydict() == {
        "num_chars": [200, 150, 0], "num_words": [40, 30, 0], "han_share": [0.5, 0.5, 1.0],
        "ctllm_num_chars": [290, 10_001, 7],
    }  # fmt: skip
    assert after_cuts(signals, np.zeros(3, np.int64)) is signals


def test_document_is_cut_wholly_where_only_ends_are_left() -> None:
    """A character before each cut and one behind the last is nothing; one more is something, and so is a short text."""
    cuts = table([(0, "a", 0, 9, ""), (1, "a", 0, 9, ""), (2, "a", 0, 4, ""), (2, "b", 5, 9, ""), (3, "n", 0, 9, None)])
    assert emptied(cuts, np.array([2, 3, 3, 0, 0])).tolist() == [True, False, True, False, False]
    assert emptied(cuts, np.array([0, 0, 4, 9, 1])).tolist() == [True, True, False, False, False]
