"""Tests of reading plain text."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctllm.pipelines.sources.records import Failure, Record

TEXT = "第一回\r\n\u3000\u3000他们在这里的工作，是为了说明国家与个人之间的关系。\n"


def test_a_file_is_one_document(read: Any, tmp_path: Path) -> None:
    """A novel in GBK, as they circulate, is one record with its text unchanged."""
    path = tmp_path / "a.txt"
    path.write_bytes(TEXT.encode("gbk"))
    assert read(path) == [Record(f"{path}#0", 0, TEXT, charset="gb18030")]


def test_broken_empty_and_too_large_files_are_failures(read: Any, tmp_path: Path) -> None:
    """What cannot be a document is counted, with its first bytes."""
    path = tmp_path / "a.md"
    kinds = []
    for data in (TEXT.encode().replace(b"\xe4", b"\xff") * 9, b"", b"x" * 1025):
        path.write_bytes(data)
        (found,) = read(path, max_document_bytes=1024)
        assert isinstance(found, Failure)
        assert data.startswith(found.first_bytes)
        kinds.append(found.error)
    assert kinds == ["broken_encoding", "empty_file", "too_large"]


def records(found: list[Record | Failure]) -> list[tuple[int, str]]:
    """Offset and text of the records."""
    return [(each.offset, each.text) for each in found if isinstance(each, Record)]


def test_each_line_is_a_document(read: Any, tmp_path: Path) -> None:
    """A corpus of one document a line, with blank lines between some, in the charset of the whole file."""
    path = tmp_path / "a.txt"
    lines = ["第一篇，说的是河水。", "", "第二篇，说的是船家。", "短", " \t"]
    path.write_bytes("\r\n".join(lines).encode("gbk"))
    found = read(path, text_unit="line")
    assert [(each.id, each.text.strip(), each.charset) for each in found] == [
        (f"{path}#0", lines[0], "gb18030"), (f"{path}#2", lines[2], "gb18030"), (f"{path}#3", "短", "gb18030"),
    ]  # fmt: skip
    assert [each.offset for each in found] == [0, 24, 46]


def test_each_paragraph_is_a_document(read: Any, tmp_path: Path) -> None:
    """Blank lines, with white space in them too, stand between documents; line breaks inside stay."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress("\n\n甲\n乙\n \n\n丙\n".encode()))
    found = read(path, text_unit="paragraph")
    assert records(found) == [(2, "甲\n乙"), (13, "丙")]
    assert [each.id for each in found] == [f"{path}#0", f"{path}#1"]


@pytest.mark.parametrize("unit", ["line", "paragraph"])
def test_what_is_too_large_or_broken_costs_itself(unit: str, read: Any, tmp_path: Path) -> None:
    """An oversized unit and one in no charset are failures between the others; UTF-16 and empty files are refused."""
    path = tmp_path / "a.txt"
    broken = bytearray("他们在这里的工作，是为了说明。".encode() * 20)
    broken[::10] = b"\xff" * len(broken[::10])
    path.write_bytes(b"\n\n".join([b"one", b"x" * 1025, bytes(broken), b"y" * 1024, b"two"]))
    found = read(path, text_unit=unit, max_document_bytes=1024 if unit == "line" else 1025)
    assert [each.text[:3] if isinstance(each, Record) else each.error for each in found] == (
        ["one", "too_large", "broken_encoding", "yyy", "two"]
    )
    path.write_bytes(b"x" * 600 + b"\n" + b"y" * 600)
    kinds = [type(each).__name__ for each in read(path, text_unit=unit, max_document_bytes=1024)]
    assert kinds == (["Record", "Record"] if unit == "line" else ["Failure"])
    for data, kind in ((b"", "empty_file"), ("字".encode("utf-16"), "broken_encoding")):
        path.write_bytes(data)
        assert [each.error for each in read(path, text_unit=unit)] == [kind]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(st.one_of(st.just(""), st.just(" "), st.integers(1, 40_000).map("x".__mul__)), max_size=14))
def test_blocks_read_every_unit_once(read: Any, tmp_path: Path, lines: list[str]) -> None:
    """Wherever the borders of blocks fall, each line and paragraph is read by exactly one, and ids differ."""
    path = tmp_path / "a.txt"
    path.write_text("\n".join(f"{row}{line}" if line.strip() else line for row, line in enumerate(lines)))
    for unit in ("line", "paragraph"):
        whole = read(path, text_unit=unit, block_size_bytes=1 << 30)
        cut = read(path, text_unit=unit, block_size_bytes=1 << 16)
        assert records(cut) == records(whole)
        assert len({each.id for each in cut if isinstance(each, Record)}) == len(records(cut))
    paragraphs = [part for part in re.split(r"\n[ ]*(?:\n[ ]*)*\n", path.read_text()) if part.strip()]
    assert [text for _, text in records(whole)] == [each.strip(" \n") for each in paragraphs]
