"""Benchmark items in documents: the evidence as it comes back from its files."""

import tempfile
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas.contamination import CONTAMINATION, LEAKS
from ctllm.schemas.files import read_parquet, write_parquet

ROW = st.fixed_dictionaries(
    {
        "key": st.integers(0, 2**64 - 1),
        "benchmark": st.text(max_size=5),
        "item_id": st.text(max_size=5),
        "overlap": st.floats(0, 1, width=32),
        "start": st.integers(0, 2**31 - 2),
        "end": st.integers(1, 2**31 - 1),
    }
)


@given(st.lists(ROW, max_size=4))
def test_evidence_comes_back_from_its_file(rows: list[dict[str, Any]]) -> None:
    """Keys above 2^63, ids that are no numbers and the very overlap that was compared with a bound survive."""
    with tempfile.TemporaryDirectory() as directory:
        write_parquet(f"{directory}/part.parquet", pa.Table.from_pylist(rows, schema=CONTAMINATION))
        back = read_parquet(f"{directory}/part.parquet")
    assert back.schema.equals(CONTAMINATION)
    assert back.to_pylist() == rows


@pytest.mark.parametrize("schema", [CONTAMINATION, LEAKS])
def test_evidence_has_no_gaps(schema: pa.Schema) -> None:
    """Every row names its document, its item and how much of it: no column may be empty, each says what it means."""
    assert not any(field.nullable for field in schema)
    explained = [field.name for field in schema if field.metadata]
    assert set(schema.names) - set(explained) <= {"lane", "benchmark"}
    with tempfile.TemporaryDirectory() as directory, pytest.raises(pa.ArrowInvalid, match="null"):
        rows = pa.table([pa.nulls(1, field.type) for field in schema], schema=schema)
        rows.validate(full=True)
        write_parquet(f"{directory}/part.parquet", rows)


def test_a_leak_can_be_looked_up() -> None:
    """What the summary says of a benchmark's best covered item leads to its rows: the names mean the same in both."""
    for name in ("benchmark", "item_id"):
        assert LEAKS.field(name).type == CONTAMINATION.field(name).type
