"""Components by star contraction, with union-find as oracle."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.dedup.clusters import components
from ctllm.pipelines.dedup.components import (
    fingerprint_of,
    label_components,
    large_star,
    partitions_of,
    read_edges,
    small_star,
)
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.files import write_parquet

NUM_NODES = 24


def labels_of(edges: np.ndarray, *, num_nodes: int) -> list[int]:
    """The label of every node, from edges (node, label) of all but the smallest of each component."""
    labels = np.arange(num_nodes, dtype=np.uint64)
    assert len(np.unique(edges[:, 0])) == len(edges)
    labels[edges[:, 0].astype(np.int64)] = edges[:, 1]
    return list(map(int, labels))


def rounds(edges: np.ndarray, *, bits: int) -> np.ndarray:
    """What the jobs do, partition by partition in memory."""
    known = -1
    while True:
        both = np.concatenate([edges, edges[:, ::-1]])
        both = both[both[:, 0] != both[:, 1]]
        linked = [large_star(both[partitions_of(both[:, 0], bits=bits) == part]) for part in range(1 << bits)]
        large = np.concatenate(linked)
        parts = [small_star(large[partitions_of(large[:, 0], bits=bits) == part]) for part in range(1 << bits)]
        edges, fingerprint = np.concatenate(parts), sum(map(fingerprint_of, parts)) % 2**64
        if fingerprint == known:
            return edges
        known = fingerprint


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.integers(0, NUM_NODES - 1), st.integers(0, NUM_NODES - 1)), max_size=40),
    st.permutations(range(NUM_NODES)),
    st.integers(0, NUM_NODES),
    st.integers(0, 3),
)
def test_rounds_end_in_the_labels_of_union_find(
    pairs: list[tuple[int, int]], order: list[int], length: int, bits: int
) -> None:
    """For random graphs and a path through them, in any number of partitions: the smallest node names a component."""
    path = list(itertools.pairwise(order[:length]))
    edges = np.array([*pairs, *path], np.uint64).reshape(-1, 2)
    expected = components(edges.astype(np.int64), num_nodes=NUM_NODES).tolist()
    assert labels_of(rounds(edges, bits=bits), num_nodes=NUM_NODES) == expected


def test_jobs_label_a_path_and_a_large_star(tmp_path: Path) -> None:
    """A path of 50 nodes in no order, a star of 100, two single pairs: the labels of union-find.

    The edges lie in several files, in both directions and twice; only the last round's files are left.
    """
    rng = np.random.default_rng(0)
    path = rng.permutation(np.arange(1, 51))
    star = np.arange(300, 400)
    edges = np.concatenate([
        np.column_stack([path[:-1], path[1:]]), np.column_stack([star, np.full(100, 250)]), [[401, 402], [404, 403]],
        [[404, 403], [405, 405]],
    ]).astype(np.uint64)  # fmt: skip
    files = []
    for number, part in enumerate(np.array_split(rng.permutation(edges), 3)):
        files.append(str(tmp_path / f"edges-{number}.parquet"))
        write_parquet(files[-1], pa.table([pa.array(part[:, 0]), pa.array(part[:, 1])], names=["key_a", "key_b"]))
    found = label_components(files, scratch=str(tmp_path / "scratch"), bits=2, options=RunnerOptions(workers=2))
    labels = np.concatenate([read_edges(each) for each in found])
    assert labels_of(labels, num_nodes=406) == components(edges.astype(np.int64), num_nodes=406).tolist()
    assert len(list((tmp_path / "scratch").iterdir())) == 1


def test_no_edges_have_no_labels(tmp_path: Path) -> None:
    """A corpus without pairs ends at once."""
    empty = str(tmp_path / "empty.parquet")
    write_parquet(empty, pa.table({"a": pa.array([], pa.uint64()), "b": pa.array([], pa.uint64())}))
    assert label_components([empty], scratch=str(tmp_path / "scratch"), bits=0, options=RunnerOptions(workers=1)) == []


def test_fingerprint_depends_on_the_set_and_on_nothing_else() -> None:
    """Order means nothing; another edge, the same edge turned round, or one more do."""
    edges = np.array([[3, 1], [5, 2]], np.uint64)
    assert fingerprint_of(edges) == fingerprint_of(edges[::-1])
    for other in ([[3, 2], [5, 1]], [[1, 3], [5, 2]], [[3, 1]], [[3, 1], [5, 2], [6, 1]]):
        assert fingerprint_of(np.array(other, np.uint64)) != fingerprint_of(edges)
