"""Survivors: who stays, among those whom the rules keep."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.dates import UNDATED
from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.document import document_keys
from ctllm.schemas.duplicates import DUPLICATES, PAIRS
from ctllm.schemas.errors import AccountingError

Pair = tuple[int, int, str, float]


def chosen(
    pairs: list[Pair],
    *,
    kept: list[int],
    order: dict[int, tuple[int, int]],
    config: DedupConfig | None = None,
    earlier: list[int] | None = None,
) -> list[dict[str, object]]:
    """Rows of DUPLICATES; `order` maps a key to its source rank and length."""
    columns = list(zip(*pairs, strict=True)) if pairs else [[], [], [], []]
    table = pa.table(
        [pa.array(columns[0], pa.uint64()), pa.array(columns[1], pa.uint64()), pa.array(columns[2], pa.string()),
         pa.array(columns[3], pa.float32()), pa.array(columns[3], pa.float32())], schema=PAIRS,
    )  # fmt: skip
    order_columns = pa.table({
        "key": pa.array(list(order), pa.uint64()),
        "source_rank": pa.array([rank for rank, _ in order.values()], pa.int32()),
        "num_chars": pa.array([length for _, length in order.values()], pa.int32()),
    })  # fmt: skip
    kept_keys = np.array(kept, np.uint64)
    duplicates = choose_survivors(
        table,
        kept_keys=kept_keys,
        order_columns=order_columns,
        config=config or DedupConfig(),
        earlier_keys=np.array(earlier or [], np.uint64),
    )
    assert duplicates.schema.equals(DUPLICATES)
    return duplicates.to_pylist()


def exact_copies(keys: list[int], order_columns: pa.Table, *, config: DedupConfig) -> list[dict[str, object]]:
    """Rows of DUPLICATES where all these are kept and exact copies of the first."""
    ones = [1.0] * (len(keys) - 1)
    pairs = pa.table([[keys[0]] * len(ones), keys[1:], ["exact"] * len(ones), ones, ones], names=PAIRS.names)
    kept_keys = np.array(keys, np.uint64)
    pairs = pairs.cast(PAIRS)
    return choose_survivors(pairs, kept_keys=kept_keys, order_columns=order_columns, config=config).to_pylist()


@dataclass(frozen=True)
class Case:
    """Random pairs, and which documents the rules keep."""

    pairs: list[Pair]
    kept: list[int]
    order: dict[int, tuple[int, int]]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Up to 12 documents, keys in no order that means anything."""
    keys = draw(st.lists(st.integers(0, 2**60), min_size=2, max_size=12, unique=True))
    edges = draw(st.sets(st.tuples(st.sampled_from(keys), st.sampled_from(keys)).filter(lambda e: e[0] < e[1])))
    similarities = st.sampled_from([0.8, 0.85, 0.9, 0.95])
    kinds = st.one_of(st.just(("exact", 1.0)), st.tuples(st.sampled_from(["near", "url"]), similarities))
    pairs = [(*edge, *draw(kinds)) for edge in sorted(edges)]
    order = {key: (draw(st.integers(0, 2)), draw(st.integers(10, 13))) for key in keys}
    return Case(pairs, draw(st.lists(st.sampled_from(keys), unique=True)), order)


def exact_groups(case: Case) -> dict[int, int]:
    """Group of exact copies of every key, by plain propagation."""
    groups = {key: key for key in case.order}
    for _ in case.order:
        for one, other, kind, _ in case.pairs:
            if kind == "exact":
                groups[one] = groups[other] = min(groups[one], groups[other])
    return groups


@given(cases(), st.randoms(use_true_random=False))
def test_survivors_hold_their_promises(case: Case, random: object) -> None:
    """A kept document is removed only for a better one that stays and that it was verified against.

    The row states that pair's kind and Jaccard; no two survivors are copies; the order of pairs means nothing.
    """
    rows = chosen(case.pairs, kept=case.kept, order=case.order)
    groups = exact_groups(case)
    verified: dict[tuple[int, int], tuple[str, float]] = {}
    for one, other, kind, jaccard in case.pairs:
        if kind != "exact":
            edge = tuple(sorted((groups[one], groups[other])))
            known = verified.get(edge, ("url", 0.0))
            verified[edge] = max((kind, jaccard), known, key=lambda each: (each[0] == "near", each[1]))
    removed = {row["key"]: row for row in rows}
    survivors = set(case.kept) - set(removed)
    rank = {key: (source, -length, key) for key, (source, length) in case.order.items()}
    for key, row in removed.items():
        assert key in case.kept
        assert row["kept_key"] in survivors
        assert rank[row["kept_key"]] < rank[key]
        edge = tuple(sorted((groups[key], groups[row["kept_key"]])))
        expected = ("exact", 1.0) if edge[0] == edge[1] else verified[edge]
        assert (row["kind"], row["jaccard"]) == (expected[0], np.float32(expected[1]))
    for one in survivors:
        for other in survivors - {one}:
            edge = tuple(sorted((groups[one], groups[other])))
            assert edge[0] != edge[1]
            assert edge not in verified
    shuffled = list(case.pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert chosen(shuffled, kept=case.kept[::-1], order=dict(reversed(case.order.items()))) == rows


@given(cases(), st.data())
def test_earlier_documents_stand_whatever_they_are_like(case: Case, data: st.DataObject) -> None:
    """None of them is removed, and each new document verified against one goes, for the oldest such one.

    With no pair among earlier documents, as the join gives them, nothing else changes: the rest is as if the documents
    they stand for had never been there.
    """
    earlier = set(data.draw(st.lists(st.sampled_from(sorted(case.order)), unique=True)))
    groups = exact_groups(case)
    by_group = {groups[key]: key for key in sorted(earlier, reverse=True)}  # as the join: the first of exact copies
    earlier = set(by_group.values())
    pairs = [pair for pair in case.pairs if groups[pair[0]] not in by_group or groups[pair[1]] not in by_group
             or groups[pair[0]] == groups[pair[1]]]  # fmt: skip
    order = {key: value for key, value in case.order.items() if key not in earlier}
    rows = {row["key"]: row for row in chosen(pairs, kept=case.kept, order=order, earlier=sorted(earlier))}
    stands: dict[int, int] = {}
    for key in set(case.kept) - earlier:
        alike = [by_group[groups[key]]] if groups[key] in by_group else sorted(
            by_group[groups[other]] for one, two, *_ in pairs for mine, other in ((one, two), (two, one))
            if groups[mine] == groups[key] and groups[other] in by_group)  # fmt: skip
        if alike:
            stands[key] = alike[0]
    assert not earlier & rows.keys()
    assert {key: row["kept_key"] for key, row in rows.items() if row["kept_key"] in earlier} == stands
    others = [key for key in case.kept if key not in stands and key not in earlier]
    expected = chosen(pairs, kept=others, order=case.order)
    assert [row for row in rows.values() if row["key"] not in stands] == expected


@given(cases())
def test_unverified_pairs_make_whole_components(case: Case) -> None:
    """Without verification all kept documents that pairs connect are one cluster behind its best one, and no others.

    The row shows a pair of the removed document's own, its pair with the survivor where there is one; one of texts
    before one of addresses.
    """
    config = DedupConfig(verify=False, survivor_order=("num_chars",))
    rows = chosen(case.pairs, kept=case.kept, order=case.order, config=config)
    exact = exact_groups(case)
    kept_groups = {exact[key] for key in case.kept}
    edges = [
        (exact[one], exact[other], (kind == "near", jaccard))
        for one, other, kind, jaccard in case.pairs
        if kind != "exact"
    ]
    edges = [edge for edge in edges if edge[0] != edge[1] and {edge[0], edge[1]} <= kept_groups]
    whole = {group: group for group in kept_groups}
    for _ in whole:
        for one, other, _ in edges:
            whole[one] = whole[other] = min(whole[one], whole[other])
    best: dict[int, int] = {}
    for key in sorted(case.kept, key=lambda key: (-case.order[key][1], key)):
        best.setdefault(whole[exact[key]], key)
    expected = {key: best[whole[exact[key]]] for key in case.kept if best[whole[exact[key]]] != key}
    assert {row["key"]: row["kept_key"] for row in rows} == expected
    for row in rows:
        own, centre = exact[row["key"]], exact[row["kept_key"]]
        if own != centre:
            around = [(set(edge[:2]), edge[2]) for edge in edges if own in edge[:2]]
            direct = [strength for ends, strength in around if ends == {own, centre}]
            is_near, jaccard = max(direct or [strength for _, strength in around])
            assert (row["kind"], row["jaccard"]) == ("near" if is_near else "url", np.float32(jaccard))


def test_order_of_survival_is_the_configured_one() -> None:
    """Source first, then length, then key; with another order another document stays."""
    pairs = [(1, 2, "near", 0.9), (1, 3, "near", 0.9), (2, 3, "near", 0.9)]
    order = {1: (1, 500), 2: (0, 100), 3: (0, 100)}
    assert [row["kept_key"] for row in chosen(pairs, kept=[1, 2, 3], order=order)] == [2, 2]
    by_length = DedupConfig(survivor_order=("num_chars",))
    assert [row["kept_key"] for row in chosen(pairs, kept=[1, 2, 3], order=order, config=by_length)] == [1, 1]


@pytest.mark.parametrize(("order", "best_first"), [
    (("quality", "date"), [3, 2, 4, 1]),
    (("date", "quality"), [1, 3, 4, 2]),
    (("date",), [1, 3, 4, 2]),
    (("quality",), [2, 3, 4, 1]),
    (("key", "date"), [1, 2, 3, 4]),
])  # fmt: skip
def test_best_score_or_newest_stays_where_the_order_says_so(order: tuple[str, ...], best_first: list[int]) -> None:
    """Score from high to low, date from new to old, unknown ones (-1, UNDATED) last, then by key."""
    scores = {1: -1.0, 2: 0.9, 3: 0.9, 4: 0.25}
    dates = {1: 7, 2: UNDATED, 3: -5, 4: -5}
    columns = pa.table({
        "key": pa.array(scores, pa.uint64()),
        "quality": pa.array(scores.values(), pa.float32()),
        "date": pa.array(dates.values(), pa.int64()),
    })  # fmt: skip
    config = DedupConfig(survivor_order=order)  # type: ignore[arg-type]
    left = [1, 2, 3, 4]
    for best in best_first[:-1]:
        rows = exact_copies(left, columns, config=config)
        assert {row["kept_key"] for row in rows} == {best}
        left.remove(best)


def test_document_that_the_rules_removed_neither_stays_nor_takes_others_along() -> None:
    """The longest copy fails a rule: of the rest the best stays, through exact copies of the removed one too."""
    pairs = [(1, 2, "exact", 1.0), (1, 3, "exact", 1.0), (1, 9, "near", 0.84)]
    rows = chosen(pairs, kept=[2, 3, 9], order={1: (0, 900), 2: (0, 300), 3: (0, 200), 9: (0, 100)})
    assert [(row["key"], row["kept_key"], row["kind"], row["cluster_size"]) for row in rows] == [
        (3, 2, "exact", 3), (9, 2, "near", 3),
    ]  # fmt: skip
    assert chosen(pairs, kept=[9], order={9: (0, 100)}) == []


def test_row_names_cluster_and_snapshot() -> None:
    """A cluster is named after its smallest key, also when another document stays, and says of which crawl that is."""
    old, new = (int(document_keys(snapshot=each, split=0, first_row=5, num_rows=1)[0]) for each in (1, 2))
    rows = chosen([(old, new, "near", 0.9)], kept=[old, new], order={old: (1, 10), new: (0, 10)})
    assert rows == [
        {"key": old, "kept_key": new, "kept_snapshot": 2, "cluster_id": old, "cluster_size": 2, "kind": "near",
         "jaccard": pytest.approx(0.9), "containment": pytest.approx(0.9)}
    ]  # fmt: skip


@pytest.mark.parametrize("num_copies", [4, 5])
def test_document_of_very_many_copies_is_not_taken_from_them(num_copies: int) -> None:
    """With half of `max_bucket` copies, compared with it only, it stands before a better one that is like it."""
    copies = list(range(10, 10 + num_copies - 1))
    pairs = [(1, 2, "near", 0.9), *((1, copy, "near", 0.85) for copy in copies)]
    order = {1: (0, 50), 2: (0, 99), **dict.fromkeys(copies, (0, 10))}
    rows = chosen(pairs, kept=list(order), order=order, config=DedupConfig(max_bucket=10))
    expected = dict.fromkeys([2, *copies], 1) if num_copies == 5 else {1: 2}
    assert {row["key"]: row["kept_key"] for row in rows} == expected


def test_earlier_document_comes_before_one_of_very_many_copies() -> None:
    """What was published stands, whatever comes."""
    pairs = [(1, 2, "near", 0.9), *((2, copy, "near", 0.85) for copy in range(10, 20))]
    rows = chosen(
        pairs,
        kept=[2, *range(10, 20)],
        order=dict.fromkeys([2, *range(10, 20)], (0, 10)),
        config=DedupConfig(max_bucket=10),
        earlier=[1],
    )
    assert [(row["key"], row["kept_key"]) for row in rows] == [(2, 1)]


def test_oldest_of_several_earlier_documents_stands() -> None:
    """Two earlier ones that are alike both stay; their copies go for the older of them."""
    pairs = [(1, 2, "near", 0.9), (1, 9, "near", 0.85), (2, 9, "near", 0.95), (2, 8, "exact", 1.0)]
    rows = chosen(pairs, kept=[8, 9], order={8: (0, 900), 9: (0, 900)}, earlier=[1, 2])
    assert [(row["key"], row["kept_key"], row["kind"]) for row in rows] == [(8, 1, "near"), (9, 1, "near")]


def test_no_pairs_give_no_duplicates() -> None:
    """A corpus without copies loses nothing."""
    assert chosen([], kept=[1, 2], order={}) == []


def test_kept_document_without_signals_is_an_accounting_error() -> None:
    """A key that nobody measured is never ranked by chance."""
    with pytest.raises(AccountingError, match="not in order_columns"):
        chosen([(1, 2, "exact", 1.0)], kept=[1, 2], order={1: (0, 1)})
