"""What other thresholds would keep, over all documents of a run, from its compacted database.

A rule that is changed is looked at again in every document; of all others it is known which documents they refuse. So
a question reads the signals of the changed rules only. What passes the rules is exact. Of several copies one stays, and
which one depends on all of its group: groups whose documents meet another outcome are counted from least to most.
"""

from collections.abc import Mapping
from typing import Any

from ctllm.dashboards.queries import SHOWN, RunDatabase
from ctllm.schemas.document import LANES
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.rules import OVERLAP_RULE, Rule
from ctllm.schemas.signals import SIGNALS

Changes = Mapping[tuple[str, str], float | None]
"""(lane, rule) to another threshold; None switches the rule off."""

BORDER_DOCUMENTS = 4  # of each rule and direction: what one reads before the next try
UNITS = ("documents", "chars", "tokens")

_JUDGED = """
WITH judged AS (
  SELECT lane, chars, tokens, kept, failing = 0 AS passed, {passes} AS passes, component, component_size AS size,
    is_after_earlier FROM documents),
open AS (
  SELECT component FROM judged WHERE component IS NOT NULL GROUP BY component HAVING bool_or(passes <> passed)),
own AS (
  SELECT component, lane, any_value(size) AS size, bool_or(is_after_earlier) AS is_after_earlier,
    count(*) AS num, min(chars) AS min_chars, max(chars) AS max_chars, sum(chars) AS chars,
    min(tokens) AS min_tokens, max(tokens) AS max_tokens, sum(tokens) AS tokens
  FROM judged WHERE passes AND component IN (SELECT component FROM open) GROUP BY component, lane),
alone AS (
  SELECT *, sum(num) OVER (PARTITION BY component) = num AND NOT is_after_earlier AS has_one,
    size = 2 AND is_after_earlier AS has_none, size = 2 OR num = 1 AS has_at_most_one FROM own)
"""
_GROUPS = """
SELECT lane, (SELECT count(*) FROM open) AS open_groups,
  sum(has_one::INT) AS least_documents, sum(CASE WHEN has_one THEN min_chars END) AS least_chars,
  sum(CASE WHEN has_one THEN min_tokens END) AS least_tokens,
  sum(CASE WHEN has_none THEN 0 WHEN has_at_most_one THEN 1 ELSE num END) AS most_documents,
  sum(CASE WHEN has_none THEN 0 WHEN has_at_most_one THEN max_chars ELSE chars END) AS most_chars,
  sum(CASE WHEN has_none THEN 0 WHEN has_at_most_one THEN max_tokens ELSE tokens END) AS most_tokens
FROM alone GROUP BY lane
"""
_IS_SETTLED = "CASE WHEN component IS NULL THEN passes ELSE component NOT IN (SELECT component FROM open) AND kept END"
_SETTLED = """
SELECT lane, count(*) AS documents,
  count(*) FILTER (passed AND NOT passes) AS newly_removed, count(*) FILTER (passes AND NOT passed) AS newly_kept,
  {sums}
FROM judged GROUP BY lane ORDER BY lane
"""
_BORDER = """
WITH judged AS (
  SELECT *, failing = 0 AS passed, {passes} AS passes, {signal} AS value FROM documents WHERE lane = $border_lane),
changed AS (
  SELECT *, CASE WHEN passed THEN 'newly_removed' ELSE 'newly_kept' END AS change,
    row_number() OVER (PARTITION BY passed ORDER BY abs(value - $near), key) AS rank
  FROM judged WHERE passed <> passes AND {decides})
SELECT {shown}, change, value FROM changed WHERE rank <= {limit} ORDER BY change DESC, rank
"""


def what_if(database: RunDatabase, changes: Changes) -> dict[str, Any]:
    """What each lane keeps now and would keep under `changes`. Raises ConfigError for a rule that the run has not."""
    passes, values = _passes(database, changes)
    sums = ", ".join(
        f"sum({'1' if unit == 'documents' else unit}) FILTER ({test}) AS {name}_{unit}"
        for unit in UNITS
        for name, test in (("passed", "passed"), ("passes", "passes"), ("kept", "kept"), ("settled", _IS_SETTLED))
    )
    judged = _JUDGED.format(passes=passes)
    groups = {row["lane"]: row for row in database.rows(judged + _GROUPS, values)}
    rows = database.rows(judged + _SETTLED.format(sums=sums), values)
    return {
        "lanes": [_lane(row, groups.get(row["lane"], {})) for row in rows],
        "documents": sum(row["documents"] for row in rows),
        "open_groups": max((row["open_groups"] for row in groups.values()), default=0),
        "overrides": [f"{database.config_key(lane, rule)}={_yaml(bound)}" for (lane, rule), bound in changes.items()],
    }


def border(database: RunDatabase, changes: Changes) -> list[dict[str, Any]]:
    """Documents that pass the rules now and would not, or the other way round: of each changed rule the nearest to it.

    Raises ConfigError for a rule that the run has not.
    """
    passes, values = _passes(database, changes)
    found = []
    for (lane, name), bound in changes.items():
        rule = _rule(database, lane, name)
        bit = database.bit(lane, name)
        fails = f"coalesce({_fails(rule, '$decider')}, false)" if bound is not None else "false"
        query = _BORDER.format(
            passes=passes,
            signal=f"s_{rule.signal}",
            decides=f"(({fails}) <> (failing & {1 << bit}::UBIGINT <> 0))",
            shown=SHOWN,
            limit=BORDER_DOCUMENTS,
        )
        near = rule.threshold if bound is None else bound
        rows = database.rows(query, {**values, "near": near, "decider": bound, "border_lane": LANES.index(lane)})
        found += [
            database.shown(row)
            | {
                "change": row["change"],
                "rule": name,
                "value": row["value"],
                "bound": near,
                "is_minimum": rule.is_minimum,
            }
            for row in rows
        ]
    return found


def _passes(database: RunDatabase, changes: Changes) -> tuple[str, dict[str, float]]:
    """SQL that says whether a document passes the rules under `changes`, and the thresholds that it names."""
    branches, values = [], {}
    for lane in dict.fromkeys(lane for lane, _ in changes):
        tests, changed = [], 0
        for (each, name), bound in changes.items():
            if each != lane:
                continue
            rule = _rule(database, lane, name)
            bit = database.bit(lane, name)
            changed |= 1 << bit
            if bound is not None:
                values[f"{lane}_{bit}_bound"] = bound
                tests.append(f"coalesce({_fails(rule, f'${lane}_{bit}_bound')}, false)")
        others = (1 << 63) - 1 - changed
        branches.append(
            f"WHEN {LANES.index(lane)} THEN failing & {others}::UBIGINT = 0 AND NOT ({' OR '.join(tests) or 'false'})"
        )
    return (f"CASE lane {' '.join(branches)} ELSE failing = 0 END" if branches else "failing = 0"), values


def _fails(rule: Rule, bound: str) -> str:
    """Shares are single precision: rounded alike, 0.1 as measured equals 0.1 as asked for."""
    kind = "FLOAT" if str(SIGNALS.field(rule.signal).type) == "float" else "DOUBLE"
    return f"s_{rule.signal} {'<' if rule.is_minimum else '>'} {bound}::{kind}"


def _rule(database: RunDatabase, lane: str, name: str) -> Rule:
    rules = {rule.name: rule for rule in database.rules.get(lane, [])}
    if name == OVERLAP_RULE and database.config.decontamination.action != "drop":
        raise ConfigError(f"{lane}.{name}: this run cuts or flags leaked items and removes no document for one")
    if name not in rules:
        raise ConfigError(f"{lane}.{name}: no rule of this run; those of {lane} are {', '.join(rules) or 'none'}")
    return rules[name]


def _lane(settled: Mapping[str, Any], groups: Mapping[str, Any]) -> dict[str, Any]:
    """One lane: documents that pass the rules now and then, those kept now, and then from least to most."""
    return {
        "lane": LANES[settled["lane"]],
        **{name: settled[name] for name in ("documents", "newly_removed", "newly_kept")},
        "amounts": {
            unit: {
                "passing": [int(settled[f"{name}_{unit}"] or 0) for name in ("passed", "passes")],
                "kept_now": int(settled[f"kept_{unit}"] or 0),
                "kept": [
                    int((settled[f"settled_{unit}"] or 0) + (groups.get(f"{end}_{unit}") or 0))
                    for end in ("least", "most")
                ],
            }
            for unit in UNITS
        },
    }


def _yaml(bound: float | None) -> str:
    return "null" if bound is None else f"{bound:g}"
