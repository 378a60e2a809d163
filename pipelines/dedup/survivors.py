"""Which document stands for which: chosen among the documents the rules keep, in the configured order.

Exact copies are one node (they have the same shingles, so a pair verified for one of them holds for all); near copies
form stars around the best of them, or, where pairs are not verified, whole components behind it. A document with very
many copies is a centre before better ones, because its copies may have been compared with it only. Pairs of documents
that a rule removed bind nobody. Documents of earlier snapshots were published in their time: they come before all
others, the oldest first, and are never removed.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.clusters import components, stars
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.document import snapshot_of
from ctllm.schemas.duplicates import DUPLICATES
from ctllm.schemas.errors import AccountingError

_SMALLEST_FIRST = ("source_priority", "key")
_NO_KEYS = np.empty(0, np.uint64)


@dataclass(frozen=True)
class _Candidates:
    """Kept documents that occur in pairs, best first, and the node (group of exact copies) of each."""

    keys: np.ndarray
    nodes: np.ndarray
    num_nodes: int
    num_earlier: int
    """That many of the first are of earlier snapshots."""


def choose_survivors(
    pairs: pa.Table,
    *,
    kept_keys: np.ndarray,
    order_columns: pa.Table,
    config: DedupConfig,
    earlier_keys: np.ndarray = _NO_KEYS,
) -> pa.Table:
    """DUPLICATES, sorted by key: one row for each document that a better one stands for.

    `order_columns` has at least the kept documents in `pairs`, by key, and what `survivor_order` names (source_rank for
    source_priority) as signed numbers, of which what is not known is the smallest; those in `earlier_keys`, of earlier
    snapshots, need not be in it nor in `kept_keys`. The kept document of a row is never itself in a row, and is an
    exact copy of the removed one or verified against it; without `verify` a chain of pairs may lie between them.
    Nothing depends on the order of `pairs`. Raises AccountingError when a kept document is missing from
    `order_columns`.
    """
    pair_keys = np.column_stack([pairs.column("key_a").to_numpy(), pairs.column("key_b").to_numpy()])
    all_keys, flat = np.unique(pair_keys, return_inverse=True)
    edges = flat.reshape(-1, 2).astype(np.int64)
    is_exact = pairs.column("kind").to_numpy(zero_copy_only=False) == "exact"
    groups = components(edges[is_exact], num_nodes=len(all_keys))
    candidates = _candidates(
        all_keys, groups, kept_keys=kept_keys, order_columns=order_columns, config=config, earlier_keys=earlier_keys
    )
    near = pairs.filter(pa.array(~is_exact))
    return _duplicates(candidates, groups[edges[~is_exact]], near, config=config)


def _candidates(
    all_keys: np.ndarray,
    groups: np.ndarray,
    *,
    kept_keys: np.ndarray,
    order_columns: pa.Table,
    config: DedupConfig,
    earlier_keys: np.ndarray,
) -> _Candidates:
    is_earlier = np.isin(all_keys, earlier_keys)
    earlier = np.flatnonzero(is_earlier)
    own = np.flatnonzero(np.isin(all_keys, kept_keys) & ~is_earlier)
    best_first = np.concatenate([earlier, own[_order(all_keys[own], order_columns, config=config)]])
    return _Candidates(all_keys[best_first], groups[best_first], len(all_keys), num_earlier=len(earlier))


def _order(keys: np.ndarray, order_columns: pa.Table, *, config: DedupConfig) -> np.ndarray:
    """Indices into `keys`, best first, by `survivor_order` and at last by key."""
    known = order_columns.column("key").to_numpy()
    sorter = np.argsort(known, kind="stable")
    places = np.searchsorted(known, keys, sorter=sorter)
    if len(keys) and (places[-1] == len(known) or (known[sorter[places]] != keys).any()):
        raise AccountingError("dedup: pairs name a kept document that is not in order_columns; run the stages again")
    rows = sorter[places]
    columns = {
        name: order_columns.column("source_rank" if name == "source_priority" else name).to_numpy()[rows]
        for name in config.survivor_order
    }
    ascending = [values if name in _SMALLEST_FIRST else -values for name, values in columns.items()]
    return np.lexsort([keys, *reversed(ascending)])


def _whole(edges: np.ndarray, *, ranks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `stars`, but the centre of a node is the best of its component.

    It is joined by its first edge to the centre or, without one, by its first edge, through which it came in.
    """
    roots = components(edges, num_nodes=len(ranks))
    worst_first = np.argsort(ranks, kind="stable")[::-1]
    best = np.full(len(ranks), -1, np.int64)
    best[roots[worst_first]] = worst_first  # what is written last stays
    centres = best[roots]
    first, direct = np.full((2, len(ranks)), len(edges), np.int64)
    for own, other in (edges.T, edges.T[::-1]):
        np.minimum.at(first, own, np.arange(len(edges)))
        to_centre = np.flatnonzero(centres[own] == other)
        np.minimum.at(direct, own[to_centre], to_centre)
    joining = np.where(direct < len(edges), direct, first)
    joining[centres == np.arange(len(ranks))] = -1
    return centres, joining


def _hubs_first(edges: np.ndarray, ranks: np.ndarray, *, max_bucket: int, num_earlier: int) -> np.ndarray:
    """Ranks by which centres are looked for: earlier documents, then those of half of `max_bucket` copies and more.

    The documents of a hot bucket were compared with its first one only. Were that taken by a better one, each of the
    others would be left on its own: 600 copies in buckets of 200 left 534 survivors (2026-11). Where all pairs were
    compared, all of a large cluster have many copies, and the order among them is the configured one.
    """
    degrees = np.bincount(edges.ravel(), minlength=len(ranks))
    order = np.lexsort([ranks, degrees < max_bucket / 2, ranks >= num_earlier])  # half: some copies are not kept
    visits = np.empty(len(ranks), np.int64)
    visits[order] = np.arange(len(ranks))
    return visits


def _duplicates(candidates: _Candidates, edges: np.ndarray, near: pa.Table, *, config: DedupConfig) -> pa.Table:
    keys, nodes = candidates.keys, candidates.nodes
    alive, first = np.unique(nodes, return_index=True)  # the first document of a node is its best
    ranks = np.full(candidates.num_nodes, len(keys), np.int64)
    ranks[alive] = first
    jaccard, containment = (near.column(name).to_numpy() for name in ("jaccard", "containment"))
    both_alive = (ranks[edges] < len(keys)).all(axis=1)
    edges = np.sort(edges, axis=1)  # of several edges between two nodes `stars` takes the first in one direction
    kinds = near.column("kind").to_numpy(zero_copy_only=False)
    strongest = np.lexsort((edges[:, 1], edges[:, 0], -containment, -jaccard, kinds == "url"))
    strongest = strongest[both_alive[strongest]]
    if config.verify:
        visits = _hubs_first(edges[strongest], ranks, max_bucket=config.max_bucket, num_earlier=candidates.num_earlier)
        centres, joining = stars(edges[strongest], ranks=visits)
    else:
        centres, joining = _whole(edges[strongest], ranks=ranks)
    survivors = ranks[centres[nodes]]  # index of the document that stands for each
    is_removed = (survivors != np.arange(len(keys))) & (np.arange(len(keys)) >= candidates.num_earlier)
    _, clusters, sizes = np.unique(survivors, return_inverse=True, return_counts=True)
    smallest = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, clusters, keys)
    is_near = joining[nodes] >= 0
    pair = strongest[joining[nodes][is_near]]
    kind_of = np.full(len(keys), "exact", object)
    kind_of[is_near] = kinds[pair]
    values = np.ones((2, len(keys)), np.float32)
    values[:, is_near] = jaccard[pair], containment[pair]
    columns = {
        "key": keys,
        "kept_key": keys[survivors],
        "kept_snapshot": snapshot_of(keys[survivors]),
        "cluster_id": smallest[clusters],
        "cluster_size": sizes[clusters].astype(np.int32),
        "kind": kind_of,
        "jaccard": values[0],
        "containment": values[1],
    }
    table = pa.table({name: column[is_removed] for name, column in columns.items()}).cast(DUPLICATES)
    return table.sort_by("key")
