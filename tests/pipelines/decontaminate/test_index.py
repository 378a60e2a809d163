"""Benchmark items are found in documents by the n-grams they share, however they are printed."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.decontaminate.benchmark_files import BenchmarkItem
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.signals.words import units_of
from ctllm.schemas.curation_config import DecontaminationConfig
from ctllm.schemas.errors import InputError

CONFIG = DecontaminationConfig()
ZH = BenchmarkItem(
    "exam",
    "1",
    "某商店以每件八十元的价格购进一批衬衫，若按每件一百二十元出售，则平均每天可售出二十件，求每天的利润。",
    (),
)
EN = BenchmarkItem("quiz", "7", "A train leaves the station at noon and travels north at sixty miles an hour until it "
                   "reaches the next town four hours later.", ())  # fmt: skip
CHOICE = BenchmarkItem("exam", "9", "中国最长的河流是", ("黄河", "长江", "珠江", "黑龙江"))
INDEX = BenchmarkIndex.build((ZH, EN, CHOICE), config=CONFIG)


@pytest.mark.parametrize(
    "text",
    [
        ZH.question,
        f"昨天的作业：{ZH.question}答案见下页。",
        ZH.question.replace("，", ",").replace("。", "."),
        "\n".join(ZH.question),
        ZH.question.replace("，", "  ，\n"),
    ],
)
def test_a_leaked_chinese_question_is_covered_whole(text: str) -> None:
    """Punctuation, width and line breaks do not hide a copied question."""
    assert INDEX.best_item(text) == ("exam", "1", 1.0)


def test_a_leaked_english_question_is_covered_whole() -> None:
    """Letter case and full-width letters do not hide a copied question."""
    wide = "".join(chr(ord(char) + 0xFEE0) if char.isalpha() else char for char in EN.question.upper())
    assert INDEX.best_item(f"Homework. {wide} Show your work.") == ("quiz", "7", 1.0)


def test_a_short_question_is_an_item_with_its_options() -> None:
    """A phrase that any page may hold does not count; printed with its options it does."""
    assert INDEX.best_item("中国最长的河流是哪一条？大家都知道。") is None
    assert INDEX.best_item("3. 中国最长的河流是（ ）A. 黄河 B. 长江 C. 珠江 D. 黑龙江") == ("exam", "9", 1.0)


def test_half_a_question_covers_part_of_it() -> None:
    """The share tells a quotation from a copy."""
    found = INDEX.best_item(ZH.question[:30])
    assert found is not None
    assert found[:2] == ("exam", "1")
    assert 0.2 < found[2] < 0.8


@pytest.mark.parametrize(
    "text", ["", "今天天气很好，我们去公园散步。", "某商店以每件八十元的价格", "A train leaves the station at noon."]
)
def test_other_text_covers_nothing(text: str) -> None:
    """A document that holds no n-gram has no best item."""
    assert INDEX.best_item(text) is None


def test_no_benchmarks_measure_as_no_overlap() -> None:
    """Without configured files every document has the overlap 0."""
    best = BenchmarkIndex.load(CONFIG).best(units_of(["任何文字", ""]))
    assert best.items.tolist() == [-1, -1]
    assert best.shares.tolist() == [0.0, 0.0]


def grams(text: str, size: int) -> set[str]:
    """The set of n-grams of a text."""
    return {text[i : i + size] for i in range(len(text) - size + 1)}


@given(st.lists(st.text("甲乙丙", min_size=10, max_size=24), min_size=1, max_size=4), st.text("甲乙丙", max_size=80))
def test_shares_equal_a_plain_python_version(questions: list[str], text: str) -> None:
    """The best share is that of plain sets of n-grams, whole items where they are shorter than an n-gram."""
    config = DecontaminationConfig(ngram_chars=12)
    index = BenchmarkIndex.build(
        tuple(BenchmarkItem("b", str(i), q, ()) for i, q in enumerate(questions)), config=config
    )
    shares = [
        len(grams(q, min(12, len(q))) & grams(text, min(12, len(q)))) / len(grams(q, min(12, len(q))))
        for q in questions
    ]
    found = index.best_item(text)
    assert (0.0 if found is None else found[2]) == pytest.approx(max(shares))
    if found is not None:
        assert int(found[1]) == shares.index(max(shares))


def test_files_and_globs_are_read_in_order(tmp_path: Path) -> None:
    """Items come from JSONL with question, text or prompt; the id is the row's own or its line number."""
    rows = [{"question": ZH.question, "A": "一", "B": "二"}, {"id": "x7", "prompt": EN.question}]
    (tmp_path / "b.jsonl").write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + "\n\n", "utf-8")
    (tmp_path / "a.jsonl").write_text(json.dumps({"text": CHOICE.question}), "utf-8")
    index = BenchmarkIndex.load(DecontaminationConfig(benchmarks=(str(tmp_path / "*.jsonl"),)))
    assert [(item.benchmark, item.item_id) for item in index.items] == [("a", "1"), ("b", "1"), ("b", "x7")]
    assert index.items[1].options == ("一", "二")
    assert index.best_item(ZH.question) == ("b", "1", 1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"{broken", "line 1: not JSON"), (b'{"a": 1}', "line 1: none of the known fields"), (b"\xff\xfe", "cannot read")],
)
def test_an_unusable_benchmark_file_stops_the_run(tmp_path: Path, content: bytes, message: str) -> None:
    """A file without questions is named with its line, instead of silently protecting nothing."""
    (tmp_path / "bad.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=message):
        BenchmarkIndex.load(DecontaminationConfig(benchmarks=(str(tmp_path / "bad.jsonl"),)))


def test_a_pattern_without_files_stops_the_run(tmp_path: Path) -> None:
    """A misspelt path is an error, not an empty benchmark."""
    with pytest.raises(InputError, match="nothing matches"):
        BenchmarkIndex.load(DecontaminationConfig(benchmarks=(str(tmp_path / "missing.jsonl"),)))


def test_traditional_characters_do_not_hide_an_item() -> None:
    """An item is found in the other script, whichever of both the benchmark is written in."""
    traditional = "某商店以每件八十元的價格購進一批襯衫，若按每件一百二十元出售，則平均每天可售出二十件，求每天的利潤。"
    assert INDEX.best_item(traditional) == ("exam", "1", 1.0)
    other_way = BenchmarkIndex.build((BenchmarkItem("exam", "1", traditional, ()),), config=CONFIG)
    assert other_way.best_item(ZH.question) == ("exam", "1", 1.0)


def test_what_many_items_share_is_boilerplate() -> None:
    """An instruction of more items than the bound counts for none of them, at the bound it still counts for all."""
    instruction = "阅读下面的材料并回答问题下列说法正确的是"
    endings = ["河流总是流向海洋而从不流向沙漠", "山峰越高空气就越稀薄气温也越低", "古代的桥多用石头和木头建造而成"]
    items = tuple(BenchmarkItem("exam", str(at), instruction + text, ()) for at, text in enumerate(endings))
    strict = BenchmarkIndex.build(items, config=DecontaminationConfig(max_items_per_ngram=2))
    assert strict.best_item(instruction) is None
    assert strict.best_item(instruction + endings[1]) == ("exam", "1", 1.0)
    lenient = BenchmarkIndex.build(items, config=DecontaminationConfig(max_items_per_ngram=3))
    assert lenient.best_item(instruction) is not None


@pytest.mark.private_data
def test_an_item_of_every_real_file_is_found(private_data: Path) -> None:
    """A page that quotes one item of each published file is found for that item or one that reads alike."""
    folders = ("open/eval", "restricted/eval/cmmlu", "restricted/eval/ceval/val_zhtw_original")
    config = DecontaminationConfig(benchmarks=tuple(str(private_data / name) for name in folders))
    index = BenchmarkIndex.load(config)
    firsts = {item.benchmark: item for item, size in zip(index.items, index._item_sizes, strict=True) if size}
    assert len(firsts) > 150
    pages = [f"转载自旧论坛，请勿外传。\n{item.with_options}\n以上。" for item in firsts.values()]
    best = index.best(units_of(pages))
    assert [name for name, share in zip(firsts, best.shares, strict=True) if share < 0.95] == []
