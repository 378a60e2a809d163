"""The judgement as a whole: whatever the thresholds are, nothing is removed for something that is not there."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.join import compare, holding
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.judgement import Judged, Removed, duplicates_among, rank_candidates
from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.cuts import CUTS
from ctllm.schemas.document import DOCUMENTS, document_keys
from ctllm.schemas.rules import RulesConfig, ZhRules
from ctllm.schemas.verdict import COPIES

from .conftest import SPAM, prose

BANDS = (32, 4)  # as many as any threshold here could ask for, so that texts are signed once


def variants(number: int) -> list[str]:
    """A text and near copies of it: longer, shorter, in half width, with digits, and a long page that quotes it."""
    text = prose(number)
    return [
        text,
        "转载：" + text,
        text[: len(text) * 9 // 10],
        text.replace("，", ","),
        text + "1234567890" * 20,
        text * 2 + SPAM,
    ]


@dataclass(frozen=True)
class Library:
    """Texts that documents are drawn from, measured and signed once: row by row."""

    documents: pa.Table
    signals: pa.Table
    bands: pa.Table


@pytest.fixture(scope="module")
def library() -> Library:
    """Six forms of each of three texts; every second form has the URL of its text."""
    texts = [text for number in range(3) for text in variants(number)]
    known: dict[str, Sequence[object]] = {
        "key": range(len(texts)),
        "url": [f"https://a.example/{row // 6}" if row % 2 else None for row in range(len(texts))],
        "lane": ["zh"] * len(texts),
        "lang_score": [1.0] * len(texts),
        "text": texts,
    }
    blank = {pa.string(): "", pa.large_string(): ""}
    columns = [
        pa.array(known.get(field.name, [None if field.nullable else blank.get(field.type, 0)] * len(texts)), field.type)
        for field in DOCUMENTS
    ]
    batch = pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS)
    decoded = TextBatch.of(batch.column("text"))
    signed = Signer(DedupConfig(bands=BANDS)).sign(batch, decoded)
    measured = Measurer(CurationConfig()).measure(batch, decoded)
    return Library(*(pa.Table.from_batches([each]) for each in (batch, measured, signed)))


@st.composite
def configs(draw: st.DrawFn) -> CurationConfig:
    """Thresholds of rules and copies, and what decides who stays."""
    names = draw(st.permutations(("source_priority", "num_chars", "date", "key")))
    threshold = draw(st.sampled_from([0.3, 0.6, 0.8, 0.95]))
    dedup = DedupConfig(
        bands=BANDS,
        threshold=threshold,
        containment=draw(st.sampled_from([None, threshold, 1.0])),
        verify=draw(st.booleans()),
        by_url=draw(st.booleans()),
        max_bucket=draw(st.sampled_from([2, 1000])),
        survivor_order=tuple(names[: draw(st.integers(1, 4))]),
    )
    zh = ZhRules(
        min_num_chars=draw(st.sampled_from([0, 300, 400, 600])),
        max_digit_share=draw(st.sampled_from([0.0, 0.1, 1.0])),
        max_gambling_share=draw(st.sampled_from([None, 0.0, 0.1])),
    )
    return CurationConfig(dedup=dedup, rules=RulesConfig(zh=zh))


def judged(signals: pa.Table, rows: np.ndarray, keys: np.ndarray, config: CurationConfig) -> Judged:
    """Documents that have the signals of these rows."""
    own = signals.take(rows)
    lanes = pa.array(["zh"] * len(rows))
    kept, reasons = evaluate(own, lanes, rules=config.rules)
    ordering = {"date": pa.chunked_array([pa.array([f"200{row % 7}-01-01" for row in rows.tolist()], pa.string())])}
    order = ordering if "date" in config.dedup.survivor_order else {}
    return Judged(keys, lanes, own["num_chars"].to_numpy(), kept, reasons, CUTS.empty_table(), order)


def all_pairs(bands: pa.Table, rows: np.ndarray, keys: np.ndarray, config: DedupConfig) -> pa.Table:
    """Every two documents, compared."""
    own = bands.take(rows).set_column(0, bands.schema.field("key"), pa.array(keys))
    return holding(compare(own, own, np.argwhere(np.triu(np.ones((len(rows),) * 2), 1)), config=config), config=config)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.integers(0, 17), min_size=1, max_size=10), configs())
def test_no_document_goes_for_one_that_went(library: Library, drawn: list[int], config: CurationConfig) -> None:
    """Every copy names a document that stays and is like it; what a rule removed stands for nothing.

    Each document has one verdict, and kept and removed ones are all of them, whatever the thresholds.
    """
    rows = np.array(drawn)
    keys = document_keys(snapshot=0, split=0, first_row=0, num_rows=len(rows))
    found = judged(library.signals, rows, keys, config)
    pairs = all_pairs(library.bands, rows, keys, config.dedup)
    ranked = rank_candidates(found, candidates=None, source_rank=0)
    duplicates = duplicates_among(pairs, ranked, config=config)
    verdicts: list[dict[str, Any]] = Removed(duplicates, config.dedup).verdicts(found).to_pylist()
    kept = {row["key"] for row in verdicts if row["kept"]}
    removed = {row["key"] for row in verdicts if not row["kept"]}
    assert [row["key"] for row in verdicts] == keys.tolist()
    assert len(kept) + len(removed) == len(rows)
    assert all(bool(row["reasons"]) != row["kept"] for row in verdicts)
    connected = {frozenset((row["key_a"], row["key_b"])): row["kind"] for row in pairs.to_pylist()}
    exact = [pair for pair, kind in connected.items() if kind == "exact"]
    by_rules = {row["key"] for row in verdicts if {each["reason"] for each in row["reasons"]} - set(COPIES.values())}
    for row in duplicates.to_pylist():
        assert row["kept_key"] in kept
        assert row["key"] in removed - by_rules
        if config.dedup.verify:
            ones, others = (_copies(row[name], exact) for name in ("key", "kept_key"))
            assert ones & others or any(frozenset(each) in connected for each in itertools.product(ones, others))
    assert removed == by_rules | set(duplicates["key"].to_pylist())


def _copies(key: int, exact: list[frozenset[int]]) -> set[int]:
    """The document and its exact copies: each two of them are a pair here."""
    return {key}.union(*(pair for pair in exact if key in pair))
