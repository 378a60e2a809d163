"""Components and stars."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.dedup.clusters import components, stars

EDGES = st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=25)


def as_array(edges: list[tuple[int, int]]) -> np.ndarray:
    """Edges, (n, 2)."""
    return np.array(edges, np.int64).reshape(-1, 2)


@given(EDGES)
def test_component_is_named_after_its_smallest_node(edges: list[tuple[int, int]]) -> None:
    """Labels equal those of repeated plain propagation until nothing changes."""
    labels = list(range(12))
    for _ in range(12):
        for one, other in edges:
            labels[one] = labels[other] = min(labels[one], labels[other])
    assert components(as_array(edges), num_nodes=12).tolist() == labels


@given(EDGES, st.permutations(range(12)))
def test_stars_are_those_of_the_plain_greedy_rule(edges: list[tuple[int, int]], ranks: list[int]) -> None:
    """Best rank first: a free node becomes a centre and takes its free neighbours, each through an edge of its own."""
    expected = [-1] * 12
    for node in sorted(range(12), key=lambda each: ranks[each]):
        if expected[node] < 0:
            expected[node] = node
            for one, other in [*edges, *((b, a) for a, b in edges)]:
                if one == node and expected[other] < 0:
                    expected[other] = node
    centres, joining = stars(as_array(edges), ranks=np.array(ranks))
    assert centres.tolist() == expected
    for node in range(12):
        assert (joining[node] < 0) == (centres[node] == node)
        assert joining[node] < 0 or set(edges[joining[node]]) == {node, centres[node]}


def test_chain_is_not_one_star() -> None:
    """A is like B and B like C: with B best all are one star, with A best C stays on its own."""
    chain = as_array([(0, 1), (1, 2)])
    assert stars(chain, ranks=np.array([1, 0, 2]))[0].tolist() == [1, 1, 1]
    assert stars(chain, ranks=np.array([0, 1, 2]))[0].tolist() == [0, 0, 2]
