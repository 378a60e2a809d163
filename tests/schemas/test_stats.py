"""Tables between stages: every column says what it means or in which unit it counts."""

import pyarrow as pa
import pytest

from ctllm.schemas import cuts, document, duplicates, lines, stats, verdict

SCHEMAS = {
    "documents": document.DOCUMENTS,
    "failures": document.FAILURES,
    "curated": document.CURATED,
    "bands": duplicates.BANDS,
    "pairs": duplicates.PAIRS,
    "duplicates": duplicates.DUPLICATES,
    "cuts": cuts.CUTS,
    "verdicts": verdict.VERDICTS,
    "funnel": stats.FUNNEL,
    "rules": stats.RULES,
    "histograms": stats.HISTOGRAMS,
    "samples": stats.SAMPLES,
    "clusters": stats.CLUSTERS,
    "edits": stats.EDITS,
    "lines": lines.LINES,
    "repeats": lines.REPEATS,
    "common_lines": lines.COMMON_LINES,
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_names_are_unique_and_columns_typed(name: str) -> None:
    """No table has a column twice or one without a type, and empty tables can be made of it."""
    schema = SCHEMAS[name]
    assert len(set(schema.names)) == len(schema.names)
    assert schema.empty_table().num_rows == 0
    assert not [field.name for field in schema if pa.types.is_null(field.type)]


@pytest.mark.parametrize(
    "name", ["documents", "bands", "duplicates", "lines", "repeats", "cuts", "verdicts", "curated", "samples"]
)
def test_key_leads_every_table_of_documents(name: str) -> None:
    """The key is in every table that speaks of single documents, first and never null."""
    field = SCHEMAS[name].field(0)
    assert (field.name, field.type, field.nullable) == ("key", pa.uint64(), False)
