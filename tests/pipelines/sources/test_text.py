"""Tests of reading plain text."""

from pathlib import Path
from typing import Any

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
