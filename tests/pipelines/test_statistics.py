"""Statistics: what the dashboards read adds up to what was read."""

from pathlib import Path

import numpy as np

from ctllm.pipelines.statistics import bin_edges
from ctllm.schemas import stats
from ctllm.schemas.files import read_json, read_parquet
from ctllm.schemas.signals import SIGNALS


def table(run: Path, name: str) -> list[dict[str, object]]:
    """Rows of one statistics table."""
    return read_parquet(str(run / "stats" / f"{name}.parquet")).to_pylist()  # type: ignore[no-any-return]


def test_funnel_counts_every_record_once(small_run: Path) -> None:
    """The funnel's documents add up to the records read, per outcome."""
    total: dict[object, int] = {}
    for row in table(small_run / "run", "funnel"):
        total[row["outcome"]] = total.get(row["outcome"], 0) + int(str(row["documents"]))
    assert total == {"kept": 8, "removed": 4, "failed": 2}


def test_rules_tell_failing_only_and_first(small_run: Path) -> None:
    """A rule's count says how often it fails, alone, and first."""
    rules = {row["reason"]: row for row in table(small_run / "run", "rules")}
    assert {name: rules["exact_duplicate"][name] for name in ("failing", "only", "first")} == {
        "failing": 1, "only": 1, "first": 1,
    }  # fmt: skip
    for row in rules.values():
        for unit in ("", "_chars", "_tokens"):
            assert row[f"only{unit}"] <= row[f"first{unit}"] <= row[f"failing{unit}"]  # type: ignore[operator]


def test_rules_cost_the_characters_of_what_they_refuse(small_run: Path) -> None:
    """What a rule refuses is counted in characters and tokens too: here a scrap and one sentence said three times."""
    (row,) = [row for row in table(small_run / "run", "rules") if row["reason"] == "min_num_chars"]
    counts = [row[name + unit] for unit in ("", "_chars", "_tokens") for name in ("failing", "only", "first")]
    assert counts == [2, 0, 2, 4 + 141, 0, 4 + 141, 2 + 81, 0, 2 + 81]


def test_histograms_hold_every_measured_document(small_run: Path) -> None:
    """Every signal's histogram holds each document of the lane once."""
    counts: dict[object, int] = {}
    for row in table(small_run / "run", "histograms"):
        if row["lane"] == "zh":
            counts[row["signal"]] = counts.get(row["signal"], 0) + int(str(row["documents"]))
    assert counts == dict.fromkeys([field.name for field in list(SIGNALS)[1:] if not field.nullable], 11)


def test_edits_are_counted_as_published(small_run: Path) -> None:
    """Every edit of the published files is counted once, under its source, lane and kind."""
    assert table(small_run / "run", "edits") == [
        {"source": "bad", "lane": "zh", "kind": "pii:mobile", "documents": 1, "edits": 1, "replaced": 1, "chars": 11}
    ]


def test_edges_cover_shares_and_counts() -> None:
    """Shares are binned from 0 to 1, counts by powers of ten; edges rise."""
    for name in SIGNALS.names[1:]:
        assert (np.diff(bin_edges(name)) > 0).all()
    assert (bin_edges("han_share")[0], bin_edges("han_share")[-1]) == (0.0, 1.0)


def test_tables_have_their_schemas_and_parts_are_gone(small_run: Path) -> None:
    """Merged tables follow schemas/stats.py; the parts they came from are removed."""
    run = small_run / "run"
    for name, schema in (
        ("funnel", stats.FUNNEL),
        ("rules", stats.RULES),
        ("samples", stats.SAMPLES),
        ("clusters", stats.CLUSTERS),
        ("edits", stats.EDITS),
    ):
        assert read_parquet(str(run / "stats" / f"{name}.parquet")).schema.equals(schema)
    assert not (run / "stats" / "parts").exists()
    assert read_json(str(run / "stats" / "stats.json"))["clusters"] == {
        "count": 2, "removed": 2, "removed_exact": 1, "removed_near": 1, "removed_url": 0, "largest": 2,
        "sizes": {"2": 2},
    }  # fmt: skip
