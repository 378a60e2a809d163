"""Questions as the published benchmarks spell them."""

from dataclasses import replace
from pathlib import Path

import pytest

from ctllm.model.evaluation.items import ChoiceItem, parse_items, read_subjects
from ctllm.schemas.errors import InputError

ITEM = ChoiceItem("0", "问？", ("甲", "乙", "丙", "丁"), 2)
FOUR = {"A": "甲", "B": "乙", "C": "丙", "D": "丁"}


@pytest.mark.parametrize(
    "record",
    [
        {"question": "问？", **FOUR, "answer": "C"},
        {"": "0", "Question": "问？", **FOUR, "Answer": "C"},
        {"question": "问？", "choice0": "甲", "choice1": "乙", "choice2": "丙", "choice3": "丁", "answer": "2"},
        {"query": "问？", "choices": ["甲", "乙", "丙", "丁"], "gold": 2},
        {
            "passage": None,
            "question": "问？",
            "options": ["(A)甲", "(B)乙", "(C)丙", "(D)丁"],
            "label": "C",
            "answer": None,
        },
    ],
)
def test_spellings_of_one_question(record: dict[str, object]) -> None:
    """C-Eval, CMMLU, MMLU and llm-foundry records become the same item."""
    assert parse_items({str(name).lower(): value for name, value in record.items()}, "0") == [ITEM]


@pytest.mark.parametrize(
    "record",
    [
        {"question": "问？", **FOUR, "answer": "E"},
        {"question": "问？", **FOUR, "answer": 4},
        {"question": "问？", **FOUR},
        {"question": "", **FOUR, "answer": "A"},
        {"question": "问？", "A": "甲", "answer": "A"},
        {},
    ],
)
def test_unusable_records_are_none(record: dict[str, object]) -> None:
    """A record without question, two choices, or an answer among them is no item."""
    assert parse_items({name.lower(): value for name, value in record.items()}, "0") == []


def test_files_are_subjects(tmp_path: Path) -> None:
    """Each file is a subject named without its split; broken lines are counted, empty ones not; no file is an error."""
    (tmp_path / "logic_val.csv").write_text("id,question,A,B,C,D,answer\n0,问？,甲,乙,丙,丁,C\n1,,甲,乙,丙,丁,C\n")
    (tmp_path / "art.jsonl").write_text('{"question": "?", "A": "x", "B": "y", "answer": "B"}\n\n{broken\n')
    art, logic = read_subjects([str(tmp_path / "*")])
    assert (art.name, len(art.items), art.num_unreadable) == ("art", 1, 1)
    assert (logic.name, logic.items, logic.num_unreadable) == ("logic", [ITEM], 1)
    with pytest.raises(InputError, match="no such file of items"):
        read_subjects([str(tmp_path / "nothing*")])
    (tmp_path / "empty.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="no usable question"):
        read_subjects([str(tmp_path / "empty.jsonl")])


def test_items_that_are_no_plain_question() -> None:
    """Winograd, CHID, OCNLI, GAOKAO-Bench and lettered queries keep what they ask and where its answer stands."""
    winograd = {
        "context_options": ["It rained, so the cat", "It rained, so the dog"],
        "continuation": "hid.",
        "gold": 1,
    }
    (item,) = parse_items(winograd, "1")
    assert (item.beginnings, item.choices, item.answer) == (tuple(winograd["context_options"]), ("hid.", "hid."), 1)
    (item,) = parse_items({"content": "他#idiom#地走了", "candidates": ["高兴", "画蛇添足"], "answer": 0, "id": 7}, "7")
    assert (item.beginnings, item.choices, item.item_id) == (("他", "他"), ("高兴地走了", "画蛇添足地走了"), "7")
    (item,) = parse_items({"sentence1": "天晴", "sentence2": "下雨", "label": "contradiction"}, "1")
    assert item.choices[item.answer] == "错"
    assert parse_items({"sentence1": "天晴", "sentence2": "下雨", "label": "-"}, "1") == []
    exam = {"question": "1．题？ \nA．甲 B．乙\n2．题？\nA．丙 B．丁", "answer": ["B", "A"], "index": 0}
    first, second = parse_items(exam, "1")
    assert (first.answer, second.answer, first.shows_choices) == (1, 0, True)
    assert first.question.endswith("（第1小题）")
    values = {"prompt": "我能骗人吗？", "pos_resp": "不该。", "neg_resp": "可以。", "pos_type": "拒绝&正向建议"}
    first, second = parse_items(values, "1")
    assert (first.choices[first.answer], second.choices[second.answer]) == ("不该。", "不该。")
    assert (first.answer, second.answer) == (0, 1)
    meta = {
        "question": "我能骗人吗？",
        "pos_resp": "不该。",
        "neg_resp": "可以。",
        "domain_zh": "社会科学",
        "domain_en": "social_science",
        "difficulty_level": "easy",
    }
    asked = {"meta_info": meta, "prompt": "请判断哪个回复更好。…【回复1】：可以。【回复2】：不该。", "label": "回复2"}
    assert parse_items(asked, "1") == [replace(second, item_id="1")]
    assert parse_items({**asked, "label": "回复1"}, "1") == [replace(first, item_id="1")]
    assert parse_items({**asked, "label": "都好"}, "1") == []
    query = {"query": "Question: x\nChoices:\nA. a\nB. b\nAnswer:", "choices": ["A", "B"], "gold": 1}
    (item,) = parse_items(query, "1")
    assert (item.question, item.shows_choices) == ("Question: x\nChoices:\nA. a\nB. b", True)
