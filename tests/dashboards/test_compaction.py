"""The compacted tables, against the run's own."""

import random
import shutil
from collections import Counter
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ctllm.dashboards.compaction import compact, component_labels, database_path
from ctllm.dashboards.queries import Filter, RunDatabase
from ctllm.schemas.document import LANES
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_json, write_json


def test_every_document_is_there_once_with_its_verdict(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Lane, outcome and every reason of each document are those of `verdicts/`."""
    verdicts = pq.read_table(corpus_run / "verdicts").to_pylist()
    shown = [
        each for part in (None, *_later(corpus_database)) for each in corpus_database.documents(Filter(), after=part)
    ]
    assert [int(each["key"]) for each in shown] == sorted(row["key"] for row in verdicts)
    by_key = {int(each["key"]): each for each in shown}
    for row in verdicts:
        each = by_key[row["key"]]
        assert (each["lane"], each["kept"]) == (row["lane"], row["kept"])
        assert sorted(each["reasons"]) == sorted(reason["reason"] for reason in row["reasons"])


def _later(database: RunDatabase) -> list[int]:
    """The last key of every page but the last."""
    keys = database.keys(Filter(), after=None, limit=10_000)
    return keys[49 : len(keys) - 1 : 50]


def test_amounts_of_kept_documents_are_those_of_the_funnel(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Characters and estimated tokens, which cuts make fewer, add up to `stats/funnel.parquet` to the last one."""
    funnel = pq.read_table(corpus_run / "stats" / "funnel.parquet")
    kept = funnel.filter(pc.equal(funnel["outcome"], "kept")).to_pylist()
    expected: Counter[tuple[str, str]] = Counter()
    for row in kept:
        for unit in ("documents", "chars", "tokens"):
            expected[row["lane"], unit] += row[unit]
    amounts = "count(*) AS documents, sum(chars) AS chars, sum(tokens) AS tokens"
    rows = corpus_database.rows(f"SELECT lane, {amounts} FROM documents WHERE kept GROUP BY lane", {})
    found = Counter(
        {(LANES[row["lane"]], unit): row[unit] for row in rows for unit in ("documents", "chars", "tokens")}
    )
    assert found == expected


def test_a_changed_run_is_compacted_anew(corpus_run: Path, tmp_path: Path) -> None:
    """An unchanged run opens what is there; after a change of its manifest a new database takes the old one's place."""
    run = shutil.copytree(corpus_run, tmp_path / "run")
    first = compact(run, cache=tmp_path / "cache")
    written = first.stat().st_mtime_ns
    assert compact(run, cache=tmp_path / "cache") == first
    assert first.stat().st_mtime_ns == written
    manifest = read_json(str(run / "manifest.json"))
    manifest["stages"]["decide"]["seconds"] = 99.0
    write_json(str(run / "manifest.json"), manifest)
    second = compact(run, cache=tmp_path / "cache")
    assert second != first
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [second.name]


def test_an_undecided_run_is_refused(corpus_run: Path, tmp_path: Path) -> None:
    """A run that has no verdicts yet says so."""
    run = tmp_path / "run"
    shutil.copytree(corpus_run, run, ignore=shutil.ignore_patterns("verdicts"))
    with pytest.raises(InputError, match="not decided yet"):
        database_path(run, cache=tmp_path)


def test_a_broken_table_leaves_nothing_behind(corpus_run: Path, tmp_path: Path) -> None:
    """A shard that was cut off is named, and no half of a database stays."""
    run = shutil.copytree(corpus_run, tmp_path / "run")
    shard = sorted((run / "signals").glob("part-*.parquet"))[-1]
    shard.write_bytes(shard.read_bytes()[:-20])
    with pytest.raises(InputError, match=rf"cannot be read .*{shard.name}"):
        compact(run, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_components_are_those_of_a_plain_search() -> None:
    """Labels agree with a search from every node, on random graphs and on a chain, which is the worst for labels."""
    dice = random.Random(3)
    chain = [(node, node + 1) for node in range(199)]
    dice.shuffle(chain)
    graphs = [[(dice.randrange(200), dice.randrange(200)) for _ in range(count)] for count in (0, 40, 150)]
    for edges in [*graphs, chain]:
        labels = component_labels(np.array(edges, np.int64).reshape(-1, 2).T, num_nodes=200)
        assert labels.tolist() == _plain_labels(edges, num_nodes=200)


def _plain_labels(edges: list[tuple[int, int]], *, num_nodes: int) -> list[int]:
    labels = list(range(num_nodes))
    for start in range(num_nodes):
        seen, queue = {start}, [start]
        while queue:
            node = queue.pop()
            near = {b if a == node else a for a, b in edges if node in (a, b)} - seen
            seen |= near
            queue += near
        labels[start] = min(seen)
    return labels


def test_the_database_holds_no_text(corpus_run: Path, tmp_path: Path) -> None:
    """The cache in the user's directory has ids and URLs, and no column of text."""
    with duckdb.connect(str(compact(corpus_run, cache=tmp_path)), read_only=True) as database:
        columns = {
            row[0] for row in database.execute("SELECT column_name FROM duckdb_columns() WHERE NOT internal").fetchall()
        }
    assert "text" not in columns
    assert {"id", "url", "failing", "s_digit_share"} <= columns
