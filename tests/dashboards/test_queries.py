"""Lists and groups out of the compacted tables, against the run's own tables."""

from collections import Counter
from pathlib import Path

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ctllm.dashboards import queries
from ctllm.dashboards.queries import Filter, RunDatabase
from ctllm.schemas.errors import ConfigError, InputError


def test_filters_find_what_the_tables_hold(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """By lane, outcome, any reason, source, and part of an id or URL whatever its case."""
    verdicts = pq.read_table(corpus_run / "verdicts").to_pylist()
    documents = pq.read_table(corpus_run / "documents", columns=["key", "id", "url", "source"]).to_pylist()
    reason = Counter(each["reason"] for row in verdicts for each in row["reasons"]).most_common(1)[0][0]
    source = documents[0]["source"]
    part = documents[5]["id"][2:8].upper()

    def refused_for(name: str) -> int:
        return sum(any(each["reason"] == name for each in row["reasons"]) for row in verdicts)

    cases = [
        (Filter(lane="en", outcome="kept"), sum(row["lane"] == "en" and row["kept"] for row in verdicts)),
        (Filter(outcome="removed"), sum(not row["kept"] for row in verdicts)),
        (Filter(reason=reason), refused_for(reason)),
        (Filter(reason="near_duplicate"), refused_for("near_duplicate")),
        (Filter(reason="other_language"), refused_for("other_language")),
        (Filter(source=source), sum(row["source"] == source for row in documents)),
        (Filter(name=part), sum(part.lower() in f"{row['id']}\n{row['url']}".lower() for row in documents)),
        (Filter(name=str(documents[-1]["key"])), 1),
    ]
    for chosen, expected in cases:
        assert expected > 0
        assert corpus_database.count(chosen) == expected


def test_text_in_a_filter_is_only_text(corpus_database: RunDatabase) -> None:
    """Quotes and wild cards of SQL are looked for as they stand."""
    for name in ("' OR 1=1 --", "%", "_", '"; DROP TABLE documents; --'):
        assert corpus_database.count(Filter(name=name)) in (
            0,
            sum(name in (each["url"] or "") + each["id"] for each in _all(corpus_database)),
        )


def _all(database: RunDatabase) -> list[dict[str, object]]:
    keys = database.keys(Filter(), after=None, limit=10_000)
    return list(database.named(keys).values())


def test_wrong_choices_are_refused(corpus_database: RunDatabase) -> None:
    """A lane, reason, kind, source or signal that is none is named."""
    for chosen in (Filter(lane="fr"), Filter(reason="max_nothing")):
        with pytest.raises(ConfigError, match=r"fr|max_nothing"):
            corpus_database.count(chosen)
    with pytest.raises(ConfigError, match="kind 'x'"):
        corpus_database.clusters(kind="x", offset=0)
    with pytest.raises(InputError, match="no source 'nowhere'"):
        corpus_database.histogram("nowhere", "num_chars")
    with pytest.raises(ConfigError, match="no rule of this run bounds it"):
        corpus_database.histogram(next(iter(corpus_database.sources)), "key FROM documents; --")


def test_clusters_are_those_of_duplicates(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Every cluster once, largest first, its members those of `duplicates/`."""
    copies = pq.read_table(corpus_run / "duplicates").to_pylist()
    answer = corpus_database.clusters(kind=None, offset=0, limit=500)
    assert answer["total"] == len(answer["clusters"]) == len({row["cluster_id"] for row in copies})
    sizes = [each["size"] for each in answer["clusters"]]
    assert sizes == sorted(sizes, reverse=True)
    for cluster in answer["clusters"][:5]:
        members = corpus_database.members(int(cluster["cluster"]))
        own = [row for row in copies if row["cluster_id"] == int(cluster["cluster"])]
        assert {int(each["key"]) for each in members if not each["stays"]} == {row["key"] for row in own}
        assert {int(each["key"]) for each in members if each["stays"]} == {row["kept_key"] for row in own}
    near = corpus_database.clusters(kind="near", offset=0, limit=500)["total"]
    assert near == len({row["cluster_id"] for row in copies if row["kind"] == "near"})


def test_one_source_adds_up(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """The reasons of one source are those of `stats/rules.parquet`, its histogram counts all its documents once."""
    funnel = pq.read_table(corpus_run / "stats" / "funnel.parquet")
    rules = pq.read_table(corpus_run / "stats" / "rules.parquet")
    for source in corpus_database.sources:
        own = rules.filter(pc.equal(rules["source"], source)).to_pylist()
        expected = {(row["lane"], row["reason"]): (row["failing"], row["only"]) for row in own}
        found = {(row["lane"], row["reason"]): (row["failing"], row["only"]) for row in corpus_database.reasons(source)}
        assert found == expected
        bins = corpus_database.histogram(source, "num_chars")
        read = funnel.filter(pc.and_(pc.equal(funnel["source"], source), pc.not_equal(funnel["outcome"], "failed")))
        assert sum(count for rows in bins.values() for _, _, count in rows) == (pc.sum(read["documents"]).as_py() or 0)


def test_the_database_reaches_no_other_file(corpus_run: Path, corpus_database: RunDatabase) -> None:
    """Whatever SQL ran there could read no file, write nothing and change no setting."""
    file = corpus_run / "manifest.json"
    for query in (
        f"SELECT * FROM read_text('{file}')",
        f"SELECT * FROM read_parquet('{corpus_run}/verdicts/*.parquet')",
        f"COPY documents TO '{corpus_run}/stolen.csv'",
        "ATTACH '/tmp/other.duckdb'",
        "SET enable_external_access = true",
        "DELETE FROM documents",
    ):
        with pytest.raises(duckdb.Error):
            corpus_database.rows(query, {})


def test_a_question_that_takes_too_long_is_given_up(
    corpus_database: RunDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query has a time limit; the database answers the next one."""
    monkeypatch.setattr(queries, "TIMEOUT_S", 0.2)
    with pytest.raises(ConfigError, match="took more than"):
        corpus_database.rows("SELECT count(*) FROM range(100000000000) a WHERE a.range % 7 = 3", {})
    assert corpus_database.rows("SELECT 1 AS one", {}) == [{"one": 1}]
