"""The judgement itself, as plain functions of tables: rules, then one survivor per group of copies, then verdicts.

Knows no framework, so that `decide` runs it on Beam and `what_if` runs it in memory. Reads no text.
"""

from collections.abc import Collection, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.cuts import after_cuts, cut_chars, emptied, kept_after_cuts, plan_cuts
from ctllm.pipelines.dates import instants_of
from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.run_directory import Run
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.document import snapshot_of, split_of
from ctllm.schemas.duplicates import DUPLICATES
from ctllm.schemas.files import exists, list_files, read_parquet, write_parquet
from ctllm.schemas.signals import SIGNALS
from ctllm.schemas.token_estimate import estimate_from_signals
from ctllm.schemas.verdict import COPIES, EXACT_DUPLICATE, NEAR_DUPLICATE, REASONS, URL_DUPLICATE, VERDICTS

AMOUNT_SIGNALS = ["num_chars", "han_share"]
"""What `amounts_by_lane` needs."""

ALWAYS_READ = frozenset({"key", "num_chars"})
"""Signals that a verdict needs whatever the rules are."""

RANKED = np.dtype([("key", "<u8"), ("source_rank", "<i4"), ("num_chars", "<i4")])
"""A document that may stand for others, as it crosses the shuffle: 16 bytes, and more only where the order asks."""

ORDER_FIELDS = {"quality": "<f4", "date": "<i8"}
"""What RANKED also has where `survivor_order` names it: the score, -1 where there is none; `instants_of` the date."""


@dataclass(frozen=True)
class Judged:
    """The rows of one split after the rules, before duplicates."""

    keys: np.ndarray
    lanes: pa.Array
    num_chars: np.ndarray
    """What cuts leave."""
    kept: np.ndarray
    reasons: pa.ListArray
    cuts: pa.Table
    """CUTS, those of documents that the rules refuse too."""
    ordering: dict[str, "pa.ChunkedArray[Any]"]
    """Those of ORDER_FIELDS that `survivor_order` names, as measured and as the source gives them."""


def ranked_type(order: Collection[str]) -> np.dtype[np.void]:
    """RANKED with the ORDER_FIELDS that are in `order`, names of `survivor_order`."""
    return np.dtype([*RANKED.descr, *((name, kind) for name, kind in ORDER_FIELDS.items() if name in order)])


def judge_split(run: Run, split: int) -> Judged:
    """Signals of one split, lengths after cuts, against the rules of each lane; reads the columns a rule asks for."""
    deciding, order = run.config.deciding_rules, run.config.dedup.survivor_order
    rules = [rule for ruleset in deciding.by_lane().values() for rule in ruleset.rules()]
    bounded = {rule.signal for rule in rules if rule.threshold is not None}
    scored = {"quality_score"} if "quality" in order else set()
    columns = [name for name in SIGNALS.names if name in ALWAYS_READ | bounded | scored]
    signals = read_parquet(run.part("signals", split), columns=columns)
    documents = read_parquet(run.part("documents", split), columns=["lane", *(["date"] if "date" in order else [])])
    ordering = {"quality": signals["quality_score"]} if "quality" in order else {}
    ordering |= {"date": documents["date"]} if "date" in order else {}
    lanes = documents["lane"].combine_chunks()
    cuts = plan_cuts(run, split, lanes.to_numpy(zero_copy_only=False))
    signals = after_cuts(signals, cut_chars(cuts, signals.num_rows))
    nothing_left = emptied(cuts, signals["num_chars"].to_numpy())
    kept, reasons = evaluate(signals, lanes, rules=deciding, emptied=nothing_left)
    return Judged(signals["key"].to_numpy(), lanes, signals["num_chars"].to_numpy(), kept, reasons, cuts, ordering)


def rank_candidates(judged: Judged, *, candidates: np.ndarray | None, source_rank: int) -> np.ndarray:
    """RANKED rows of the documents that the rules keep and that have a verified copy (are among `candidates`)."""
    chosen = judged.kept if candidates is None else judged.kept & np.isin(judged.keys, candidates)
    rows = np.zeros(int(chosen.sum()), dtype=ranked_type(judged.ordering))
    rows["key"], rows["num_chars"] = judged.keys[chosen], judged.num_chars[chosen]
    rows["source_rank"] = source_rank
    for name, column in judged.ordering.items():
        values = column.filter(pa.array(chosen))
        rows[name] = instants_of(values) if name == "date" else values.fill_null(-1.0).to_numpy()
    return rows


def find_duplicates(run: Run, ranked: np.ndarray) -> pa.Table:
    """DUPLICATES of the run, one survivor per star of verified copies, from all its RANKED rows in any order."""
    return duplicates_among(read_pairs(run), ranked, config=run.config)


def duplicates_among(pairs: pa.Table, ranked: np.ndarray, *, config: CurationConfig) -> pa.Table:
    """DUPLICATES of whole components of PAIRS, from the RANKED rows of their documents, or of more, in any order.

    Documents of other snapshots occur in pairs only if they were kept in theirs.
    """
    rows = np.sort(ranked, order="key")
    order = pa.table({name: pa.array(rows[name]) for name in rows.dtype.names or ()})
    paired = np.concatenate([pairs["key_a"].to_numpy(), pairs["key_b"].to_numpy()])
    return choose_survivors(
        pairs,
        kept_keys=rows["key"],
        order_columns=order,
        config=config.dedup,
        earlier_keys=np.unique(paired[snapshot_of(paired) != config.snapshot]),
    )


def write_duplicates(run: Run, duplicates: pa.Table) -> None:
    """Writes DUPLICATES, sorted by key, to `duplicates/`: a file for each split that lost a document."""
    splits = split_of(duplicates["key"].to_numpy())
    for split in np.unique(splits).tolist():
        start, end = np.searchsorted(splits, [split, split + 1]).tolist()
        write_parquet(run.part("duplicates", split), duplicates.slice(start, end - start))


def read_duplicates(run: Run, split: int | None = None, *, columns: Sequence[str] | None = None) -> pa.Table:
    """DUPLICATES of the run, or those of one split, which are sorted by key."""
    names = list(columns or DUPLICATES.names)
    paths = list_files(run.directory("duplicates"), suffix=".parquet")
    if split is not None:
        paths = [path for path in (run.part("duplicates", split),) if exists(path)]
    empty = DUPLICATES.empty_table().select(names)
    return pa.concat_tables([empty, *(read_parquet(path, columns=names) for path in paths)])


def copy_bounds(config: DedupConfig) -> dict[str, float]:
    """The least Jaccard of each kind of copy."""
    near = config.threshold if config.verify else 0.0  # any pair that shares a band
    return {EXACT_DUPLICATE: 1.0, NEAR_DUPLICATE: near, URL_DUPLICATE: 0.0}


class Removed:
    """The documents that another stands for, ready to be looked up."""

    def __init__(self, duplicates: pa.Table, config: DedupConfig) -> None:
        by_key = duplicates.select(["key", "kind", "jaccard"]).sort_by("key")
        self._keys = by_key["key"].to_numpy()
        self._jaccard = by_key["jaccard"].to_numpy()
        self._kinds = by_key["kind"].to_numpy(zero_copy_only=False)
        self._bounds = copy_bounds(config)

    def verdicts(self, judged: Judged) -> pa.Table:
        """VERDICTS: what the rules said, and for a removed copy its similarity to the document kept instead."""
        is_duplicate = np.isin(judged.keys, self._keys)
        reasons = pc.if_else(pa.array(is_duplicate), self._reasons(judged.keys), judged.reasons)
        kept = judged.kept & ~is_duplicate
        return pa.table([judged.keys, judged.lanes, kept, reasons.cast(REASONS)], schema=VERDICTS)

    def _reasons(self, keys: np.ndarray) -> pa.ListArray:
        """One reason per row; only rows that are duplicates are looked at by the caller."""
        at = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
        kinds = self._kinds[at] if len(self._keys) else np.full(len(keys), "exact")
        value = self._jaccard[at] if len(self._keys) else np.zeros(len(keys))
        is_kind = [kinds == kind for kind in COPIES]
        reason = pa.StructArray.from_arrays(
            [
                pa.array(np.select(is_kind, list(COPIES.values()), "")),
                pa.array(value.astype(np.float64)),
                pa.array(np.select(is_kind, [self._bounds[reason] for reason in COPIES.values()])),
            ],
            fields=list(REASONS.value_type),
        )
        return pa.ListArray.from_arrays(pa.array(np.arange(len(keys) + 1), pa.int32()), reason)


def read_pairs(run: Run, *, columns: Sequence[str] | None = None) -> pa.Table:
    """All verified pairs of the run."""
    paths = list_files(run.directory("pairs"), suffix=".parquet")
    return pa.concat_tables([read_parquet(path, columns=list(columns) if columns else None) for path in paths])


def count_pairs(run: Run) -> int:
    """Verified pairs of the run."""
    paths = list_files(run.directory("pairs"), suffix=".parquet")
    return sum(read_parquet(path, columns=["key_a"]).num_rows for path in paths)


def candidate_keys(run: Run) -> np.ndarray:
    """Keys that occur in any verified pair: uint64, ascending."""
    pairs = read_pairs(run, columns=["key_a", "key_b"])
    return np.unique(np.concatenate([pairs["key_a"].to_numpy(), pairs["key_b"].to_numpy()]))


def source_ranks(splits: Sequence[int], sources: Sequence[str], *, config: DedupConfig) -> dict[int, int]:
    """Place of each split's source in `source_priority`; sources that are not in it come last."""
    priority = {name: rank for rank, name in enumerate(config.source_priority)}
    return {split: priority.get(source, len(priority)) for split, source in zip(splits, sources, strict=True)}


@dataclass(frozen=True)
class Amounts:
    """What a set of thresholds keeps of a group of documents."""

    documents: int = 0
    kept_documents: int = 0
    chars: int = 0
    kept_chars: int = 0
    tokens: int = 0
    """Estimated."""
    kept_tokens: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        mine, theirs = astuple(self), astuple(other)
        return Amounts(*(a + b for a, b in zip(mine, theirs, strict=True)))


def amounts_by_lane(signals: pa.Table, *, lanes: np.ndarray, kept: np.ndarray, cuts: pa.Table) -> dict[str, Amounts]:
    """Documents, characters and estimated tokens per lane, all and kept ones; those of kept ones as cuts leave them.

    Row-aligned arguments, but for `cuts`, which are those of these documents.
    """
    whole, left = (weights_of(table) for table in (signals, kept_after_cuts(signals, cuts, kept)))
    totals = {}
    for lane in np.unique(lanes):
        rows = lanes == lane
        sums = whole[:, rows].sum(axis=1), left[:, rows & kept].sum(axis=1)
        totals[str(lane)] = Amounts(*(int(count) for pair in zip(*sums, strict=True) for count in pair))
    return totals


def weights_of(signals: pa.Table) -> np.ndarray:
    """One, characters and estimated tokens of each document: (3, documents), int64."""
    return np.stack([np.ones(len(signals), np.int64), signals["num_chars"].to_numpy(), estimate_from_signals(signals)])


def summarise(run: Run, splits: Sequence[int]) -> dict[str, Amounts]:
    """Documents, characters and estimated tokens per lane under the verdicts of the run."""
    summary: dict[str, Amounts] = {}
    for split in splits:
        signals = read_parquet(run.part("signals", split), columns=AMOUNT_SIGNALS)
        verdicts = read_parquet(run.part("verdicts", split), columns=["lane", "kept"])
        kept, lanes = verdicts["kept"].to_numpy(), verdicts["lane"].to_numpy()
        cuts = read_parquet(run.part("cuts", split))
        for lane, amounts in amounts_by_lane(signals, lanes=lanes, kept=kept, cuts=cuts).items():
            summary[lane] = summary.get(lane, Amounts()) + amounts
    return dict(sorted(summary.items()))
