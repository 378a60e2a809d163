"""One document completely, against `ctllm why`."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from ctllm.dashboards.documents import describe, marked, read_document
from ctllm.dashboards.queries import Filter, RunDatabase
from ctllm.pipelines.why import explain
from ctllm.schemas.errors import InputError


def test_it_says_what_why_says(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Verdict, signals, rules with values, copies, and every span that was changed or found, of fifty documents."""
    keys = [int(each["key"]) for each in corpus_database.documents(Filter(outcome="removed"), limit=25)]
    keys += [int(each["key"]) for each in corpus_database.documents(Filter(outcome="kept"), limit=25)]
    for key in keys:
        found, expected = describe(corpus_run, corpus_database, key), explain(str(corpus_run), str(key))
        assert found["kept"] == expected.kept
        assert str(found["verdict"]) == str(expected.reasons)  # NaN is not NaN
        assert found["signals"] == expected.signals
        assert [(rule["rule"], rule["threshold"], rule["failed"]) for rule in found["rules"]] == [
            (rule.reason, rule.threshold, rule.failed) for rule in expected.rules
        ]
        values = [
            (rule["value"], rule_expected.value)
            for rule, rule_expected in zip(found["rules"], expected.rules, strict=True)
        ]
        assert all(str(a) == str(b) or abs(a - b) < 1e-6 for a, b in values if a is not None)
        copies = [*expected.stands_for, *([expected.kept_instead] if expected.kept_instead else [])]
        assert sorted(each["id"] for each in found["copies"]) == sorted(each["other"]["id"] for each in copies)
        changes = expected.edits or expected.cuts
        spans = {(each["kind"], each["start"], each["end"]) for each in found["spans"]}
        assert {(each["kind"], each["start"], each["end"]) for each in changes} <= spans
        assert len([each for each in found["spans"] if each["item"]]) == len(expected.contamination)


def test_some_document_of_the_corpus_has_each_kind_of_mark(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Personal data and benchmark items of the example corpus are marked in the text they stand in."""
    kinds: set[str] = set()
    for key in corpus_database.keys(Filter(), after=None, limit=1000):
        found = describe(corpus_run, corpus_database, key)
        assert "".join(piece for piece, _ in found["text"]) == read_document(corpus_run, key)["text"]
        kinds |= {kind.partition(":")[0] for _, names in found["text"] for kind in names}
    assert {"pii", "benchmark"} <= kinds


def test_pieces_are_the_text() -> None:
    """Overlapping spans cut the text into pieces that say which spans are around them."""
    spans = [
        {"kind": "a", "start": 1, "end": 4},
        {"kind": "b", "start": 3, "end": 6},
        {"kind": "c", "start": 5, "end": 99},
    ]
    pieces = marked("春夏秋冬🌙日月", spans)
    assert pieces == [["春", []], ["夏秋", ["a"]], ["冬", ["a", "b"]], ["🌙", ["b"]], ["日", ["b", "c"]], ["月", ["c"]]]
    assert marked("", []) == []


def test_only_the_row_group_that_holds_it_is_read(
    corpus_run: Path, corpus_database: RunDatabase, tmp_path: Path
) -> None:
    """A document in a sound row group is shown although another row group of its file is damaged."""
    run = shutil.copytree(corpus_run, tmp_path / "run")
    path = max((run / "documents").glob("part-*.parquet"), key=lambda each: pq.read_metadata(each).num_rows)
    table = pq.read_table(path)
    pq.write_table(table, path, row_group_size=10, compression="zstd")
    column = pq.read_metadata(path).row_group(0).column(table.column_names.index("text"))
    data = bytearray(path.read_bytes())
    data[column.data_page_offset : column.data_page_offset + column.total_compressed_size] = (
        b"\xff" * column.total_compressed_size
    )
    path.write_bytes(data)
    last = table["key"][-1].as_py()
    assert "".join(piece for piece, _ in describe(run, corpus_database, last)["text"]) == table["text"][-1].as_py()
    with pytest.raises(InputError, match="cannot be read any more"):
        describe(run, corpus_database, table["key"][0].as_py())


def test_a_document_that_is_not_there(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """A key of no document, and a key of one whose file is gone, are said to be so."""
    with pytest.raises(InputError, match="no document with key 12345678901"):
        describe(corpus_run, corpus_database, 12345678901)
    with pytest.raises(InputError, match="cannot be read any more"):
        read_document(corpus_run.parent, corpus_database.keys(Filter(), after=None, limit=1)[0])
