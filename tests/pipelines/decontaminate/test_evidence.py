"""Evidence: every item a document holds, how much of it, and the characters it stands at."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.decontaminate.benchmark_files import BenchmarkItem
from ctllm.pipelines.decontaminate.evidence import find_evidence
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.signals.words import units_of
from ctllm.schemas.contamination import CONTAMINATION
from ctllm.schemas.curation_config import DecontaminationConfig

ZH = BenchmarkItem(
    "exam",
    "1",
    "某商店以每件八十元的价格购进一批衬衫，若按每件一百二十元出售，则平均每天可售出二十件，求每天的利润。",
    (),
)
EN = BenchmarkItem("quiz", "7", "A train leaves the station at noon and travels north at sixty miles an hour until it "
                   "reaches the next town four hours later.", ())  # fmt: skip
INDEX = BenchmarkIndex.build((ZH, EN), config=DecontaminationConfig())
PROSE = "昨天下了一整天的雨，院子里的石榴花落了一地，外婆搬了把椅子坐在门口，一边择菜一边等我们放学回家吃饭。"


def evidence(*texts: str, min_overlap: float = 0.3) -> list[dict[str, object]]:
    """The rows about texts, whose keys count from 10."""
    documents = pa.record_batch({
        "key": pa.array(range(10, 10 + len(texts)), pa.uint64()), "text": pa.array(texts, pa.large_string()),
    })  # fmt: skip
    overlaps = pa.array(INDEX.best(units_of(list(texts))).shares, pa.float32())
    batch = find_evidence(INDEX, documents, overlaps, min_overlap=min_overlap)
    assert batch.schema.equals(CONTAMINATION)
    return batch.to_pylist()


def places(*texts: str, min_overlap: float = 0.3) -> list[tuple[str, str]]:
    """Item and covered characters of each row."""
    by_key = dict(enumerate(texts, start=10))
    return [
        (str(row["item_id"]), by_key[row["key"]][row["start"] : row["end"]])  # type: ignore[index, misc]
        for row in evidence(*texts, min_overlap=min_overlap)
    ]


def test_the_span_is_the_question_to_the_character() -> None:
    """Of a quoted question everything but its last mark is covered, in the document's own characters."""
    wide = "".join(chr(ord(char) + 0xFEE0) if char.isalpha() else char for char in EN.question)
    assert places(PROSE, f"{PROSE}\n{ZH.question}{PROSE}", f"Q. {wide} Why?") == [
        ("1", ZH.question[:-1]),
        ("7", wide[:-1]),
    ]


def test_every_item_of_a_document_is_recorded() -> None:
    """A page with two questions has a row for each, the better covered first."""
    page = f"{ZH.question[:40]}\n{PROSE}\n{EN.question}"
    assert places(page) == [("7", EN.question[:-1]), ("1", ZH.question[:40])]
    first, second = evidence(page)
    assert (first["overlap"], first["key"]) == (1.0, 10)
    assert 0.3 < second["overlap"] < 1  # type: ignore[operator]


def test_a_misprint_does_not_divide_an_item() -> None:
    """A changed character inside lies within the span; a repetition further down is a span of its own."""
    misprint = ZH.question[:24] + "错" + ZH.question[25:]
    assert places(misprint) == [("1", misprint[:-1])]
    assert places(f"{ZH.question}{PROSE}{ZH.question}") == [("1", ZH.question[:-1])] * 2


def test_spans_less_than_an_ngram_apart_are_one() -> None:
    """Twelve characters put between two halves of 13 do not divide them, thirteen do."""
    halves = ZH.question[:14], ZH.question[15:29]  # with one mark each that is no unit
    question = halves[0] + halves[1]
    index = BenchmarkIndex.build((BenchmarkItem("exam", "1", question, ()),), config=DecontaminationConfig())
    for put_in, spans in (("甲乙丙丁戊己庚辛壬癸子丑", 1), ("甲乙丙丁戊己庚辛壬癸子丑寅", 2)):
        (found,) = index.covered(units_of([halves[0] + put_in + halves[1]]), min_share=0.0)  # type: ignore[arg-type]
        assert len(found.spans) == spans


@pytest.mark.parametrize(("num_chars", "is_recorded"), [(21, True), (20, False)])
def test_the_recorded_minimum_is_inclusive(num_chars: int, is_recorded: bool) -> None:
    """An overlap of exactly the minimum is recorded, one n-gram less is not."""
    question = "天地玄黄宇宙洪荒日月盈昃辰宿列张寒来暑往秋收冬藏闰余成岁"  # 28 characters, 16 n-grams
    config = DecontaminationConfig(ngram_chars=13)
    index = BenchmarkIndex.build((BenchmarkItem("exam", "1", question, ()),), config=config)
    found = list(index.covered(units_of([question[:num_chars]]), min_share=9 / 16))  # type: ignore[arg-type]
    assert bool(found) is is_recorded


def test_a_document_at_the_minimum_is_looked_at() -> None:
    """The best overlap of a document may be exactly the minimum; above it nothing is recorded."""
    (row,) = evidence(ZH.question[:40])
    overlap = float(row["overlap"])  # type: ignore[arg-type]
    assert len(evidence(ZH.question[:40], min_overlap=overlap)) == 1
    assert evidence(ZH.question[:40], min_overlap=overlap + 1e-6) == []


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([ZH.question, EN.question, ZH.question[:30], PROSE, "，", " É\u0301 x", "雨"]), max_size=8)
)
def test_what_is_not_covered_holds_no_item(pieces: list[str]) -> None:
    """Whatever the text, none of the items is left in it when the recorded spans are taken out."""
    text = "".join(pieces)
    left, done = "", 0
    for row in sorted(evidence(text), key=lambda row: int(row["start"])):  # type: ignore[call-overload]
        left += text[done : max(done, row["start"])] + "\n"  # type: ignore[call-overload]
        done = max(done, row["end"])  # type: ignore[call-overload]
    assert INDEX.best(units_of([left + text[done:]])).shares[0] < 0.3
