"""One reader of benchmark files for decontamination and evaluation."""

import pytest

from ctllm.schemas.benchmark_files import item_id, parse_rows
from ctllm.schemas.errors import InputError


def test_rows_have_lower_case_names_and_an_identity() -> None:
    """Case and byte-order mark of a header do not matter; six columns without one are MMLU; ids are the row's own."""
    rows = parse_rows("\ufeffID,Question,A\n7,问,甲\n".encode(), "x.csv")
    assert rows == [{"id": "7", "question": "问", "a": "甲"}]
    assert parse_rows(b"q,w,x,y,z,B\n", "x.csv")[0]["answer"] == "B"
    assert [item_id(row, 3) for row in (rows[0], {"id": ""}, {"task_id": "T/0"})] == ["7", "3", "T/0"]
    assert parse_rows(b'{"example": [{"question": "x"}]}', "x.json") == [{"question": "x"}]


def test_a_broken_line_is_an_error_or_counted() -> None:
    """Decontamination stops at a broken line, evaluation goes on and the rows behind it keep their numbers."""
    content = b'{"question": "x"}\n{broken\n{"question": "y"}\n'
    with pytest.raises(InputError, match=r"x\.jsonl, line 2: not JSON"):
        parse_rows(content, "x.jsonl")
    broken: list[int] = []
    assert parse_rows(content, "x.jsonl", broken=broken) == [{"question": "x"}, {}, {"question": "y"}]
    assert broken == [2]
