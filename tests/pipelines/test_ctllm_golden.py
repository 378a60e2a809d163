"""The rules `ctllm_zh` against what the CT-LLM authors' own code decided on 7,942 real documents."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import zstandard

from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS
from ctllm.schemas.rules import CtllmZhRules, RulesConfig

pytestmark = pytest.mark.private_data

FILES = ("web_zh_wet", "zh_corpus_samples")
BATCH_DOCUMENTS = 1000
RULE_OF = {
    "language_score": "lang_score",
    "mean_word_length": "mean_word_chars",
    "punctuation_share": "num_punctuation",
    "url_blocklist": "url_list",
}  # where the authors' rule and our signal are named differently


@pytest.fixture(scope="module")
def judged(private_data: Path) -> list[tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]], bool]]:
    """Golden row, our signals, our reasons as intended, kept as released; of every document."""
    golden, texts = _read(private_data)
    intended = RulesConfig(zh_set="ctllm_zh", ctllm_zh=CtllmZhRules(as_released=False))
    released = RulesConfig(zh_set="ctllm_zh", ctllm_zh=CtllmZhRules(as_released=True))
    measurer = Measurer(CurationConfig(rules=intended))
    rows = []
    for first in range(0, len(texts), BATCH_DOCUMENTS):
        batch = _documents(texts[first : first + BATCH_DOCUMENTS])
        signals = measurer.measure(batch)
        _, reasons = evaluate(signals, batch.column("lane"), rules=intended)
        kept, _ = evaluate(signals, batch.column("lane"), rules=released)
        part = golden[first : first + BATCH_DOCUMENTS]
        rows += zip(part, signals.to_pylist(), reasons.to_pylist(), kept.tolist(), strict=True)
    return rows


def _read(private_data: Path) -> tuple[list[dict[str, Any]], list[str]]:
    golden, texts = [], []
    for name in FILES:
        with gzip.open(
            private_data.parent / "golden" / f"ctllm_filter_{name}.jsonl.gz", "rt", encoding="utf-8"
        ) as file:
            golden += [json.loads(line) for line in file]
        with (private_data / "restricted" / f"{name}.jsonl.zst").open("rb") as raw:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8")
            texts += [json.loads(line)["text"] for line in lines]
    return golden, texts


def _documents(texts: list[str]) -> pa.RecordBatch:
    columns = {"text": texts, "key": range(len(texts)), "lang_score": [1.0] * len(texts), "lane": ["zh"] * len(texts)}
    blank = {field.name: ["" if pa.types.is_string(field.type) else 0] * len(texts) for field in DOCUMENTS}
    return pa.RecordBatch.from_pydict(blank | columns, schema=DOCUMENTS)


def _rule(reason: str) -> str:
    """Their name of our rule."""
    signal = reason[4:].removeprefix("ctllm_")
    return {ours: theirs for theirs, ours in RULE_OF.items()}.get(signal, signal)


def test_the_first_failing_rule_is_theirs_on_every_document(judged: Any) -> None:
    """As intended, repetition counting: the same first reason on all 7,942 documents, without a difference."""
    assert len(judged) == 7942
    differing = [
        (row["id"], row["first_failing_rule"], first)
        for row, _, reasons, _ in judged
        if (first := _rule(reasons[0]["reason"]) if reasons else None) != row["first_failing_rule"]
    ]
    assert differing == []


def test_as_released_keeps_what_their_program_kept(judged: Any) -> None:
    """As released, repetition never removes: the same keep or drop on every document."""
    assert [row["id"] for row, _, _, kept in judged if kept != row["released_keep"]] == []
    assert sum(kept for *_, kept in judged) == 7135


def test_the_values_are_theirs_to_the_precision_of_the_column(judged: Any) -> None:
    """Every value that their code reported of a failing rule is the signal we measured, rounded to float32."""
    seen = 0
    for row, signals, _, _ in judged:
        for stage in row["rules"].values():
            for rule, value in stage.items():
                assert signals[f"ctllm_{RULE_OF.get(rule, rule)}"] == pytest.approx(value, rel=2e-7), row["id"]
                seen += 1
    assert seen == 930


def test_every_reason_has_a_measured_value(judged: Any) -> None:
    """No document is judged by a value that was not computed."""
    for _, signals, _, _ in judged:
        assert all(value is not None for name, value in signals.items() if name.startswith("ctllm_"))
