"""Benchmark files are read as their makers publish them, and a file that is none stops the run."""

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.decontaminate.benchmark_files import read_items
from ctllm.schemas.errors import InputError

RIVERS = ("黄河", "长江", "珠江", "黑龙江")
CHOICES = dict(zip("ABCD", RIVERS, strict=True))


def table(rows: list[list[str]]) -> str:
    """A CSV file."""
    file = io.StringIO()
    csv.writer(file).writerows(rows)
    return file.getvalue()


def items(path: Path | str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """The items of a file as plain tuples."""
    return [(each.benchmark, each.item_id, each.question, each.options) for each in read_items(str(path))]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "ceval.csv",
            table([["id", "question", *"ABCD", "answer"], ["7", "最长的河", *RIVERS, "B"]]),
            ("7", "最长的河", RIVERS),
        ),
        (
            "cmmlu.csv",
            table([["", "Question", *"ABCD", "Answer"], ["0", "最长的河", *RIVERS, "B"]]),
            ("1", "最长的河", RIVERS),
        ),
        (
            "mmlu.csv",
            table([["question", "choice0", "choice1", "answer"], ["Longest?", "Nile", "Po", "0"]]),
            ("1", "Longest?", ("Nile", "Po")),
        ),
        (
            "bare.csv",
            table([["Longest?", "Nile", "Po", "Rhine", "Elbe", "A"]]),
            ("1", "Longest?", ("Nile", "Po", "Rhine", "Elbe")),
        ),
        ("gsm.jsonl", json.dumps({"question": "How many?", "answer": "3"}), ("1", "How many?", ())),
        (
            "agieval.jsonl",
            json.dumps({"passage": "Six of us.", "question": "Who?", "options": ["(A)I", "(B)You"]}),
            ("1", "Six of us.\nWho?", ("I", "You")),
        ),
        (
            "code.jsonl",
            json.dumps({"task_id": "H/0", "prompt": "def f():", "canonical_solution": "  return 1"}),
            ("H/0", "def f():\n  return 1", ()),
        ),
        (
            "suite.jsonl",
            json.dumps({"query": "Passage: Long.\nQuestion: is it?", "choices": ["no", "yes"]}),
            ("1", "is it?", ("no", "yes")),
        ),
        (
            "labels.jsonl",
            json.dumps({"query": "Why?\nA. so\nB. no", "choices": ["A", "B"]}),
            ("1", "Why?\nA. so\nB. no", ()),
        ),
        (
            "lambada.jsonl",
            json.dumps({"context": "He said the", "continuation": "Guardian"}),
            ("1", "He said the\nGuardian", ()),
        ),
        (
            "winograd.jsonl",
            json.dumps({"context_options": ["A x", "A y"], "continuation": "is.", "gold": 1}),
            ("1", "A y is.", ()),
        ),
        ("bench.jsonl", json.dumps({"question_id": 81, "turns": ["写。", "再写。"]}), ("81", "写。\n再写。", ())),
        ("cvalues.jsonl", json.dumps({"id_": 3, "prompt": "为什么？"}), ("3", "为什么？", ())),
        ("ocnli.jsonl", json.dumps({"sentence1": "甲", "sentence2": "乙", "id": 9}), ("9", "甲\n乙", ())),
        (
            "chid.json",
            json.dumps({"id": 0, "content": "他#idiom#", "candidates": ["画蛇添足"]}),
            ("0", "他#idiom#", ("画蛇添足",)),
        ),
        (
            "gaokao.json",
            json.dumps({"keywords": "x", "example": [{"year": "2010", "question": "1．题"}]}),
            ("1", "1．题", ()),
        ),
    ],
)
def test_every_format(tmp_path: Path, name: str, content: str, expected: tuple[str, str, tuple[str, ...]]) -> None:
    """One row of each known format gives question, options without their labels, and an id; gzipped too."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    item = (name.partition(".")[0], *expected)
    assert items(tmp_path / name) == [item]
    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content.encode()))
    assert items(tmp_path / f"{name}.gz") == [item]


def test_parquet(tmp_path: Path) -> None:
    """Parquet rows are read like those of a CSV file with the same header."""
    rows = [{"id": 4, "question": "最长的河", **CHOICES, "answer": "B"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "val.parquet")
    assert items(tmp_path / "val.parquet") == [("val", "4", "最长的河", RIVERS)]


def test_a_directory_names_benchmarks_by_their_place(tmp_path: Path) -> None:
    """All files of known endings below a directory are read, in order; licences and judge prompts hold no items."""
    for name in ("b/law.jsonl", "a/val/art.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{"text": "题"}\n\n{"text": "目"}\n', encoding="utf-8")
    (tmp_path / "b" / "LICENSE").write_text("words")
    (tmp_path / "b" / "judge.jsonl").write_text('{"name": "pair", "prompt_template": "…"}')
    expected = [("a/val/art", "1"), ("a/val/art", "2"), ("b/law", "1"), ("b/law", "2")]
    assert [item[:2] for item in items(tmp_path)] == expected
    assert [item[:2] for item in items(f"{tmp_path}/*/*.jsonl")] == [("b/law", "1"), ("b/law", "2")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"x": 1}', "line 1: none of the known fields"),
        ("a.jsonl", '{"question": 1}', "line 1: none of the known fields"),
        ("a.jsonl", "{broken", "line 1: not JSON"),
        ("a.csv", "name,age\nx,1\n", "line 1: none of the known fields"),
        ("a.txt", "question", "no known ending"),
        ("a.parquet", "question", "cannot read"),
    ],
)
def test_unknown_formats_stop_the_run(tmp_path: Path, name: str, content: str, message: str) -> None:
    """A file without questions is named and the known formats are listed, instead of silently protecting nothing."""
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        items(tmp_path / name)
    assert name in str(caught.value)
