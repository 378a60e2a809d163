"""What the card holds, against the tables it was read from."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.dashboards.card import MAX_SOURCES, OTHER_SOURCES, run_card
from ctllm.schemas.files import read_json
from ctllm.schemas.rules import ZhRules

MakeRun = Callable[..., Path]


def test_card_holds_the_statistics_unchanged(make_run: MakeRun) -> None:
    """A run with few sources is shown row by row: the funnel, the rules and the accounts are those of stats/."""
    run = make_run()
    card = run_card(str(run))
    funnel = pq.read_table(run / "stats" / "funnel.parquet").to_pylist()
    assert sorted(card["funnel"]) == sorted(list(row.values()) for row in funnel)
    rules = pq.read_table(run / "stats" / "rules.parquet").to_pylist()
    assert sorted(map(str, card["rule_counts"])) == sorted(str(list(row.values())) for row in rules)
    assert card["accounts"] == read_json(str(run / "stats" / "stats.json"))["accounts"]
    assert card["num_merged_sources"] == 0


def test_edits_are_added_up_over_sources(make_run: MakeRun) -> None:
    """The card holds every edit of the run once, under its lane and kind."""
    run = make_run()
    card = run_card(str(run))
    table = pq.read_table(run / "stats" / "edits.parquet")
    assert len({tuple(row[:2]) for row in card["edits"]}) == len(card["edits"])
    for at, name in enumerate(("documents", "edits", "replaced", "chars"), start=2):
        assert sum(row[at] for row in card["edits"]) == pc.sum(table[name]).as_py()


def test_many_sources_are_added_up(make_run: MakeRun) -> None:
    """Of more sources than a page can show the largest stay and the rest is one row; no document is lost by it."""
    run = make_run(3000, sources=200)
    card = run_card(str(run))
    table = pq.read_table(run / "stats" / "funnel.parquet")
    names = {row[0] for row in card["funnel"]}
    assert len(names) == MAX_SOURCES
    assert OTHER_SOURCES in names
    assert card["num_merged_sources"] == len(set(table["source"].to_pylist())) - MAX_SOURCES + 1
    for at, name in enumerate(("documents", "chars", "tokens"), start=4):
        assert sum(row[at] for row in card["funnel"]) == pc.sum(table[name]).as_py()


def test_rules_and_stages_stand_in_their_order(make_run: MakeRun) -> None:
    """Rules come in the order they run and stages in the order of the work, although manifests sort their keys."""
    card = run_card(str(make_run()))
    assert [rule[0] for rule in card["rules"]["zh"]] == list(ZhRules.model_fields)
    assert card["rules"]["zh"][0] == ["min_num_chars", "num_chars", True, ZhRules().min_num_chars]
    assert [stage["stage"] for stage in card["stages"]] == ["measure", "pairs", "lines", "decide", "publish"]


def test_keys_survive_javascript(make_run: MakeRun) -> None:
    """Document keys and cluster numbers have 64 bits, JavaScript's numbers 53: they are written as text."""
    card = run_card(str(make_run()))
    assert all(isinstance(sample["key"], str) for sample in card["samples"])
    assert all(isinstance(cluster["cluster_id"], str) for cluster in card["clusters"]["examples"])
    assert int(card["samples"][0]["key"]) >= 1 << 63


def test_inputs_are_summed_by_source(make_run: MakeRun) -> None:
    """Inputs are listed as source, format, files and bytes; a file in several splits counts once."""
    card = run_card(str(make_run(hostile=False)))
    assert ["news", "jsonl", 1, 5 << 20] in card["inputs"]
