"""Questions as the published benchmarks spell them."""

from pathlib import Path

import pytest

from ctllm.model.evaluation.choice_items import ChoiceItem, parse_item, read_subjects
from ctllm.schemas.errors import InputError

ITEM = ChoiceItem("问？", ("甲", "乙", "丙", "丁"), 2)
FOUR = {"A": "甲", "B": "乙", "C": "丙", "D": "丁"}


@pytest.mark.parametrize(
    "record",
    [
        {"question": "问？", **FOUR, "answer": "C"},
        {"": "0", "Question": "问？", **FOUR, "Answer": "C"},
        {"question": "问？", "choice0": "甲", "choice1": "乙", "choice2": "丙", "choice3": "丁", "answer": "2"},
        {"query": "问？", "choices": ["甲", "乙", "丙", "丁"], "gold": 2},
    ],
)
def test_spellings_of_one_question(record: dict[str, object]) -> None:
    """C-Eval, CMMLU, MMLU and llm-foundry records become the same item."""
    assert parse_item(record) == ITEM


@pytest.mark.parametrize(
    "record",
    [
        {"question": "问？", **FOUR, "answer": "E"},
        {"question": "问？", **FOUR, "answer": 4},
        {"question": "问？", **FOUR},
        {"question": "", **FOUR, "answer": "A"},
        {"question": "问？", "A": "甲", "answer": "A"},
        "",
        None,
    ],
)
def test_unusable_records_are_none(record: object) -> None:
    """A record without question, two choices, or an answer among them is no item."""
    assert parse_item(record) is None


def test_files_are_subjects(tmp_path: Path) -> None:
    """Each file is a subject named without its split; broken lines are counted, empty ones not; no file is an error."""
    (tmp_path / "logic_val.csv").write_text("id,question,A,B,C,D,answer\n0,问？,甲,乙,丙,丁,C\n1,,甲,乙,丙,丁,C\n")
    (tmp_path / "art.jsonl").write_text('{"question": "?", "A": "x", "B": "y", "answer": "B"}\n\n{broken\n')
    art, logic = read_subjects([str(tmp_path / "*")])
    assert (art.name, len(art.items), art.num_unreadable) == ("art", 1, 1)
    assert (logic.name, logic.items, logic.num_unreadable) == ("logic", [ITEM], 1)
    with pytest.raises(InputError, match="no such file of questions"):
        read_subjects([str(tmp_path / "nothing*")])
    (tmp_path / "empty.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="no usable question"):
        read_subjects([str(tmp_path / "empty.jsonl")])
