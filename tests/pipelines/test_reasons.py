"""Reasons as flat arrays say the same as the lists of the verdicts."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.reasons import flatten
from ctllm.schemas.verdict import REASONS

LISTS = st.lists(st.lists(st.sampled_from(["a", "b", "c"]), max_size=3, unique=True), max_size=8)


def verdicts(names: list[list[str]]) -> pa.ListArray:
    """A list of reasons per document, each with a value and a threshold of its own."""
    rows = [[{"reason": name, "value": at + 0.5, "threshold": at} for at, name in enumerate(each)] for each in names]
    return pa.array(rows, REASONS)


@given(LISTS)
def test_flat_reasons_say_what_the_lists_say(names: list[list[str]]) -> None:
    """Row, name, first and only of every reason equal a loop over the lists."""
    flat = flatten(verdicts(names))
    slow = [(row, name, rank == 0, len(each) == 1) for row, each in enumerate(names) for rank, name in enumerate(each)]
    fast = zip(
        flat.rows_R.tolist(),
        (flat.names[code] for code in flat.codes_R),
        flat.is_first_R.tolist(),
        flat.is_only_R.tolist(),
        strict=True,
    )
    assert list(fast) == slow
    assert flat.counts.tolist() == [len(each) for each in names]
    assert flat.first_names().tolist() == [each[0] if each else "" for each in names]


def test_values_and_thresholds_stay_with_their_reason() -> None:
    """A part of a larger table, cut out, keeps its own values."""
    table = pa.table({"reasons": verdicts([["a"], [], ["b", "c"]])}).slice(1, 2)
    flat = flatten(table["reasons"])
    assert flat.values_R.tolist() == [0.5, 1.5]
    assert flat.thresholds_R.tolist() == [0.0, 1.0]
    assert [flat.names[code] for code in flat.codes_R[flat.first()[flat.first() >= 0]]] == ["b"]
