"""Dates as sources give them, ISO 8601 text of any precision, as numbers that compare."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

UNDATED = -(1 << 62)
"""What has no date, or none that can be read, comes before every date."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")


def instants_of(dates: "pa.Array[Any] | pa.ChunkedArray[Any]") -> np.ndarray:
    """(dates,) int64: microseconds since 1970 in UTC, UNDATED for null and for what is no ISO 8601 date.

    A date without a time, or of a year or month only, is its first instant; a time without a zone is UTC.
    """
    array = dates.combine_chunks() if isinstance(dates, pa.ChunkedArray) else dates
    encoded = array.dictionary_encode()
    known = np.array([*map(_instant, encoded.dictionary.to_pylist()), UNDATED], np.int64)
    instants: np.ndarray = known[encoded.indices.fill_null(len(known) - 1).to_numpy()]
    return instants


def _instant(date: str) -> int:
    whole = f"{date}-01-01"[:10] if _YEAR_OR_MONTH.fullmatch(date) else date
    try:
        parsed = datetime.fromisoformat(whole)
    except ValueError:
        return UNDATED
    return ((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)
