"""Open questions in the formats of their makers."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.model.evaluation.judge_questions import JudgeQuestion, read_questions
from ctllm.schemas.errors import InputError


def write_lines(path: Path, *rows: dict[str, object]) -> str:
    """A JSONL file."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_each_makers_format_is_read(tmp_path: Path) -> None:
    """mt-bench's turns, AlignBench's reference and CValues' prompts give the same kind of row."""
    files = [
        write_lines(tmp_path / "b.jsonl", {"question_id": 81, "category": "zh_writing", "turns": ["第一", "第二"]}),
        write_lines(tmp_path / "c.jsonl", {"question_id": 7, "category": "数学", "question": "几", "reference": "二"}),
        write_lines(tmp_path / "d.jsonl", {"domain_zh": "伦理", "prompt": "该不该", "reference": " "}),
    ]
    assert read_questions(files) == [
        JudgeQuestion("b", "81", "zh_writing", ("第一", "第二"), None),
        JudgeQuestion("c", "7", "数学", ("几",), "二"),
        JudgeQuestion("d", "1", "伦理", ("该不该",), None),
    ]


def test_what_a_question_is_called(tmp_path: Path) -> None:
    """The category is the first of the makers' names for it, else the file; `question` goes before `prompt`."""
    rows = [
        {"question": "甲", "prompt": "乙", "type": "闲聊", "reference": 5},
        {"query": "丙", "prompt": "乙", "domain_zh": "伦理", "type": "闲聊"},
        {"prompt": "丁", "category": "", "reference": "好"},
    ]
    path = write_lines(tmp_path / "safety-00000-of-00002.jsonl", *rows)
    assert read_questions([path]) == [
        JudgeQuestion("safety", "1", "闲聊", ("甲",), None),
        JudgeQuestion("safety", "2", "伦理", ("丙",), None),
        JudgeQuestion("safety", "3", "safety", ("丁",), "好"),
    ]


CHC_SPLITS = {
    "coding": 20,
    "hard_case": 37,
    "math": 34,
    "read_compre": 30,
    "roleplaying": 20,
    "science": 20,
    "social": 20,
    "writting": 33,
}
"""Splits and their items as the dataset card of m-a-p/CHC-Bench names them."""


def test_chc_bench_is_read_as_published(tmp_path: Path) -> None:
    """Eight Parquet files of five text columns, as `ctllm fetch` lays them down: 214 questions under the splits' names.

    The texts are ours; columns, types, numbers and the form of the files' names are those of the dataset card.
    """
    columns = ("source", "category", "type", "multi_choice", "query")
    for split, size in CHC_SPLITS.items():
        rows = [("ours", f"类{split}", "open", "no", f"{split}第{number}题") for number in range(size)]
        schema = pa.schema([(name, pa.string()) for name in columns])
        table = pa.table([list(values) for values in zip(*rows, strict=True)], schema=schema)
        path = tmp_path / "data" / f"{split}-00000-of-00001-80d4feca8d41e2a2.parquet"
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path)
    questions = read_questions([f"{tmp_path}/**/*.parquet"])
    assert Counter(question.benchmark for question in questions) == CHC_SPLITS
    assert len(questions) == 214
    assert questions[0] == JudgeQuestion("coding", "1", "类coding", ("coding第0题",), None)


def test_a_bound_counts_for_each_file(tmp_path: Path) -> None:
    """Of every file the first questions are taken, so that no part of a benchmark goes unasked."""
    rows = [{"question": f"第{number}题"} for number in range(3)]
    files = [write_lines(tmp_path / f"{name}.jsonl", *rows) for name in "ab"]
    found = read_questions(files, max_questions=2)
    assert [(each.benchmark, each.turns[0]) for each in found] == [
        ("a", "第0题"), ("a", "第1题"), ("b", "第0题"), ("b", "第1题"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row", [{"turns": []}, {"turns": ["问", " "]}, {"question": ""}, {"text": "问"}, {"turns": "问"}, {"turns": [1]}]
)
def test_a_row_without_a_question_is_named(tmp_path: Path, row: dict[str, object]) -> None:
    """File and row stand in the refusal; nothing is asked of a judge before."""
    path = write_lines(tmp_path / "q.jsonl", {"question": "好"}, row)
    with pytest.raises(InputError, match=r"q\.jsonl, row 2: no question in turns, question, query or prompt"):
        read_questions([path])


def test_broken_lines_are_counted(tmp_path: Path) -> None:
    """A file that was cut off in transfer is refused as a whole."""
    path = write_lines(tmp_path / "q.jsonl", {"question": "好"})
    Path(path).write_text(Path(path).read_text() + '{"question": "断')
    with pytest.raises(InputError, match="1 lines are not JSON; get the file again"):
        read_questions([path])
