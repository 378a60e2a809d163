"""`why`: everything the run knows about one document."""

import shutil
from pathlib import Path

import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.why import explain
from ctllm.schemas.curation_config import CurationConfig, DecontaminationConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_parquet
from ctllm.schemas.rules import ZhRules

from .conftest import prose, small_inputs, write_records


def test_removed_document_has_all_its_reasons(small_run: Path) -> None:
    """A spam page is shown with every failing rule, the value seen and the threshold."""
    found = explain(str(small_run / "run"), "spam")
    assert not found.kept
    failed = {rule.reason: rule for rule in found.rules if rule.failed}
    assert set(failed) == {each["reason"] for each in found.reasons}
    rule = failed["max_gambling_share"]
    assert rule.threshold is not None
    assert rule.value > rule.threshold


def test_copy_shows_the_document_kept_instead(small_run: Path) -> None:
    """A removed copy names the survivor, and the survivor names its copies."""
    copy = explain(str(small_run / "run"), "copy-exact")
    assert copy.kept_instead is not None
    assert copy.kept_instead["other"]["id"] == "good-0"
    assert copy.kept_instead["differences"] == []
    near = explain(str(small_run / "run"), "good-1")
    assert near.kept_instead is not None
    assert near.kept_instead["differences"]
    survivor = explain(str(small_run / "run"), "good-0")
    assert [each["other"]["id"] for each in survivor.stands_for] == ["copy-exact"]
    assert survivor.kept


def test_document_is_found_by_url_and_key(small_run: Path) -> None:
    """URL and key lead to the same document as the id."""
    by_url = explain(str(small_run / "run"), "https://a.example/2")
    assert by_url.document["id"] == "good-2"
    assert explain(str(small_run / "run"), str(by_url.document["key"])).document["id"] == "good-2"


def test_unknown_document_is_refused(small_run: Path) -> None:
    """A name that no document has is named, with where to look."""
    with pytest.raises(InputError, match=r"nothing-like-it.*failures"):
        explain(str(small_run / "run"), "nothing-like-it")


def test_rules_tell_bound_source_and_cost(small_run: Path) -> None:
    """Every rule of the lane is there with direction and source; one that refuses says how many, and how many alone."""
    found = explain(str(small_run / "run"), "short")
    rules = {rule.reason: rule for rule in found.rules}
    assert list(rules) == list(ZhRules.model_fields)
    short = rules["min_num_chars"]
    assert (short.is_minimum, short.threshold, short.value, short.failed) == (True, 50, 4, True)
    assert short.source == ZhRules.model_fields["min_num_chars"].description
    assert short.cost is not None
    assert (short.cost.documents, short.cost.failing) == (
        11,
        2,
    )  # the other says one sentence three times: cut, it is short
    assert rules["max_url_share"].cost is None


def test_published_changes_are_shown(small_run: Path) -> None:
    """A redacted telephone number is listed with its kind and place; a document left as it was has no changes."""
    (edit,) = explain(str(small_run / "run"), "mobile").edits
    assert edit["kind"] == "pii:mobile"
    assert edit["end"] - edit["start"] == 11
    assert explain(str(small_run / "run"), "good-2").edits == []


def test_benchmark_items_are_shown(tmp_path: Path) -> None:
    """A document that quotes a question shows benchmark, item, overlap and what stands there."""
    question = "某商店以每件八十元的价格购进一批衬衫，若按每件一百二十元出售，则平均每天可售出二十件"
    quiz = write_records(tmp_path / "quiz.jsonl", [{"id": "q3", "question": question}])
    inputs = write_records(tmp_path / "in.jsonl", [{"id": "leak", "text": f"{prose(0)}{question}。"}])
    config = CurationConfig(decontamination=DecontaminationConfig(benchmarks=(str(quiz),)))
    curate(config, inputs=[str(inputs)], out=str(tmp_path / "run"), options=RunnerOptions(workers=1))
    (row,) = explain(str(tmp_path / "run"), "leak").contamination
    start = len(prose(0).rstrip())
    assert row == {
        "benchmark": "quiz", "item_id": "q3", "overlap": 1.0, "covered": question,
        "start": row["start"], "end": row["start"] + len(question),
    }  # fmt: skip
    assert row["start"] >= start


def test_run_without_verdicts_is_refused(small_run: Path) -> None:
    """A run that was stopped before it decided says what to run."""
    shutil.rmtree(small_run / "run" / "verdicts")
    with pytest.raises(InputError, match=r"not decided yet; .*ctllm decide"):
        explain(str(small_run / "run"), "good-2")


def test_a_run_under_the_authors_rules_explains_them(tmp_path: Path) -> None:
    """`why` shows the sixteen measures and the bounds of ctllm_zh; the published text keeps its own punctuation."""
    config = CurationConfig.model_validate({"rules": {"zh_set": "ctllm_zh"}})
    inputs = small_inputs(tmp_path / "inputs")
    curate(config, inputs=inputs, out=str(tmp_path / "run"), options=RunnerOptions(workers=1))
    short = explain(str(tmp_path / "run"), "short")
    assert [each["reason"] for each in short.reasons] == [
        "min_ctllm_num_sentences", "min_ctllm_num_chars", "min_ctllm_char_entropy",
    ]  # fmt: skip
    rule = next(rule for rule in short.rules if rule.reason == "min_ctllm_num_chars")
    assert (rule.value, rule.threshold, rule.failed) == (4, 50, True)
    assert len([name for name in short.signals if name.startswith("ctllm_")]) == 16
    assert next(rule for rule in short.rules if rule.reason == "max_ctllm_top_2gram_share").threshold is None
    english = explain(str(tmp_path / "run"), "english")
    assert not [name for name in english.signals if name.startswith("ctllm_")]
    published = read_parquet(str(tmp_path / "run" / "curated" / "zh" / "part-00001.parquet"), columns=["id", "text"])
    texts = {row["id"]: row["text"] for row in published.to_pylist()}
    assert texts["good-2"] == prose(2)
