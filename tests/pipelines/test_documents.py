"""Single documents of a run are found by key, wherever they stand."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.documents import excerpt_of, fetch_documents
from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.files import read_parquet


def test_documents_are_fetched_by_key(small_run: Path) -> None:
    """Documents come back under the keys that were asked for, from whichever split."""
    run = read_run(str(small_run / "run"))
    keys = [read_parquet(run.part("documents", part))["key"][-1].as_py() for part in (0, 1)]
    found = fetch_documents(run, keys)
    assert [found[key]["key"] for key in keys] == keys
    assert {found[key]["source"] for key in keys} == {"good", "bad"}
    assert fetch_documents(run, []) == {}


def test_document_is_found_behind_other_row_groups(small_run: Path) -> None:
    """Only the row group of a document is read, and it is the right one."""
    run = read_run(str(small_run / "run"))
    path = run.part("documents", 1)
    table = read_parquet(path)
    pq.write_table(table, path, row_group_size=3)
    for key, name in zip(table["key"].to_pylist(), table["id"].to_pylist(), strict=True):
        assert fetch_documents(run, [key], columns=["id"]) == {key: {"key": key, "id": name}}
    assert pa.parquet.ParquetFile(path).num_row_groups > 1


def test_excerpt_is_one_line_of_at_most_so_many_characters() -> None:
    """Line breaks become spaces; what is cut off is marked."""
    assert excerpt_of("一\n\n二　三", num_chars=10) == "一 二 三"
    assert excerpt_of("一二三四五", num_chars=5) == "一二三四五"
    assert excerpt_of("一二三四五六", num_chars=5) == "一二三四…"
