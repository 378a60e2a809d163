"""Files of chat data: lines, arrays, and what damage costs."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ctllm.pipelines.conversation_files import read_rows

CHAT = {"instruction": "你好", "output": "您好！"}


def read(path: Path, content: bytes) -> list[tuple[int, Any]]:
    """(place, first message or reason) of each record."""
    path.write_bytes(content)
    rows = read_rows(str(path), kind="sft")
    return [(place, row["messages"][0]["content"] if "digest" in row else row["error"]) for place, row in rows]


def test_an_array_is_read_as_its_elements(tmp_path: Path) -> None:
    """The usual Alpaca file is one JSON array, pretty-printed or not, compressed or not; places count its elements."""
    array = [CHAT, {**CHAT, "output": ""}, {**CHAT, "instruction": "再见"}]
    expected = [(1, "你好"), (2, "empty_content"), (3, "再见")]
    for content in (json.dumps(array), json.dumps(array, indent=2, ensure_ascii=False)):
        assert read(tmp_path / "a.json", content.encode()) == expected
    assert read(tmp_path / "a.json.gz", gzip.compress(json.dumps(array).encode())) == expected
    assert read(tmp_path / "b.json", json.dumps(CHAT).encode() + b"\n" + json.dumps(CHAT).encode()) == [
        (1, "你好"),
        (2, "你好"),
    ]
    assert read(tmp_path / "c.json", b" [ ]") == [(0, "empty_file")]


@pytest.mark.parametrize(
    ("end", "reason"), [(b', {"instruction": "x', "unreadable"), (b"", "unreadable"), (b', {"a": 1}]', "wrong_shape")]
)
def test_a_broken_array_keeps_what_stands_before(tmp_path: Path, end: bytes, reason: str) -> None:
    """An array that is cut off costs what is missing: one failure at its place, the elements before it are kept."""
    assert read(tmp_path / "a.json", b"[" + json.dumps(CHAT).encode() + end) == [(1, "你好"), (2, reason)]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """A wrong byte in an array costs its element alone."""
    good = json.dumps(CHAT).encode()
    broken = good.replace(b'"output"', b'"out\xffput"')
    assert read(tmp_path / "a.json", b"[" + broken + b"," + good + b"]") == [(1, "broken_encoding"), (2, "你好")]


def test_a_deep_tree_does_not_end_the_file(tmp_path: Path) -> None:
    """A chain of messages deeper than any conversation, one line each, is read like every other."""
    chain = [
        {
            "message_id": str(n), "parent_id": str(n - 1) if n else None, "message_tree_id": "t", "text": f"第{n}句",
            "role": "assistant" if n % 2 else "prompter",
        }
        for n in range(3000)
    ]  # fmt: skip
    content = b"".join(json.dumps(each).encode() + b"\n" for each in chain)
    assert read(tmp_path / "a.jsonl", content + json.dumps(CHAT).encode()) == [(1, "第0句"), (3001, "你好")]
