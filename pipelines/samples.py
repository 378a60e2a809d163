"""Documents to look at: some of every lane and first reason, and those nearest to a bound, with what a rule counts.

A split names its candidates; the text of the few that are chosen is read when splits are merged. No excerpt shows
personal data that publishing redacts.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.documents import fetch_documents
from ctllm.pipelines.edits import apply_edits
from ctllm.pipelines.marks import find_marks
from ctllm.pipelines.privacy.redact import find_personal_data
from ctllm.pipelines.reasons import flatten
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.schemas.rules import OVERLAP_RULE, Rule, RulesConfig
from ctllm.schemas.stats import SAMPLES

EXCERPT_CHARS = 600
SAMPLES_PER_GROUP = 6  # per split, lane and first reason: enough to look at, small enough for one page
MAX_SAMPLES = 300
BORDER_PER_SIDE = 2  # documents kept and removed at each bound, per split and in the end
MAX_BORDER = 120
NUMBER_CHARS = 256  # more than a mail address or a number has, so that none is cut before it is seen
BORDER_DISTANCE = 0.25  # of the bound; chosen: what is further away stands at no border
MAX_MARKED_CHARS = 20_000  # of a text, from its beginning; an excerpt lies in them


def sampled_documents(
    judged: pa.Table, verdicts: pa.Table, first: np.ndarray, *, rules: RulesConfig
) -> list[dict[str, Any]]:
    """The candidates of a split: key, lane, kept, reasons, and the border where it stands at one.

    `judged` are the signals that the rules were asked for, `first` the first reason of each document. Of every lane and
    first reason those with the smallest mixed key: the same on every run.
    """
    keys, lanes = verdicts["key"].to_numpy(), verdicts["lane"].to_numpy()
    mixed = keys * np.uint64(0x9E3779B97F4A7C15)  # golden ratio: spreads consecutive keys
    groups = np.unique([f"{lane} {reason}" for lane, reason in zip(lanes, first, strict=True)], return_inverse=True)[1]
    order = np.lexsort([mixed, groups])
    place_in_group = np.arange(len(order)) - np.searchsorted(groups[order], groups[order])
    rows = order[place_in_group < SAMPLES_PER_GROUP]
    chosen: list[tuple[int, dict[str, Any] | None]] = [(row, None) for row in rows[np.argsort(mixed[rows])].tolist()]
    chosen += _border_rows(judged, verdicts, mixed, rules=rules)
    found: list[dict[str, Any]] = verdicts.take(pa.array([row for row, _ in chosen], pa.int64())).to_pylist()
    return [each | {"border": border} for each, (_, border) in zip(found, chosen, strict=True)]


def _border_rows(
    judged: pa.Table, verdicts: pa.Table, mixed: np.ndarray, *, rules: RulesConfig
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Kept documents, and documents that one rule alone refuses, nearest to its bound."""
    flat = flatten(verdicts["reasons"])
    kept, lanes = verdicts["kept"].to_numpy(), verdicts["lane"].to_numpy()
    only = np.where(flat.counts == 1, flat.first_names(), "")
    for lane, ruleset in rules.by_lane().items():
        for rule in ruleset.rules():
            if not rule.threshold or rule.name == OVERLAP_RULE:  # off, or a bound of 0, at which everything stands
                continue
            values = judged[rule.signal].to_numpy().astype(np.float64)
            distances = np.abs(values - rule.threshold) / rule.threshold
            for members in (kept, only == rule.name):
                near = np.flatnonzero(members & (lanes == lane) & (distances <= BORDER_DISTANCE))
                for row in near[np.lexsort([mixed[near], distances[near]])][:BORDER_PER_SIDE].tolist():
                    yield row, {"reason": rule.name, "value": values[row].item(), "threshold": rule.threshold}


def merge_sampled(run: Run, parts: Sequence[Sequence[dict[str, Any]]]) -> pa.Table:
    """SAMPLES of the run from the candidates of its splits."""
    candidates = [each for part in parts for each in part]
    chosen = {each["key"]: each for each in _by_group(each for each in candidates if not each["border"])}
    for each in _at_borders(each for each in candidates if each["border"]):
        chosen[each["key"]] = each
    documents = fetch_documents(run, list(chosen), columns=["id", "url", "source", "text"])
    texts = masked([documents[key]["text"] for key in chosen], run, num_chars=MAX_MARKED_CHARS)
    vocabulary = SpamVocabulary(run.config.vocabularies)
    by_lane = run.config.deciding_rules.by_lane()
    rules = {(lane, rule.name): rule for lane, ruleset in by_lane.items() for rule in ruleset.rules()}
    rows = []
    for (key, each), text in zip(chosen.items(), texts, strict=True):
        names = [reason["reason"] for reason in [*each["reasons"], *([each["border"]] if each["border"] else [])]]
        counted = [rules[each["lane"], name] for name in dict.fromkeys(names) if (each["lane"], name) in rules]
        rows.append(
            {name: documents[key][name] for name in ("key", "id", "url", "source")}
            | {name: each[name] for name in ("lane", "kept")}
            | {"reasons": json.dumps(each["reasons"]), "border": each["border"] and json.dumps(each["border"])}
            | _excerpt(text, counted, vocabulary)
        )
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def _by_group(candidates: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    groups: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for each in candidates:
        groups[each["lane"], each["reasons"][0]["reason"] if each["reasons"] else ""].append(each)
    share = max(1, MAX_SAMPLES // max(len(groups), 1))
    return [each for _, group in sorted(groups.items()) for each in group[:share]]


def _at_borders(candidates: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The nearest on each side of every bound, then the second nearest of each, as many as there is room for."""

    def distance(each: dict[str, Any]) -> float:
        border = each["border"]
        return abs(float(border["value"]) - float(border["threshold"])) / float(border["threshold"])

    sides: defaultdict[tuple[str, str, bool], list[dict[str, Any]]] = defaultdict(list)
    for each in sorted(candidates, key=lambda each: (distance(each), each["key"])):
        sides[each["lane"], each["border"]["reason"], each["kept"]].append(each)
    ranked = [(rank, side, each) for side, group in sides.items() for rank, each in enumerate(group[:BORDER_PER_SIDE])]
    return [each for _, _, each in sorted(ranked, key=lambda entry: entry[:2])[:MAX_BORDER]]


def _excerpt(text: str, rules: Sequence[Rule], vocabulary: SpamVocabulary) -> dict[str, Any]:
    """Excerpt, where it begins, and the marks of each rule in it, in characters of the excerpt."""
    found = {rule.name: find_marks(text, rule.signal, vocabulary=vocabulary) for rule in rules}
    marked = np.zeros(len(text) + EXCERPT_CHARS + 1, np.int32)
    for start, end in (span for spans in found.values() for span in spans or []):
        marked[start + 1 : end + 1] = 1
    before = np.cumsum(marked)
    begins = [0, *(at + 1 for at, character in enumerate(text[:-EXCERPT_CHARS]) if character == "\n")]
    start = max(begins, key=lambda at: (before[at + EXCERPT_CHARS] - before[at], -at))
    end = start + EXCERPT_CHARS
    marks = {
        name: [[max(a, start) - start, min(b, end) - start] for a, b in spans if a < end and b > start]
        for name, spans in found.items()
        if spans is not None
    }
    return {"excerpt": text[start:end], "excerpt_start": start, "marks": json.dumps(marks, separators=(",", ":"))}


def masked(texts: Sequence[str], run: Run, *, num_chars: int) -> list[str]:
    """The first characters of the texts, with what the run redacts of personal data redacted, half numbers too."""
    heads = [text[: num_chars + NUMBER_CHARS] for text in texts]
    edits = find_personal_data(pa.array(heads, pa.large_string()), config=run.config.privacy)
    return [apply_edits(head, edits.get(row, []))[:num_chars] for row, head in enumerate(heads)]
