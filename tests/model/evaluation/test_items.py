"""Questions as the published benchmarks spell them."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ctllm.model.evaluation.items import ChoiceItem, Subject, parse_items, read_subjects
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
    values = {"prompt": " 我能骗人吗？\n", "pos_resp": "不该。", "neg_resp": "可以。", "pos_type": "拒绝&正向建议"}
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


def test_packed_files_lie_at_any_depth(tmp_path: Path) -> None:
    """`**` goes into folders, which are no files themselves; without an id of their own rows are numbered from 1."""
    packed = tmp_path / "deep" / "er" / "logic_dev.jsonl.gz"
    packed.parent.mkdir(parents=True)
    line = json.dumps({"question": "问？", **FOUR, "answer": "C"}) + "\n"
    packed.write_bytes(gzip.compress((line * 2).encode()))
    (subject,) = read_subjects([f"{tmp_path}/**/*"])
    items = [replace(ITEM, item_id=number) for number in "12"]
    assert subject == Subject("logic", f"{tmp_path}/deep/er/logic_dev", items, 0)
    for content in (packed.read_bytes()[:30], b"no gzip"):
        packed.write_bytes(content)
        with pytest.raises(InputError, match=r"logic_dev.jsonl.gz: not readable \(.+\); get the file again"):
            read_subjects([str(packed)])


def test_files_of_the_package_are_found_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes with the product needs no checkout around it."""
    monkeypatch.chdir(tmp_path)
    (subject,) = read_subjects(["examples/benchmarks/mini_zh.jsonl"])
    assert (subject.name, len(subject.items) > 1) == ("mini_zh", True)


@pytest.mark.parametrize("suffix", ["", "_val", "_dev", "_test", "_train"])
def test_a_subject_is_named_without_its_split(tmp_path: Path, suffix: str) -> None:
    """So a subject and its examples, in files of their own, have one name; the benchmark keeps the whole."""
    path = tmp_path / f"law{suffix}.json"
    path.write_text(json.dumps([{"question": "问？", **FOUR, "answer": "C"}]))
    (subject,) = read_subjects([str(path)])
    assert (subject.name, subject.benchmark) == ("law", str(path.with_suffix("")))


def answers(row: dict[str, object]) -> list[tuple[str, str]]:
    """Question and right answer of each item of a row."""
    items = parse_items({name.lower(): value for name, value in row.items()}, "1")
    return [(item.question, item.choices[item.answer]) for item in items]


def test_where_the_answer_stands() -> None:
    """Of gold, label and answer the first that is there, in this order, 0 too; a letter in either case."""
    choices = ["甲", "乙", "丙"]
    for given in ({"gold": 0}, {"gold": 0, "answer": "B"}, {"label": "A", "answer": "丙"}, {"answer": " a "}):
        assert answers({"query": "问？", "choices": choices, **given}) == [("问？", "甲")]
    for given in ({"answer": "AB"}, {"answer": ""}, {"gold": 3}, {"gold": -1}):
        assert answers({"query": "问？", "choices": choices, **given}) == []


def test_two_to_eight_choices_with_text() -> None:
    """As many as have letters; white space around a choice goes, a choice of nothing else makes no item."""
    eight = [f" {number}\n" for number in range(8)]
    assert answers({"question": "问？", "choices": eight, "answer": "H"}) == [("问？", "7")]
    assert answers({"question": "问？", "choices": [*eight, "8"], "answer": "H"}) == []
    assert answers({"question": "问？", "choices": ["甲", " "], "answer": "A"}) == []
    assert answers({"question": " ", "choices": ["甲", "乙"], "answer": "A"}) == []


def test_labels_are_taken_off_options_only() -> None:
    """AGIEval's options carry their letter, in any brackets; a choice elsewhere that begins like one is whole."""
    options = ["(A)甲", "B. 乙", "C、丙", "（D）丁", "E：戊"]
    (item,) = parse_items({"passage": "文。", "question": "问？", "options": options, "label": "E"}, "1")
    assert (item.question, item.choices, item.answer) == ("文。\n问？", ("甲", "乙", "丙", "丁", "戊"), 4)
    assert answers({"question": "问？", "choices": ["A. 甲", "B. 乙"], "answer": "B"}) == [("问？", "B. 乙")]


def test_a_cue_goes_where_letters_are_asked_for() -> None:
    """llm-foundry ends lettered queries with a cue; a query whose choices are texts keeps its own end."""
    assert answers({"query": "x\nAnswer: ", "choices": ["A", "B"], "gold": 0}) == [("x", "A")]
    assert answers({"query": "x\nAnswer:", "choices": ["yes", "no"], "gold": 0}) == [("x\nAnswer:", "yes")]


def test_labels_that_are_words() -> None:
    """OCNLI's three, BUSTM's same or not, EPRSTMT's praise or not; another label is no answer."""
    pair = {"sentence1": "天晴", "sentence2": "下雨"}
    said = "天晴\n根据上文，下面的说法对吗？下雨"
    for label, word in (("entailment", "对"), ("neutral", "也许"), ("contradiction", "错")):
        assert answers({**pair, "label": label}) == [(said, word)]
    for label, word in (("0", "不同"), (1, "相同")):
        assert answers({**pair, "label": label}) == [("天晴\n下雨\n这两句话的意思相同吗？", word)]
    for label, word in (("Positive", "好评"), ("negative", "差评")):
        assert answers({"sentence": "好", "label": label}) == [("好\n这条评价是好评还是差评？", word)]
    assert [answers({**pair, "label": 2}), answers({"sentence": "好", "label": "neutral"})] == [[], []]


def test_an_exam_is_known_by_its_options() -> None:
    """One question stays as it is, one bad letter costs the row, a list of answers without options is no exam."""
    exam = "1．题？ \nA．甲 B．乙\n"
    (item,) = parse_items({"question": exam, "answer": ["B"]}, "1")
    assert (item.question, item.choices, item.answer, item.shows_choices) == (exam.rstrip(), tuple("ABCD"), 1, True)
    assert answers({"question": exam, "answer": ["B", "E"]}) == []
    for question in ("几？", "VB. 是什么"):
        assert answers({"question": question, "answer": ["A"]}) == []


def test_a_gap_is_the_first_one() -> None:
    """A text without a gap is no item; what follows a second gap stays text."""
    idioms = {"candidates": ["高兴", "难过"], "answer": 1}
    assert answers({"content": "他地走了", **idioms}) == []
    (item,) = parse_items({"content": "甲#idiom#乙#idiom#丙", **idioms}, "1")
    assert (item.beginnings, item.choices[1]) == (("甲", "甲"), "难过乙#idiom#丙")
