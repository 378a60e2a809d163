"""The ground truth is consistent in itself."""

import json
from collections import Counter
from pathlib import Path

import pytest

from ctllm.examples.corpus.build import EXPECTED
from ctllm.examples.corpus.documents import Document
from ctllm.examples.corpus.expected import Expected, expect


def test_ids_are_unique(corpus: tuple[Path, list[Expected]]) -> None:
    """A document's id names one document."""
    ids = Counter(line.id for line in corpus[1] if line.outcome != "failed")
    assert [name for name, count in ids.items() if count > 1] == []


def test_duplicates_name_a_kept_document_of_their_text(corpus: tuple[Path, list[Expected]]) -> None:
    """kept_id leads to a record that is kept and comes from the same base text; only duplicates have one."""
    by_id = {line.id: line for line in corpus[1]}
    for line in corpus[1]:
        is_copy = bool({"exact_duplicate", "near_duplicate"} & set(line.reasons))
        assert is_copy == (line.kept_id is not None), line.id
        if line.kept_id:
            assert by_id[line.kept_id].outcome == "kept", line.id
            assert by_id[line.kept_id].base == line.base, line.id


def test_expected_lines_are_json_of_one_shape() -> None:
    """Every line has the same keys, outcomes agree with reasons, failures have no lane."""
    lines = [json.loads(line) for line in EXPECTED.read_text(encoding="utf-8").splitlines()]
    assert {tuple(line) for line in lines} == {tuple(lines[0])}
    for line in lines:
        assert (line["outcome"] == "kept") == (line["reasons"] == []), line["id"]
        assert (line["outcome"] == "failed") == (line["lane"] is None), line["id"]


def test_the_longest_copy_survives_and_the_first_of_equals() -> None:
    """Which copy is kept follows from length, then from the order of reading."""
    texts = {"a": "甲乙丙丁", "b": "甲乙丙丁戊", "c": "甲乙丙丁戊"}
    documents = [Document(name, text, "x.jsonl", "zh", "copy", group="g") for name, text in texts.items()]
    assert [(line.id, line.kept_id) for line in expect(documents)] == [("a", "b"), ("b", None), ("c", "b")]


def test_a_group_whose_survivor_is_not_certain_is_refused() -> None:
    """A page and a record of nearly equal length may not be copies of each other: extraction could turn their order."""
    page = Document("page", "标题\n" + "正文。" * 40, "pages/town.warc.gz", "zh", "original", group="g")
    record = Document("record", page.text + "尾。", "x.jsonl", "zh", "copy", group="g")
    with pytest.raises(ValueError, match="which of them is longer is not certain"):
        expect([page, record])
