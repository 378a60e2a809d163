"""Stops a run whose stage drops more than its share: a wrong column or a broken rule ends here, not in a model.

What the stage wrote stays, so `ctllm why` can show any document, and `ctllm decide` goes on under another setting.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.documents import excerpt_of, fetch_documents
from ctllm.pipelines.reasons import FlatReasons, flatten
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.curation_config import GuardConfig
from ctllm.schemas.errors import GuardError
from ctllm.schemas.files import read_parquet

NUM_EXAMPLES = 3
NUM_SHOWN_BYTES = 60
MIN_GUARDED_RECORDS = 10  # a single broken file of one record is not a broken source; chosen, untested
UNGUARDED_LANE = "other"
"""Documents of no lane are all refused, by design."""

Group = tuple[str, str]
"""(lane, its name), (source, its name) or (lane, rule)."""


@dataclass
class _Tally:
    """Documents of every lane and source, removed ones among them, and documents of a lane that fail a rule."""

    documents: Counter[Group] = field(default_factory=Counter)
    removed: Counter[Group] = field(default_factory=Counter)
    failing: Counter[Group] = field(default_factory=Counter)
    first: Counter[tuple[Group, str]] = field(default_factory=Counter)
    """Documents of a lane or source whose first reason is this."""


@dataclass(frozen=True)
class _Excess:
    """A group that lost more than it may."""

    option: str
    share: float
    allowed: float
    where: str
    reason: str
    group: Group


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
    """Raises GuardError when a lane, a source, or a rule within a lane removed more than the config's share.

    The message names the rule, the share, three documents with what was measured, and the option.
    """
    guard = run.config.guard
    tally = _Tally()
    for split, source in zip(splits, sources, strict=True):
        verdicts = read_parquet(run.part("verdicts", split), columns=["lane", "kept", "reasons"])
        _count(tally, verdicts, source=source)
    excess = max(_excesses(tally, guard), key=lambda each: (each.share - each.allowed, each.group), default=None)
    if excess is not None:
        raise GuardError(_message(run, splits, sources, excess, tally))


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
    limits = {
        "lane": ("guard.max_removed_share", guard.max_removed_share),
        "source": ("guard.max_removed_share_per_source", guard.max_removed_share_per_source),
    }
    for group, documents in tally.documents.items():
        option, allowed = limits[group[0]]
        share = tally.removed[group] / max(documents, 1)
        if documents >= guard.min_documents and share > allowed:
            counts = {name: count for (each, name), count in tally.first.items() if each == group}
            reason = max(sorted(counts), key=lambda name: counts[name])
            yield _Excess(option, share, allowed, f"{group[0]} {group[1]}", reason, group)
    for (lane, rule), count in tally.failing.items():
        documents = tally.documents["lane", lane]
        share = count / max(documents, 1)
        if documents >= guard.min_documents and share > guard.max_share_per_rule:
            yield _Excess(
                "guard.max_share_per_rule", share, guard.max_share_per_rule, f"lane {lane}", rule, (lane, rule)
            )


def _message(run: Run, splits: Sequence[int], sources: Sequence[str], excess: _Excess, tally: _Tally) -> str:
    is_rule = excess.option == "guard.max_share_per_rule"
    documents = tally.documents[("lane", excess.group[0]) if is_rule else excess.group]
    subject = f"fail {excess.reason}" if is_rule else f"removed, most of them first by {excess.reason}"
    examples = "\n".join(_examples(run, splits, sources, excess))
    return (
        f"{excess.where}: {excess.share:.1%} of {documents:,} documents {subject}, more than "
        f"{excess.option}={excess.allowed:g} allows. For example:\n{examples}\n"
        f"Look at one with `ctllm why {run.path} ID`. If this is right, go on with "
        f"`ctllm decide {run.path} --set {excess.option}=1`; if the bound is wrong, with `--set rules.…`"
    )


def _examples(run: Run, splits: Sequence[int], sources: Sequence[str], excess: _Excess) -> Iterator[str]:
    """The first documents of the group, in key order, that fail the rule: id, value against bound, excerpt."""
    found = 0
    for split, source in zip(splits, sources, strict=True):
        if excess.group[0] == "source" and source != excess.group[1]:
            continue
        verdicts = read_parquet(run.part("verdicts", split), columns=["key", "lane", "reasons"])
        flat = flatten(verdicts["reasons"])
        at = _failing(flat, excess.reason, lanes=verdicts["lane"].to_numpy(), excess=excess)[: NUM_EXAMPLES - found]
        keys = verdicts["key"].to_numpy()[flat.rows_R[at]]
        documents = fetch_documents(run, keys.tolist(), columns=["id", "text"])
        for key, place in zip(keys.tolist(), at, strict=True):
            document = documents[key]
            seen = f"{flat.values_R[place]:.4g} against {flat.thresholds_R[place]:.4g}"
            yield f"  {document['id']}  ({excess.reason}: {seen})  {excerpt_of(document['text'], num_chars=40)}"
        found += len(at)
        if found == NUM_EXAMPLES:
            return


def _failing(flat: FlatReasons, reason: str, *, lanes: np.ndarray, excess: _Excess) -> np.ndarray:
    """Positions in the flat reasons of `reason`, within the lane of `excess` where it has one."""
    if reason not in flat.names:
        return np.empty(0, np.int64)
    is_reason = flat.codes_R == flat.names.index(reason)
    if excess.group[0] != "source":
        is_reason &= lanes[flat.rows_R] == excess.where.removeprefix("lane ")
    return np.flatnonzero(is_reason)
