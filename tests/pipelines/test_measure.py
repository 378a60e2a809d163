"""Measuring: the four tables of a split are aligned row by row."""

from pathlib import Path

from ctllm.pipelines.measure import TABLES
from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.document import document_keys
from ctllm.schemas.files import read_parquet


def test_tables_of_a_split_are_aligned(small_run: Path) -> None:
    """Documents, signals and bands hold the same keys in the same order, numbered by split and row."""
    run = read_run(str(small_run / "run"))
    for split in (0, 1):
        keys = {
            name: read_parquet(run.part(name, split))["key"].to_pylist() for name in ("documents", "signals", "bands")
        }
        expected = document_keys(snapshot=0, split=split, first_row=0, num_rows=len(keys["documents"])).tolist()
        assert keys == dict.fromkeys(keys, expected)


def test_tables_have_their_schemas(small_run: Path) -> None:
    """Every table follows its schema, empty ones too."""
    run = read_run(str(small_run / "run"))
    for name, schema in TABLES.items():
        for split in (0, 1):
            assert read_parquet(run.part(name, split)).schema.equals(schema)
