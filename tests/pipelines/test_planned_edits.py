"""Planned cuts of a batch, against cutting each text in Python."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.edits import Edit, apply_edits
from ctllm.pipelines.planned_edits import PlannedEdits
from ctllm.schemas.cuts import CUT, CUTS
from ctllm.schemas.document import EDITS, document_keys

KEYS = document_keys(snapshot=3, split=5, first_row=0, num_rows=4)
LONG = "é文𠀀a" * 60
"""Characters of every size, beyond some blocks of bytes."""
Row = tuple[int, int, int, str | None]


def table(rows: Sequence[Row]) -> pa.Table:
    """CUTS of document row, start, end and replacement; the kind is x."""
    columns = [[column[at] for column in rows] for at in range(4)]
    keys = pa.array([KEYS[row] for row in columns[0]], pa.uint64())
    rest = (pa.array(column, CUTS.field(name).type) for name, column in
            zip(("kind", "start", "end", "replacement"), (["x"] * len(rows), *columns[1:]), strict=True))  # fmt: skip
    return pa.table([keys, *rest], schema=CUTS)


@given(
    st.lists(st.text("a文é𠀀\n", max_size=9) | st.just(LONG), min_size=4, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(0, 240), min_size=2, max_size=6, unique=True))),
)
def test_texts_are_what_cutting_in_python_leaves(texts: list[str], places: list[tuple[int, list[int]]]) -> None:
    """Whatever is cut wherever, characters of one to four bytes, ends of texts and notes that cut nothing included."""
    rows: list[Row] = []
    for row, bounds in sorted(dict(places).items()):
        ends = [min(at, len(texts[row])) for at in sorted(bounds)]
        spans = [(start, end) for start, end in zip(ends[::2], ends[1::2], strict=False) if start < end]
        rows += [(row, start, end, CUT) for start, end in spans]
        rows += [(row, start, end, None) for start, end in spans[:1]]  # cuts before notes, as CUTS has them
    planned = PlannedEdits.of(table(rows), KEYS)
    left = planned.cut_out(pa.array(texts, pa.large_string()))
    edits = planned.with_others({}, num_rows=4).to_pylist()
    assert [planned.of_row(row) for row in range(4)] == edits
    assert left.to_pylist() == [apply_edits(text, own) for text, own in zip(texts, edits, strict=True)]
    assert [(row, each["start"], each["end"], each["replacement"]) for row in range(4) for each in edits[row]] == [
        each for _, own in groupby(rows, key=lambda each: each[0]) for each in sorted(own, key=lambda each: each[1:3])
    ]


def test_edits_find_their_document() -> None:
    """A batch of kept documents gets its own cuts, by the row it has there, in order of place; a slice too."""
    cuts = table([(0, 0, 2, CUT), (2, 1, 3, CUT), (2, 5, 6, CUT), (2, 0, 9, None), (3, 0, 1, CUT)])
    planned = PlannedEdits.of(cuts, KEYS[[1, 2]])
    assert planned.rows_E.tolist() == [1, 1, 1]
    assert [(each["start"], each["replacement"]) for each in planned.of_row(1)] == [(0, None), (1, CUT), (5, CUT)]
    texts = pa.array(["略", "一二三", "文0文文文5文文文"], pa.large_string()).slice(1)
    assert planned.cut_out(texts).to_pylist() == ["一二三", "文文文文文文"]
    assert PlannedEdits.of(cuts, KEYS[:0]).rows_E.tolist() == []
    assert PlannedEdits.of(table([]), KEYS).rows_E.tolist() == []


def test_other_edits_stand_in_their_rows() -> None:
    """Edits that were made otherwise are rows of the same column; documents without any have an empty list."""
    redacted = Edit(kind="pii:mobile", start=4, end=7, replacement="<手机号>")
    noted = Edit(kind="pii:ip", start=9, end=12, replacement=None)
    planned = PlannedEdits.of(table([(1, 0, 2, CUT), (3, 5, 6, None)]), KEYS)
    edits = planned.with_others({2: [redacted, noted], 0: [noted]}, num_rows=5)
    assert edits.type.equals(EDITS)
    assert edits.to_pylist() == [[noted], planned.of_row(1), [redacted, noted], planned.of_row(3), []]
    nothing = planned.only(np.zeros(2, bool))
    assert nothing.with_others({}, num_rows=2).to_pylist() == [[], []]
    assert nothing.cut_out(texts := pa.array(["文"])) is texts
