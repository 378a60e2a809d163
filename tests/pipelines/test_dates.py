"""Dates of sources as numbers that compare."""

import pyarrow as pa
import pytest

from ctllm.pipelines.dates import UNDATED, instants_of


@pytest.mark.parametrize(("date", "microseconds"), [
    ("1970-01-01", 0),
    ("1970-01-01T00:00:00.000001Z", 1),
    ("1969-12-31T23:59:59Z", -1_000_000),
    ("1970-01-02 00:00:00", 86_400_000_000),
    ("1970-01-01T08:00:00+08:00", 0),
    ("1970-02", 31 * 86_400_000_000),
    ("1971", 365 * 86_400_000_000),
    ("19700102", 86_400_000_000),
    ("2026-11-25T21:00:00Z", 1_795_640_400_000_000),
])  # fmt: skip
def test_date_is_an_instant(date: str, microseconds: int) -> None:
    """Any precision and zone that ISO 8601 has; what is left open is the first instant, a missing zone UTC."""
    assert instants_of(pa.array([date])).tolist() == [microseconds]


@pytest.mark.parametrize("date", ["", "gestern", "2024-13", "2024/05/01", "0000", "2024-02-30", "5 May 2024"])
def test_what_is_no_date_is_undated(date: str) -> None:
    """It never stops a run, and comes before the first date there is."""
    assert instants_of(pa.array([date])).tolist() == [UNDATED]
    assert instants_of(pa.array(["0001-01-01T00:00:00+14:00"]))[0] > UNDATED


def test_rows_stay_in_their_order() -> None:
    """Missing and repeated dates, in several chunks or in none."""
    chunks = pa.chunked_array([["1970", None], ["gestern", "1970"], pa.array([], pa.string()), [None]], pa.string())
    assert instants_of(chunks).tolist() == [0, UNDATED, UNDATED, 0, UNDATED]
    assert instants_of(pa.chunked_array([], pa.string())).tolist() == []
