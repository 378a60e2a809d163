"""Explains one document completely: every signal, every rule with its threshold, and its copies."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.cuts import after_cuts, cut_chars
from ctllm.pipelines.differences import differences
from ctllm.pipelines.documents import fetch_documents
from ctllm.pipelines.judgement import read_duplicates
from ctllm.pipelines.run_directory import Run, read_run
from ctllm.pipelines.url_lists import category_of
from ctllm.schemas.document import row_of, split_of
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join, list_files, read_parquet

EXCERPT_CHARS = 400
MAX_DIFFERENCES = 10  # chosen: what one reads


@dataclass(frozen=True)
class Cost:
    """What one rule refuses in the document's lane, over the whole run."""

    documents: int
    """Of the lane."""
    failing: int
    only: int
    """Documents that fail this rule and no other."""


@dataclass(frozen=True)
class MetRule:
    """One rule of the document's lane as it met this document."""

    reason: str
    value: float | None
    """A length without what is cut out; None where the signal was not measured."""
    is_minimum: bool
    threshold: float | None
    """None is off."""
    failed: bool
    source: str
    """Where the number comes from."""
    cost: Cost | None
    """None for a rule that refuses nothing, and before the run has statistics."""


@dataclass(frozen=True)
class Explanation:
    """Everything the run knows about one document."""

    document: dict[str, Any]
    """The row of `documents/`, its text cut to an excerpt."""
    kept: bool
    reasons: list[dict[str, Any]]
    signals: dict[str, float | None]
    """Those that were measured."""
    rules: list[MetRule]
    url_category: str | None
    """The category of `url_lists` that names the document's URL."""
    kept_instead: dict[str, Any] | None
    """For a removed copy: the document that stands for it, with kind, jaccard, containment and where they differ."""
    stands_for: list[dict[str, Any]]
    """For a survivor: its copies."""
    contamination: list[dict[str, Any]]
    """Benchmark items in the text, best covered first: benchmark, item_id, overlap, start, end, covered characters."""
    cuts: list[dict[str, Any]]
    """What is cut out of the text before it is judged, or noted in it: kind, start, end, replacement."""
    edits: list[dict[str, Any]]
    """What was changed for the published text, redacted personal data too: kind, start, end, replacement."""


def explain(path: str, name: str) -> Explanation:
    """The document of run `path` whose id, URL or key is `name`. Raises InputError when there is none."""
    run = read_run(path)
    key = _find(run, name)
    split, row = int(split_of(np.array([key], np.uint64))[0]), row_of(key)
    document = fetch_documents(run, [key])[key]
    contamination = _contamination(run, split, document)
    text = document["text"]
    document["text"] = text[:EXCERPT_CHARS]
    _check_decided(run, split)
    cuts = _cuts(run, split, key)
    measured = read_parquet(run.part("signals", split)).slice(row, 1)
    signals = measured.to_pylist()[0]
    judged = after_cuts(measured, cut_chars(cuts, row + 1)[row:]).to_pylist()[0]
    verdict = read_parquet(run.part("verdicts", split)).slice(row, 1).to_pylist()[0]
    copies = _copies(run, key, text)
    return Explanation(
        document=document,
        kept=verdict["kept"],
        reasons=verdict["reasons"],
        signals={signal: value for signal, value in signals.items() if signal != "key" and value is not None},
        rules=_rules(run, document, judged, verdict["reasons"]),
        url_category=category_of(signals["url_list"], config=run.config.url_lists),
        kept_instead=next((copy for copy in copies if copy["key"] == key), None),
        stands_for=[copy for copy in copies if copy["kept_key"] == key],
        contamination=contamination,
        cuts=cuts.drop_columns(["key"]).to_pylist(),
        edits=_edits(run, document["lane"], split, key),
    )


def _check_decided(run: Run, split: int) -> None:
    if not exists(run.part("verdicts", split)):
        raise InputError(
            f"{run.path}: not decided yet; run the same `ctllm curate` again, or `ctllm decide {run.path}`"
        )


def _contamination(run: Run, split: int, document: dict[str, Any]) -> list[dict[str, Any]]:
    table = read_parquet(run.part("contamination", split))
    rows = table.filter(pc.equal(table["key"], document["key"])).drop_columns(["key"]).to_pylist()
    return [row | {"covered": document["text"][row["start"] : row["end"]]} for row in rows]


def _cuts(run: Run, split: int, key: int) -> pa.Table:
    table = read_parquet(run.part("cuts", split))
    return table.filter(pc.equal(table["key"], pa.scalar(key, pa.uint64())))


def _edits(run: Run, lane: str, split: int, key: int) -> list[dict[str, Any]]:
    path = run.part(join("curated", lane), split)
    if not exists(path):
        return []
    published = read_parquet(path, columns=["key", "edits"])
    found: list[list[dict[str, Any]]] = published.filter(pc.equal(published["key"], key))["edits"].to_pylist()
    return found[0] if found else []


def _find(run: Run, name: str) -> int:
    """The key of the first document named `name`, in key order."""
    for path in list_files(run.directory("documents"), suffix=".parquet"):
        table = read_parquet(path, columns=["key", "id", "url"])
        hit = pc.or_kleene(pc.equal(table["id"], name), pc.equal(table["url"], name))
        if name.isdecimal():
            hit = pc.or_kleene(hit, pc.equal(table["key"].cast("string"), name))
        found = table.filter(pc.fill_null(hit, False))
        if found.num_rows:
            return int(found["key"][0].as_py())
    raise InputError(f"{run.path}: no document with id, URL or key {name!r}; broken records are listed in failures/")


def _rules(
    run: Run, document: dict[str, Any], signals: dict[str, float | None], reasons: list[dict[str, Any]]
) -> list[MetRule]:
    ruleset = run.config.deciding_rules.of_lane(document["lane"])
    failed = {reason["reason"] for reason in reasons}
    costs = _costs(run, document["lane"])
    return [
        MetRule(
            reason=rule.name,
            value=signals[rule.signal],
            is_minimum=rule.is_minimum,
            threshold=rule.threshold,
            failed=rule.name in failed,
            source=type(ruleset).model_fields[rule.name].description or "",
            cost=costs.get(rule.name),
        )
        for rule in ruleset.rules()
    ]


def _costs(run: Run, lane: str) -> dict[str, Cost]:
    """What every rule of `lane` that refuses anything costs, from the run's statistics."""
    funnel, rules = (join(run.path, "stats", f"{name}.parquet") for name in ("funnel", "rules"))
    if not (exists(funnel) and exists(rules)):
        return {}
    counts = read_parquet(funnel, columns=["lane", "documents"])
    documents = pc.sum(counts.filter(pc.equal(counts["lane"], lane))["documents"]).as_py() or 0
    table = read_parquet(rules, columns=["lane", "reason", "failing", "only"])
    table = (
        table.filter(pc.equal(table["lane"], lane)).group_by("reason").aggregate([("failing", "sum"), ("only", "sum")])
    )
    return {row["reason"]: Cost(documents, row["failing_sum"], row["only_sum"]) for row in table.to_pylist()}


def _copies(run: Run, key: int, text: str) -> list[dict[str, Any]]:
    """Rows of `duplicates/` that name the document, each with the other document's id, URL and excerpt.

    That of the document kept instead has the `differences` of `text` from it, at most MAX_DIFFERENCES.
    """
    table = read_duplicates(run)
    named = pc.or_(pc.equal(table["key"], key), pc.equal(table["kept_key"], key))
    rows: list[dict[str, Any]] = table.filter(named).to_pylist()
    others = fetch_documents(run, [row["kept_key"] if row["key"] == key else row["key"] for row in rows])
    for row in rows:
        other = others[row["kept_key"] if row["key"] == key else row["key"]]
        row["other"] = {name: other[name] for name in ("id", "url", "source")} | {
            "excerpt": other["text"][:EXCERPT_CHARS]
        }
        if row["key"] == key:
            row["differences"] = differences(text, other["text"])[:MAX_DIFFERENCES]
    return rows
