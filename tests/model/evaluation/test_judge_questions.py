"""Open questions in the formats of their makers."""

import json
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
    """CHC-Bench's Parquet, mt-bench's turns, AlignBench's reference and CValues' prompts give the same kind of row."""
    chc = {"source": "s", "category": "写作", "type": "t", "multi_choice": 0, "query": "写一首诗"}
    pq.write_table(pa.Table.from_pylist([chc]), tmp_path / "a_writting.parquet")
    files = [
        str(tmp_path / "a_writting.parquet"),
        write_lines(tmp_path / "b.jsonl", {"question_id": 81, "category": "zh_writing", "turns": ["第一", "第二"]}),
        write_lines(tmp_path / "c.jsonl", {"question_id": 7, "category": "数学", "question": "几", "reference": "二"}),
        write_lines(tmp_path / "d.jsonl", {"domain_zh": "伦理", "prompt": "该不该", "reference": " "}),
    ]
    assert read_questions(files) == [
        JudgeQuestion("a_writting", "1", "写作", ("写一首诗",), None),
        JudgeQuestion("b", "81", "zh_writing", ("第一", "第二"), None),
        JudgeQuestion("c", "7", "数学", ("几",), "二"),
        JudgeQuestion("d", "1", "伦理", ("该不该",), None),
    ]


def test_a_bound_counts_for_each_file(tmp_path: Path) -> None:
    """Of every file the first questions are taken, so that no part of a benchmark goes unasked."""
    rows = [{"question": f"第{number}题"} for number in range(3)]
    files = [write_lines(tmp_path / f"{name}.jsonl", *rows) for name in "ab"]
    found = read_questions(files, max_questions=2)
    assert [(each.benchmark, each.turns[0]) for each in found] == [
        ("a", "第0题"), ("a", "第1题"), ("b", "第0题"), ("b", "第1题"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row", [{"turns": []}, {"turns": ["问", " "]}, {"question": ""}, {"text": "问"}, {"turns": "问"}]
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
