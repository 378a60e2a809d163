"""Stops a run whose stage drops more than its share: a wrong column or a broken rule ends here, not in a model.

What the stage wrote stays, so `ctllm why` can show any document, and `ctllm decide` goes on under another setting.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.documents import excerpt_of, fetch_documents
from ctllm.pipelines.judgement import read_duplicates
from ctllm.pipelines.reasons import FlatReasons, flatten
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.document import rows_of, snapshot_of
from ctllm.schemas.errors import GuardError
from ctllm.schemas.files import read_parquet
from ctllm.schemas.guard_config import GuardConfig
from ctllm.schemas.verdict import COPIES as REASONS_OF_COPIES

NUM_EXAMPLES = 3
NUM_SHOWN_BYTES = 60
MIN_GUARDED_RECORDS = 10  # a single broken file of one record is not a broken source; chosen, untested
UNGUARDED_LANE = "other"
"""Documents of no lane are all refused, by design."""
COPIES = tuple(REASONS_OF_COPIES.values())

Group = tuple[str, str]
"""(lane, its name) or (source, its name)."""


@dataclass
class _Tally:
    """Documents of every lane and source, removed ones among them, and documents of a lane that fail a rule."""

    documents: Counter[Group] = field(default_factory=Counter)
    removed: Counter[Group] = field(default_factory=Counter)
    failing: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(lane, rule) to documents."""
    first: Counter[tuple[Group, str]] = field(default_factory=Counter)
    """Documents of a lane or source whose first reason is this."""


@dataclass(frozen=True)
class _Excess:
    """A group that lost more than it may."""

    option: str
    share: float
    allowed: float
    group: Group
    num_documents: int
    lost: str
    """What became of that share of the group's documents."""
    reasons: tuple[str, ...]
    """Documents of the group with one of these are shown."""
    kept_key: int | None = None
    """Only copies of this document are shown."""


def check_failed(run: Run, splits: Sequence[Split], *, read: Counter[str], failed: Counter[str]) -> None:
    """Raises GuardError when more of a source's `read` records `failed` than the config allows, the worst one named.

    The message counts the kinds of failure and shows three records with their place and first bytes.
    """
    allowed = run.config.guard.max_failed_share
    shares = {source: failed[source] / count for source, count in read.items() if count >= MIN_GUARDED_RECORDS}
    source = max(sorted(shares), key=lambda name: shares[name], default="")
    if source and shares[source] > allowed:
        tables = (read_parquet(run.part("failures", split.index)) for split in splits if split.source == source)
        failures = pa.concat_tables(tables).combine_chunks()
        kinds = Counter(failures["error"].to_pylist()).most_common()
        examples = "\n".join(_failed_record(row) for row in failures.slice(0, NUM_EXAMPLES).to_pylist())
        raise GuardError(
            f"source {source}: {failed[source]:,} of {read[source]:,} records failed "
            f"({', '.join(f'{kind} {count:,}' for kind, count in kinds)}), "
            f"more than guard.max_failed_share={allowed:g} allows. For example:\n{examples}\n"
            f"All stand in {run.directory('failures')}; another column is named with --map, and if this is right, "
            f"go on with --set guard.max_failed_share=1"
        )


def _failed_record(row: dict[str, Any]) -> str:
    start = row["first_bytes"][:NUM_SHOWN_BYTES].decode("utf-8", "replace")
    return f"  {row['path']} at {row['offset']}: {row['error']}, {row['message']}  {start!r}"


def check_removed(run: Run, splits: Sequence[int], *, sources: Sequence[str]) -> None:
    """Raises GuardError when a lane, a source, a rule within a lane, or one cluster lost more than the config's share.

    The message names the rule, the share, three documents with what was measured, and the option.
    """
    guard = run.config.guard
    tally = _Tally()
    for split, source in zip(splits, sources, strict=True):
        verdicts = read_parquet(run.part("verdicts", split), columns=["lane", "kept", "reasons"])
        _count(tally, verdicts, source=source)
    excesses = [*_excesses(tally, guard), *_large_clusters(run, splits, tally)]
    excess = max(excesses, key=lambda each: (each.share - each.allowed, each.group, each.reasons), default=None)
    if excess is not None:
        raise GuardError(_message(run, splits, sources, excess))


def _count(tally: _Tally, verdicts: pa.Table, *, source: str) -> None:
    flat = flatten(verdicts["reasons"])
    lanes = verdicts["lane"].to_numpy()
    kept = verdicts["kept"].to_numpy()
    first = flat.first()
    for lane in np.unique(lanes[lanes != UNGUARDED_LANE]):
        rows = lanes == lane
        failing = np.bincount(flat.codes_R[rows[flat.rows_R]], minlength=len(flat.names))
        leading = np.bincount(flat.codes_R[first[rows & ~kept]], minlength=len(flat.names))
        tally.failing.update({(str(lane), name): int(count) for name, count in zip(flat.names, failing, strict=True)})
        for group in (("lane", str(lane)), ("source", source)):
            tally.documents[group] += int(rows.sum())
            tally.removed[group] += int((rows & ~kept).sum())
            tally.first.update({(group, name): int(count) for name, count in zip(flat.names, leading, strict=True)})


def _excesses(tally: _Tally, guard: GuardConfig) -> Iterator[_Excess]:
    limits = {"lane": "max_removed_share", "source": "max_removed_share_per_source"}
    for group, documents in tally.documents.items():
        if documents < guard.min_documents:
            continue
        firsts = {name: count for (each, name), count in tally.first.items() if each == group}
        reason = max(sorted(firsts), key=lambda name: firsts[name], default="")
        lost = f"removed, most of them first by {reason}"
        losses: list[tuple[str, int, str, tuple[str, ...]]] = [
            (limits[group[0]], tally.removed[group], lost, (reason,))
        ]
        if group[0] == "source":
            copies = sum(firsts.get(name, 0) for name in COPIES)
            losses.append(("max_copies_share_per_source", copies, "are copies of documents that stay", COPIES))
        else:
            rules = {name: count for (lane, name), count in tally.failing.items() if lane == group[1]}
            losses += [("max_share_per_rule", rules[name], f"fail {name}", (name,)) for name in sorted(rules)]
        for option, count, lost, reasons in losses:
            share, allowed = count / documents, getattr(guard, option)
            if share > allowed:
                yield _Excess(f"guard.{option}", share, allowed, group, documents, lost, reasons)


def _large_clusters(run: Run, splits: Sequence[int], tally: _Tally) -> Iterator[_Excess]:
    """One for every document that stands for more of a lane than `max_cluster_share`."""
    guard = run.config.guard
    lanes = {group[1]: count for group, count in tally.documents.items() if group[0] == "lane"}
    guarded = {lane: count for lane, count in lanes.items() if count >= guard.min_documents}
    smallest = guard.max_cluster_share * min(guarded.values(), default=0)
    copies: Counter[tuple[str, int]] = Counter()
    for split in splits if guarded else ():
        rows = read_duplicates(run, split, columns=["key", "kept_key", "cluster_size"])
        rows = rows.filter(pc.greater(rows["cluster_size"], smallest))  # so few clusters are counted in any run
        of_split = read_parquet(run.part("verdicts", split), columns=["lane"])["lane"]
        own = of_split.take(pa.array(rows_of(rows["key"].to_numpy()))).to_pylist()
        copies.update(zip(own, rows["kept_key"].to_pylist(), strict=True))
    for (lane, kept_key), count in sorted(copies.items()):
        if lane in guarded and (share := count / guarded[lane]) > guard.max_cluster_share:
            yield _Excess(
                "guard.max_cluster_share",
                share,
                guard.max_cluster_share,
                ("lane", lane),
                guarded[lane],
                f"are copies of one, {_id_of(run, kept_key)}",
                COPIES,
                kept_key,
            )


def _id_of(run: Run, key: int) -> str:
    """The id of a document of this snapshot; of an earlier one, whose run may be gone, its key."""
    if snapshot_of(np.array([key], np.uint64))[0] != run.config.snapshot:
        return f"key {key} of an earlier snapshot"
    return str(fetch_documents(run, [key], columns=["id"])[key]["id"])


def _message(run: Run, splits: Sequence[int], sources: Sequence[str], excess: _Excess) -> str:
    examples = "\n".join(_examples(run, splits, sources, excess))
    other_bound = (
        "they are no copies, curate into another --out with `--set dedup.…`"
        if set(excess.reasons) <= set(COPIES)
        else "the bound is wrong, with `--set rules.…`"
    )
    return (
        f"{' '.join(excess.group)}: {excess.share:.1%} of {excess.num_documents:,} documents {excess.lost}, more than "
        f"{excess.option}={excess.allowed:g} allows. For example:\n{examples}\n"
        f"Look at one with `ctllm why {run.path} ID`. If this is right, go on with "
        f"`ctllm decide {run.path} --set {excess.option}=1`; if {other_bound}"
    )


def _examples(run: Run, splits: Sequence[int], sources: Sequence[str], excess: _Excess) -> Iterator[str]:
    """The first documents of the group, in key order, with one of the reasons: id, value against bound, excerpt."""
    found = 0
    for split, source in zip(splits, sources, strict=True):
        if excess.group[0] == "source" and source != excess.group[1]:
            continue
        verdicts = read_parquet(run.part("verdicts", split), columns=["key", "lane", "reasons"])
        keys = verdicts["key"].to_numpy()
        shown = np.ones(len(keys), bool)
        if excess.group[0] == "lane":
            shown &= verdicts["lane"].to_numpy() == excess.group[1]
        if excess.kept_key is not None:
            copies = read_duplicates(run, split, columns=["key", "kept_key"])
            shown &= np.isin(keys, copies["key"].to_numpy()[copies["kept_key"].to_numpy() == excess.kept_key])
        flat = flatten(verdicts["reasons"])
        at = np.flatnonzero(shown[flat.rows_R] & np.isin(flat.codes_R, _codes(flat, excess.reasons)))[
            : NUM_EXAMPLES - found
        ]
        documents = fetch_documents(run, keys[flat.rows_R[at]].tolist(), columns=["id", "text"])
        for place in at:
            document = documents[int(keys[flat.rows_R[place]])]
            seen = f"{flat.values_R[place]:.4g} against {flat.thresholds_R[place]:.4g}"
            excerpt = excerpt_of(document["text"], num_chars=40)
            yield f"  {document['id']}  ({flat.names[flat.codes_R[place]]}: {seen})  {excerpt}"
        found += len(at)
        if found == NUM_EXAMPLES:
            return


def _codes(flat: FlatReasons, reasons: Sequence[str]) -> list[int]:
    return [code for code, name in enumerate(flat.names) if name in reasons]
