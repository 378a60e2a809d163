"""Which document stands for which: chosen among the documents the rules keep, in the configured order.

Exact copies are one node (they have the same shingles, so a pair verified for one of them holds for all); near copies
form stars around the best of them. Pairs of documents that a rule removed bind nobody.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.clusters import components, stars
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.document import snapshot_of
from ctllm.schemas.duplicates import DUPLICATES
from ctllm.schemas.errors import AccountingError


@dataclass(frozen=True)
class _Candidates:
    """Kept documents that occur in pairs, best first, and the node (group of exact copies) of each."""

    keys: np.ndarray
    nodes: np.ndarray
    num_nodes: int


def choose_survivors(
    pairs: pa.Table, *, kept_keys: np.ndarray, order_columns: pa.Table, config: DedupConfig
) -> pa.Table:
    """DUPLICATES, sorted by key: one row for each document that a better one stands for.

    `order_columns` has key, source_rank and num_chars of at least the kept documents in `pairs`. The kept document of a
    row is never itself in a row, and is an exact copy of the removed one or verified against it. Nothing depends on
    the order of `pairs`. Raises AccountingError when a kept document is missing from `order_columns`.
    """
    pair_keys = np.column_stack([pairs.column("key_a").to_numpy(), pairs.column("key_b").to_numpy()])
    all_keys, flat = np.unique(pair_keys, return_inverse=True)
    edges = flat.reshape(-1, 2).astype(np.int64)
    is_exact = pairs.column("kind").to_numpy(zero_copy_only=False) == "exact"
    groups = components(edges[is_exact], num_nodes=len(all_keys))
    candidates = _candidates(all_keys, groups, kept_keys=kept_keys, order_columns=order_columns, config=config)
    near = pairs.filter(pa.array(~is_exact))
    return _duplicates(candidates, groups[edges[~is_exact]], near)


def _candidates(
    all_keys: np.ndarray, groups: np.ndarray, *, kept_keys: np.ndarray, order_columns: pa.Table, config: DedupConfig
) -> _Candidates:
    is_kept = np.isin(all_keys, kept_keys)
    keys = all_keys[is_kept]
    best_first = _order(keys, order_columns, config=config)
    return _Candidates(keys=keys[best_first], nodes=groups[is_kept][best_first], num_nodes=len(all_keys))


def _order(keys: np.ndarray, order_columns: pa.Table, *, config: DedupConfig) -> np.ndarray:
    """Indices into `keys`, best first, by `survivor_order` and at last by key."""
    known = order_columns.column("key").to_numpy()
    sorter = np.argsort(known, kind="stable")
    places = np.searchsorted(known, keys, sorter=sorter)
    if len(keys) and (places[-1] == len(known) or (known[sorter[places]] != keys).any()):
        raise AccountingError("dedup: pairs name a kept document that is not in order_columns; run the stages again")
    rows = sorter[places]
    columns = {
        "source_priority": order_columns.column("source_rank").to_numpy()[rows],
        "num_chars": -order_columns.column("num_chars").to_numpy()[rows].astype(np.int64),
        "key": keys,
    }
    return np.lexsort([keys, *(columns[name] for name in reversed(config.survivor_order))])


def _duplicates(candidates: _Candidates, edges: np.ndarray, near: pa.Table) -> pa.Table:
    keys, nodes = candidates.keys, candidates.nodes
    alive, first = np.unique(nodes, return_index=True)  # the first document of a node is its best
    ranks = np.full(candidates.num_nodes, len(keys), np.int64)
    ranks[alive] = first
    jaccard, containment = (near.column(name).to_numpy() for name in ("jaccard", "containment"))
    both_alive = (ranks[edges] < len(keys)).all(axis=1)
    edges = np.sort(edges, axis=1)  # of several edges between two nodes `stars` takes the first in one direction
    strongest = np.lexsort((edges[:, 1], edges[:, 0], -containment, -jaccard))
    strongest = strongest[both_alive[strongest]]
    centres, joining = stars(edges[strongest], ranks=ranks)
    survivors = ranks[centres[nodes]]  # index of the document that stands for each
    is_removed = survivors != np.arange(len(keys))
    _, clusters, sizes = np.unique(survivors, return_inverse=True, return_counts=True)
    smallest = np.full(len(sizes), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, clusters, keys)
    is_near = joining[nodes] >= 0
    pair = strongest[joining[nodes][is_near]]
    values = np.ones((2, len(keys)), np.float32)
    values[:, is_near] = jaccard[pair], containment[pair]
    columns = {
        "key": keys,
        "kept_key": keys[survivors],
        "kept_snapshot": snapshot_of(keys[survivors]),
        "cluster_id": smallest[clusters],
        "cluster_size": sizes[clusters].astype(np.int32),
        "kind": np.where(is_near, "near", "exact"),
        "jaccard": values[0],
        "containment": values[1],
    }
    table = pa.table({name: column[is_removed] for name, column in columns.items()}).cast(DUPLICATES)
    return table.sort_by("key")
