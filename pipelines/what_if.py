"""What other thresholds would keep: the same judgement as `decide`, in memory, beside the verdicts that are there.

Reads signals, lanes, pairs and verdicts, and the text of the few documents that are shown; writes nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ctllm.pipelines.documents import excerpt_of, fetch_documents
from ctllm.pipelines.judgement import (
    AMOUNT_SIGNALS,
    Amounts,
    Removed,
    amounts_by_lane,
    candidate_keys,
    copy_bounds,
    find_duplicates,
    judge_split,
    rank_candidates,
    ranked_type,
    source_ranks,
)
from ctllm.pipelines.reasons import FlatReasons, flatten
from ctllm.pipelines.run_directory import Run, measured_splits, read_run, under_overrides
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import read_parquet
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.verdict import COPIES

BORDER_DOCUMENTS = 5  # chosen: what one reads before the next try
EXCERPT_CHARS = 120


@dataclass(frozen=True)
class Fate:
    """How many documents one rule decides about anew, as their first reason."""

    lane: str
    reason: str
    threshold_now: float | None
    """None is off; of copies, the similarity that makes one."""
    threshold_then: float | None
    newly_removed: int
    newly_kept: int


@dataclass(frozen=True)
class BorderDocument:
    """A document whose fate changes, near the bound that decides it."""

    change: str
    """`newly_removed` or `newly_kept`."""
    lane: str
    reason: str
    value: float
    threshold: float
    """The bound that the value is nearest to: the new one, or the old one of a rule that is switched off."""
    key: int
    id: str
    url: str | None
    source: str
    excerpt: str


@dataclass(frozen=True)
class Group:
    """What is kept of one lane and source, now and then."""

    lane: str
    source: str
    now: Amounts
    then: Amounts


@dataclass(frozen=True)
class WhatIf:
    """The run as it is and as it would be."""

    groups: list[Group]
    fates: list[Fate]
    border: list[BorderDocument]


_Place = tuple[float, int, float, float]
"""Distance from the bound, key, value, bound."""


@dataclass
class _Changes:
    """What is gathered split by split."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """(change, lane, reason) to documents."""
    nearest: dict[tuple[str, str, str], list[_Place]] = field(default_factory=dict)
    """(change, lane, reason) to the nearest, best first."""


def what_if(path: str, *, overrides: Mapping[str, object], progress: Progress = silent) -> WhatIf:
    """What the finished run `path` keeps, and what it would keep under `overrides`; a guard does not stop it.

    Raises InputError when it is no finished run, ConfigError when a key or value is none.
    """
    run = read_run(path)
    splits = {split.index: split.source for split in measured_splits(run)}
    changed = under_overrides(run, overrides)
    for stage in ("pairs", "lines"):
        if run.finished(stage) and not changed.finished(stage):
            raise ConfigError(
                f"--set {', '.join(overrides)}: changes what stage {stage} finds, which a dry run does not repeat; "
                f"decide without --dry-run, it measures nothing again"
            )
    duplicates = _duplicates(changed, splits)
    removed = Removed(duplicates, changed.config.dedup)
    now: dict[tuple[str, str], Amounts] = {}
    then: dict[tuple[str, str], Amounts] = {}
    changes = _Changes()
    for done, (split, source) in enumerate(splits.items()):
        progress(ProgressEvent("what-if", done, len(splits)))
        before = read_parquet(run.part("verdicts", split))
        judged = judge_split(changed, split)
        after = removed.verdicts(judged)
        signals = read_parquet(run.part("signals", split), columns=AMOUNT_SIGNALS)
        _add(now, signals, before, cuts=read_parquet(run.part("cuts", split)), source=source)
        _add(then, signals, after, cuts=judged.cuts, source=source)
        _gather(changes, before, after, configs=(run.config, changed.config))
    progress(ProgressEvent("what-if", len(splits), len(splits)))
    groups = [Group(*group, now[group], then[group]) for group in sorted(now)]
    return WhatIf(groups, _fates(changes, run.config, changed.config), _border(run, changes))


def _duplicates(run: Run, splits: Mapping[int, str]) -> pa.Table:
    ranks = source_ranks(list(splits), list(splits.values()), config=run.config.dedup)
    candidates = candidate_keys(run)
    ranked = [
        rank_candidates(judge_split(run, split), candidates=candidates, source_rank=ranks[split]) for split in splits
    ]
    return find_duplicates(run, np.concatenate([*ranked, np.zeros(0, ranked_type(run.config.dedup.survivor_order))]))


def _add(
    totals: dict[tuple[str, str], Amounts], signals: pa.Table, verdicts: pa.Table, *, cuts: pa.Table, source: str
) -> None:
    kept, lanes = verdicts["kept"].to_numpy(), verdicts["lane"].to_numpy()
    for lane, amounts in amounts_by_lane(signals, lanes=lanes, kept=kept, cuts=cuts).items():
        totals[lane, source] = totals.get((lane, source), Amounts()) + amounts


def _gather(
    changes: _Changes, before: pa.Table, after: pa.Table, *, configs: tuple[CurationConfig, CurationConfig]
) -> None:
    """Counts the documents of one split whose fate changes, by their first reason, and keeps the nearest of each."""
    kept_now, kept_then = before["kept"].to_numpy(), after["kept"].to_numpy()
    if (kept_now == kept_then).all():
        return
    lanes, keys = after["lane"].to_numpy(), after["key"].to_numpy()
    for change, rows, verdicts in (
        ("newly_removed", np.flatnonzero(kept_now & ~kept_then), after),
        ("newly_kept", np.flatnonzero(~kept_now & kept_then), before),
    ):
        flat = flatten(verdicts["reasons"])
        at = flat.first()[rows]
        for code, reason in enumerate(flat.names):
            for lane in np.unique(lanes[rows]):
                chosen = (flat.codes_R[at] == code) & (lanes[rows] == lane)
                if chosen.any():
                    group = (change, str(lane), reason)
                    changes.counts[group] += int(chosen.sum())
                    now, then = (threshold_of(config, str(lane), reason) for config in configs)
                    bound = now if then is None else then
                    found = _nearest(flat, at[chosen], keys[rows[chosen]], bound=np.nan if bound is None else bound)
                    changes.nearest[group] = sorted([*changes.nearest.get(group, []), *found])[:BORDER_DOCUMENTS]


def _nearest(flat: FlatReasons, at: np.ndarray, keys: np.ndarray, *, bound: float) -> list[_Place]:
    """Of the reasons at these places the ones nearest to `bound`, relative to the larger of the two; ties by key."""
    values = flat.values_R[at]
    scale = np.maximum(np.maximum(np.abs(values), abs(bound)), np.finfo(np.float64).tiny)
    distances = np.nan_to_num(np.abs(values - bound) / scale, nan=np.inf)
    order = np.lexsort([keys, distances])[:BORDER_DOCUMENTS]
    return [(float(distances[i]), int(keys[i]), float(values[i]), bound) for i in order]


def threshold_of(config: CurationConfig, lane: str, reason: str) -> float | None:
    """The bound behind a reason; None where a rule is off or, as for a missing lane, there is none."""
    if reason in COPIES.values():
        return copy_bounds(config.dedup)[reason]
    thresholds = {rule.name: rule.threshold for rule in config.deciding_rules.of_lane(lane).rules()}
    return thresholds.get(reason)


def _fates(changes: _Changes, now: CurationConfig, then: CurationConfig) -> list[Fate]:
    """One per rule that decides about any document anew, most changes first."""
    groups = {(lane, reason) for _, lane, reason in changes.counts}
    fates = [
        Fate(
            lane,
            reason,
            threshold_of(now, lane, reason),
            threshold_of(then, lane, reason),
            changes.counts["newly_removed", lane, reason],
            changes.counts["newly_kept", lane, reason],
        )
        for lane, reason in groups
    ]
    return sorted(fates, key=lambda fate: (-fate.newly_removed - fate.newly_kept, fate.lane, fate.reason))


def _border(run: Run, changes: _Changes) -> list[BorderDocument]:
    """A handful per change: the nearest document of each rule, then the second nearest of each, and so on."""
    chosen: list[tuple[str, str, str, _Place]] = []
    for change in ("newly_removed", "newly_kept"):
        ranked = sorted(
            (rank, *group, place)
            for group, places in changes.nearest.items()
            if group[0] == change
            for rank, place in enumerate(places)
        )
        chosen += [(change, lane, reason, place) for _, _, lane, reason, place in ranked[:BORDER_DOCUMENTS]]
    keys = [place[1] for *_, place in chosen]
    documents = fetch_documents(run, keys, columns=["id", "url", "source", "text"])
    return [
        BorderDocument(
            change=change,
            lane=lane,
            reason=reason,
            value=value,
            threshold=threshold,
            key=key,
            id=documents[key]["id"],
            url=documents[key]["url"],
            source=documents[key]["source"],
            excerpt=excerpt_of(documents[key]["text"], num_chars=EXCERPT_CHARS),
        )
        for change, lane, reason, (_, key, value, threshold) in chosen
    ]
