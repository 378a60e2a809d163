"""Decide: small tables joined with thresholds become one verdict per document. Never reads text.

1. Every document is judged by the rules of its lane.
2. Among the documents the rules keep, one per group of verified copies survives (`dedup/survivors.py`).
3. The verdict holds all failing rules, or the duplicate's similarity; `duplicates/` names the document kept instead.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.token_estimate import estimate_from_signals
from ctllm.schemas.errors import GuardError
from ctllm.schemas.files import list_files, read_parquet, write_parquet
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.verdict import EXACT_DUPLICATE, NEAR_DUPLICATE, REASONS, VERDICTS

MIN_GUARDED_DOCUMENTS = 50  # a share of fewer documents is noise; chosen, untested
RANKED = np.dtype([("key", "<u8"), ("source_rank", "<i4"), ("num_chars", "<i4")])
"""A document that may stand for others, as it crosses the shuffle: 16 bytes."""


@dataclass(frozen=True)
class Judged:
    """The rows of one split after the rules, before duplicates."""

    keys: np.ndarray
    lanes: pa.Array
    num_chars: np.ndarray
    kept: np.ndarray
    reasons: pa.ListArray


def judge_split(run: Run, split: int) -> Judged:
    """Signals of one split against the rules of each lane."""
    signals = read_parquet(run.part("signals", split))
    documents = read_parquet(run.part("documents", split), columns=["lane"])
    lanes = documents["lane"].combine_chunks()
    kept, reasons = evaluate(signals, lanes, rules=run.config.rules)
    return Judged(signals["key"].to_numpy(), lanes, signals["num_chars"].to_numpy(), kept, reasons)


class RankCandidates(beam.DoFn):
    """Split → (0, packed RANKED rows) of its documents that the rules keep and that have a verified copy."""

    def __init__(self, run: Run, ranks: dict[int, int]) -> None:
        self.run, self.ranks = run, ranks

    def setup(self) -> None:
        """Loads the keys that occur in any pair."""
        pairs = read_pairs(self.run, columns=["key_a", "key_b"])
        self.candidates = np.unique(np.concatenate([pairs["key_a"].to_numpy(), pairs["key_b"].to_numpy()]))

    def process(self, split: int) -> Iterable[tuple[int, bytes]]:
        """Ranks the candidates of one split."""
        judged = judge_split(self.run, split)
        chosen = judged.kept & np.isin(judged.keys, self.candidates)
        rows = np.zeros(int(chosen.sum()), dtype=RANKED)
        rows["key"], rows["num_chars"] = judged.keys[chosen], judged.num_chars[chosen]
        rows["source_rank"] = self.ranks[split]
        yield 0, rows.tobytes()


class ChooseSurvivors(beam.DoFn):
    """(0, all packed rows) → `duplicates/part-00000.parquet`. One worker: edges are few beside documents."""

    def __init__(self, run: Run, target: Run) -> None:
        self.run, self.target = run, target

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterable[int]:
        """Chooses one survivor per star of verified copies."""
        rows = np.sort(np.frombuffer(b"".join(element[1]), dtype=RANKED), order="key")
        order = pa.table({name: pa.array(rows[name]) for name in RANKED.names or ()})
        pairs = read_pairs(self.run)
        duplicates = choose_survivors(pairs, kept_keys=rows["key"], order_columns=order, config=self.run.config.dedup)
        write_parquet(self.target.part("duplicates", 0), duplicates)
        yield duplicates.num_rows


class WriteVerdicts(beam.DoFn):
    """Split → its index, once `verdicts/part-N` is in place."""

    def __init__(self, run: Run, target: Run) -> None:
        self.run, self.target = run, target

    def setup(self) -> None:
        """Loads the removed duplicates, sorted by key."""
        duplicates = read_parquet(self.target.part("duplicates", 0), columns=["key", "kind", "jaccard"]).sort_by("key")
        self.removed = duplicates["key"].to_numpy()
        self.jaccard = duplicates["jaccard"].to_numpy()
        self.is_exact = pc.equal(duplicates["kind"], "exact").to_numpy()

    def process(self, split: int) -> Iterable[int]:
        """Judges one split again (cheaper than shuffling the first result) and adds the duplicates."""
        judged = judge_split(self.run, split)
        is_duplicate = np.isin(judged.keys, self.removed)
        reasons = pc.if_else(pa.array(is_duplicate), self._duplicate_reasons(judged.keys), judged.reasons)
        kept = judged.kept & ~is_duplicate
        table = pa.table([judged.keys, judged.lanes, kept, reasons.cast(REASONS)], schema=VERDICTS)
        write_parquet(self.target.part("verdicts", split), table)
        yield split

    def _duplicate_reasons(self, keys: np.ndarray) -> pa.ListArray:
        """One reason per row; only rows that are duplicates are looked at by the caller."""
        at = np.minimum(np.searchsorted(self.removed, keys), max(len(self.removed) - 1, 0))
        exact = self.is_exact[at] if len(self.removed) else np.zeros(len(keys), bool)
        value = self.jaccard[at] if len(self.removed) else np.zeros(len(keys))
        threshold = np.where(exact, 1.0, self.run.config.dedup.threshold)
        reason = pa.StructArray.from_arrays(
            [
                pa.array(np.where(exact, EXACT_DUPLICATE, NEAR_DUPLICATE)),
                pa.array(value.astype(np.float64)),
                pa.array(threshold),
            ],
            fields=list(REASONS.value_type),
        )
        return pa.ListArray.from_arrays(pa.array(np.arange(len(keys) + 1), pa.int32()), reason)


def read_pairs(run: Run, *, columns: Sequence[str] | None = None) -> pa.Table:
    """All verified pairs of the run."""
    paths = list_files(run.directory("pairs"), suffix=".parquet")
    return pa.concat_tables([read_parquet(path, columns=list(columns) if columns else None) for path in paths])


def decide(
    run: Run,
    splits: Sequence[int],
    *,
    target: Run,
    sources: Sequence[str],
    options: RunnerOptions,
    progress: Progress = silent,
) -> dict[str, int]:
    """Writes `duplicates/` and `verdicts/` of `run` into `target` and returns documents kept and removed.

    `sources` names the source of each split. Raises GuardError when a lane loses more than its share.
    """
    priority = {name: rank for rank, name in enumerate(run.config.dedup.source_priority)}
    ranks = {split: priority.get(source, len(priority)) for split, source in zip(splits, sources, strict=True)}
    run_job(
        "survivors",
        lambda pipeline: (
            pipeline
            | "Splits" >> beam.Create(splits)
            | "Spread over workers" >> beam.Reshuffle()
            | "Rank candidates" >> beam.ParDo(RankCandidates(run, ranks)).with_output_types(tuple[int, bytes])
            | "To one worker" >> beam.GroupByKey()
            | "Choose survivors" >> beam.ParDo(ChooseSurvivors(run, target))
        ),
        options=options,
        watch=target.directory("duplicates"),
        total=1,
        progress=progress,
    )
    run_job(
        "verdicts",
        lambda pipeline: (
            pipeline
            | "Splits" >> beam.Create(splits)
            | "Spread over workers" >> beam.Reshuffle()
            | "Write verdicts" >> beam.ParDo(WriteVerdicts(run, target))
        ),
        options=options,
        watch=target.directory("verdicts"),
        total=len(splits),
        progress=progress,
    )
    _check_guard(target, splits)
    summary = summarise(run, splits, target=target)
    kept = sum(lane.kept_documents for lane in summary.values())
    return {"kept": kept, "removed": sum(lane.documents for lane in summary.values()) - kept}


@dataclass
class LaneSummary:
    """What a set of thresholds keeps of one lane."""

    documents: int = 0
    kept_documents: int = 0
    chars: int = 0
    kept_chars: int = 0
    tokens: int = 0
    kept_tokens: int = 0


def summarise(run: Run, splits: Sequence[int], *, target: Run) -> dict[str, LaneSummary]:
    """Documents, characters and estimated tokens per lane under the verdicts in `target`."""
    summary: dict[str, LaneSummary] = {}
    for split in splits:
        signals = read_parquet(run.part("signals", split), columns=["num_chars", "han_share"])
        verdicts = read_parquet(target.part("verdicts", split), columns=["lane", "kept"])
        chars, tokens = signals["num_chars"].to_numpy(), estimate_from_signals(signals)
        kept, lanes = verdicts["kept"].to_numpy(), verdicts["lane"].to_numpy()
        for lane in np.unique(lanes):
            rows, total = lanes == lane, summary.setdefault(str(lane), LaneSummary())
            total.documents += int(rows.sum())
            total.kept_documents += int((rows & kept).sum())
            total.chars += int(chars[rows].sum())
            total.kept_chars += int(chars[rows & kept].sum())
            total.tokens += int(tokens[rows].sum())
            total.kept_tokens += int(tokens[rows & kept].sum())
    return dict(sorted(summary.items()))


def _check_guard(target: Run, splits: Sequence[int]) -> None:
    allowed = target.config.guard.max_removed_share
    if allowed >= 1:
        return
    total: Counter[str] = Counter()
    removed: dict[str, Counter[str]] = {}
    examples: dict[str, list[int]] = {}
    for split in splits:
        verdicts = read_parquet(target.part("verdicts", split)).to_pylist()
        for row in verdicts:
            total[row["lane"]] += 1
            if not row["kept"]:
                removed.setdefault(row["lane"], Counter())[row["reasons"][0]["reason"]] += 1
                examples.setdefault(row["lane"], []).append(row["key"])
    for lane, reasons in removed.items():
        share = reasons.total() / total[lane]
        if share > allowed and total[lane] >= MIN_GUARDED_DOCUMENTS:
            reason, count = reasons.most_common(1)[0]
            raise GuardError(
                f"lane {lane}: {share:.1%} of {total[lane]} documents removed, more than "
                f"guard.max_removed_share={allowed:g}; most by {reason} ({count}); for example keys "
                f"{examples[lane][:3]}; see `ctllm why`, or raise the option"
            )
