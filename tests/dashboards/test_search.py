"""Search in texts, against Python's own on all documents."""

import re
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.dashboards.queries import Filter, RunDatabase
from ctllm.dashboards.search import Query, search
from ctllm.schemas.errors import ConfigError


@pytest.fixture(scope="module")
def texts(corpus_run: Path) -> dict[int, str]:
    """The text of every document by key."""
    rows = pq.read_table(corpus_run / "documents", columns=["key", "text"]).to_pylist()
    return {row["key"]: row["text"] for row in rows}


def found_keys(
    run: Path, database: RunDatabase, query: Query, *, chosen: Filter | None = None, limit: int = 7
) -> list[int]:
    """Keys of all hits, page after page."""
    keys: list[int] = []
    after: int | None = None
    while True:
        answer = search(run, database, query, chosen=chosen or Filter(), after=after, limit=limit)
        keys += [int(hit["key"]) for hit in answer["hits"]]
        if answer["after"] is None:
            return keys
        after = int(answer["after"])


@pytest.mark.parametrize("words", ["的", "function", "a.b(", "\\", "中国", "没有这样的话"])
def test_words_are_found_as_they_stand(
    words: str, corpus_run: Path, corpus_database: RunDatabase, texts: dict[int, str]
) -> None:
    """Every document that holds the words, once, in order of key; marks of patterns are marks."""
    expected = sorted(key for key, text in texts.items() if words.lower() in text.lower())
    assert found_keys(corpus_run, corpus_database, Query(words)) == expected


@pytest.mark.parametrize("pattern", [r"\d{4}年", r"^def \w+\(", r"(?m)^def \w+\(", r"[一-龥]{40}", "The|the"])
def test_patterns_are_found(
    pattern: str, corpus_run: Path, corpus_database: RunDatabase, texts: dict[int, str]
) -> None:
    """Every document that the pattern matches, where case counts."""
    expected = sorted(key for key, text in texts.items() if re.search(pattern, text))
    assert found_keys(corpus_run, corpus_database, Query(pattern, is_regex=True, case=True)) == expected


def test_filters_hold_for_texts_too(corpus_run: Path, corpus_database: RunDatabase, texts: dict[int, str]) -> None:
    """Only documents of the chosen lane and outcome are looked at."""
    verdicts = pq.read_table(corpus_run / "verdicts").to_pylist()
    chosen = {row["key"] for row in verdicts if row["lane"] == "zh" and not row["kept"]}
    expected = sorted(key for key in chosen if "的" in texts[key])
    assert found_keys(corpus_run, corpus_database, Query("的"), chosen=Filter(lane="zh", outcome="removed")) == expected


def test_a_search_ends_in_time_and_goes_on(
    corpus_run: Path, corpus_database: RunDatabase, texts: dict[int, str]
) -> None:
    """Out of time, the answer says how far it came; going on from there finds the rest, nothing twice."""
    after, keys, looked_at, rounds = None, [], 0, 0
    while True:
        answer = search(corpus_run, corpus_database, Query("的"), chosen=Filter(), after=after, limit=1000, limit_s=0)
        keys += [int(hit["key"]) for hit in answer["hits"]]
        looked_at, rounds = looked_at + answer["looked_at"], rounds + 1
        if answer["after"] is None:
            break
        after = int(answer["after"])
    assert rounds > 10
    assert looked_at == len(texts)
    assert keys == sorted(key for key, text in texts.items() if "的" in text)


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2000}", r"(a)\1"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    """A broken pattern, one that is too large and one that RE2 has not are named before any file is read."""
    with pytest.raises(ConfigError, match="not a pattern of RE2"):
        Query(pattern, is_regex=True)


def test_a_hostile_pattern_takes_no_longer() -> None:
    """What takes other engines years on 30 characters takes RE2 no time on 100,000."""
    started = time.process_time()
    assert not Query("(x+x+)+y", is_regex=True).found_in(pa.array(["x" * 100_000]))[0]
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        (Query("黄河"), "上游黄河中游", ["上游", "黄河", "中游"]),
        (Query("B"), "abc", ["a", "b", "c"]),
        (Query(r"\d+", is_regex=True), "价格 120 元", ["价格 ", "120", " 元"]),
        (Query("(b)(c)", is_regex=True), "abcd", ["a", "bc", "d"]),
        (Query("."), "第1.5章", ["第1", ".", "5章"]),
    ],
)
def test_the_hit_is_shown_among_its_neighbours(query: Query, text: str, expected: list[str]) -> None:
    """Before, hit, after; characters of several bytes are never cut."""
    assert query.snippet(text) == expected


def test_lengths_are_bounded() -> None:
    """Nothing, and more than 500 characters, is not looked for."""
    for text in ("", "x" * 501):
        with pytest.raises(ConfigError, match="between 1 and 500"):
            Query(text)
