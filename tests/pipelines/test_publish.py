"""Publishing: accounts are proved in the files themselves."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.publish import check_accounts
from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.document import CURATED
from ctllm.schemas.errors import AccountingError


def test_accounts_add_up(small_run: Path) -> None:
    """Over all splits, read = kept + removed + failed."""
    accounts = check_accounts(read_run(str(small_run / "run")), [0, 1])
    assert accounts == {"read": 14, "kept": 8, "removed": 4, "failed": 2}
    assert accounts["read"] == accounts["kept"] + accounts["removed"] + accounts["failed"]


def test_lost_document_is_noticed(small_run: Path) -> None:
    """A single row missing from the published shards is an accounting error that names the split."""
    path = small_run / "run" / "curated" / "zh" / "part-00001.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(AccountingError, match="split 1"):
        check_accounts(read_run(str(small_run / "run")), [0, 1])


def test_only_edited_text_differs(small_run: Path) -> None:
    """Published text is the document's own but for its edits, which say what stood where."""
    run = small_run / "run"
    rows = [row for path in sorted((run / "documents").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    before = {row["key"]: row["text"] for row in rows}
    curated = [row for path in (run / "curated").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
    for row in curated:
        text = before[row["key"]]
        assert row["text"] == (text.replace("13912345678", "<手机号>") if row["edits"] else text)
        assert row["num_chars"] == len(row["text"])
    edited = [row for row in curated if row["edits"]]
    assert [row["id"] for row in edited] == ["mobile"]
    (edit,) = edited[0]["edits"]
    assert before[edited[0]["key"]][edit["start"] : edit["end"]] == "13912345678"


def test_shards_have_the_schema(small_run: Path) -> None:
    """Published shards hold exactly the columns of the schema, one lane a directory."""
    for path in (small_run / "run" / "curated").rglob("*.parquet"):
        table = pq.read_table(path)
        assert table.schema.equals(CURATED)
        assert set(table["lane"].to_pylist()) == {path.parent.name}
