"""What one run kept, or two runs side by side: kept amounts, the funnel and the rules, from their statistics alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ctllm.pipelines.run_directory import read_run
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join, read_parquet

UNITS = ("documents", "chars", "tokens")


@dataclass(frozen=True)
class KeptRow:
    """One source and lane: what was read of it, and what each run keeps, one value per run."""

    source: str
    lane: str
    documents: tuple[int, ...]
    kept_documents: tuple[int, ...]
    kept_chars: tuple[int, ...]
    kept_tokens: tuple[int, ...]


@dataclass(frozen=True)
class FunnelRow:
    """Documents of one source and lane with one outcome and first reason, one count per run."""

    source: str
    lane: str
    outcome: str
    reason: str
    documents: tuple[int, ...]


@dataclass(frozen=True)
class RuleRow:
    """One rule of one lane over all sources, one value per run; a threshold is None where the rule is off."""

    lane: str
    reason: str
    thresholds: tuple[float | None, ...]
    failing: tuple[int, ...]
    only: tuple[int, ...]


@dataclass(frozen=True)
class Comparison:
    """The statistics of one or more runs, row by row."""

    runs: tuple[str, ...]
    kept: list[KeptRow]
    funnel: list[FunnelRow]
    rules: list[RuleRow]


def compare(paths: Sequence[str]) -> Comparison:
    """The runs at `paths` beside each other. Raises InputError for a directory that is no finished run."""
    funnels, rules, thresholds = [], [], []
    for path in paths:
        rule_sets = read_run(path).config.deciding_rules.by_lane()
        thresholds.append({
            (lane, rule.name): rule.threshold for lane, ruleset in rule_sets.items() for rule in ruleset.rules()
        })  # fmt: skip
        funnels.append(_rows(path, "funnel"))
        rules.append(_rows(path, "rules"))
    return Comparison(tuple(paths), _kept(funnels), _funnel(funnels), _rules(rules, thresholds))


def _rows(path: str, name: str) -> list[dict[str, Any]]:
    file = join(path, "stats", f"{name}.parquet")
    if not exists(file):
        raise InputError(f"{path}: has no statistics yet; run the same `ctllm curate` again until it ends")
    table: pa.Table = read_parquet(file)
    return table.to_pylist()  # type: ignore[no-any-return]


def _kept(funnels: Sequence[list[dict[str, Any]]]) -> list[KeptRow]:
    read = [_added(rows, ("source", "lane"), "documents", outcomes=("kept", "removed")) for rows in funnels]
    kept = {unit: [_added(rows, ("source", "lane"), unit, outcomes=("kept",)) for rows in funnels] for unit in UNITS}
    groups = sorted(set().union(*read))
    return [
        KeptRow(
            source=group[0],
            lane=group[1],
            documents=tuple(each[group] for each in read),
            kept_documents=tuple(each[group] for each in kept["documents"]),
            kept_chars=tuple(each[group] for each in kept["chars"]),
            kept_tokens=tuple(each[group] for each in kept["tokens"]),
        )
        for group in groups
    ]


def _funnel(funnels: Sequence[list[dict[str, Any]]]) -> list[FunnelRow]:
    names = ("source", "lane", "outcome", "reason")
    counts = [_added(rows, names, "documents") for rows in funnels]
    groups = sorted(set().union(*counts))
    return [
        FunnelRow(source, lane, outcome, reason, tuple(each[source, lane, outcome, reason] for each in counts))
        for source, lane, outcome, reason in groups
    ]


def _rules(
    rules: Sequence[list[dict[str, Any]]], thresholds: Sequence[dict[tuple[str, str], float | None]]
) -> list[RuleRow]:
    """In rule order; rules that refuse nothing and are the same in all runs are left out."""
    failing, only = ([_added(rows, ("lane", "reason"), name) for rows in rules] for name in ("failing", "only"))
    counted = [(lane, reason) for lane, reason in sorted(set().union(*failing))]
    groups = dict.fromkeys([*(group for each in thresholds for group in each), *counted])
    return [
        RuleRow(
            *(lane, reason),
            thresholds=tuple(each.get((lane, reason)) for each in thresholds),
            failing=tuple(each[lane, reason] for each in failing),
            only=tuple(each[lane, reason] for each in only),
        )
        for lane, reason in groups
        if (lane, reason) in counted or len({each.get((lane, reason)) for each in thresholds}) > 1
    ]


def _added(
    rows: Sequence[dict[str, Any]], names: Sequence[str], value: str, *, outcomes: Sequence[str] = ()
) -> Counter[tuple[str, ...]]:
    total: Counter[tuple[str, ...]] = Counter()
    for row in rows:
        if not outcomes or row["outcome"] in outcomes:
            total[tuple(row[name] for name in names)] += row[value]
    return total
