"""Tests of reading bare HTML files."""

import gzip
from pathlib import Path
from typing import Any

from ctllm.pipelines.sources.records import Failure, Record

TEXT = "他们在这里的工作，是为了说明：国家与个人之间的关系，说到底是一本账。" * 3


def test_a_page_is_one_record(read: Any, tmp_path: Path) -> None:
    """A saved page in its own charset, compressed or not, gives main text and title."""
    path = tmp_path / "a.html.gz"
    page = f"<html><head><meta charset=gbk><title>题</title></head><body><p>{TEXT}</p></body></html>".encode("gbk")
    path.write_bytes(gzip.compress(page))
    assert read(path) == [Record(f"{path}#0", 0, TEXT, charset="gb18030", title="题")]


def test_broken_and_empty_pages_are_failures(read: Any, tmp_path: Path) -> None:
    """Bytes of no charset, and no bytes, are counted."""
    path = tmp_path / "a.html"
    path.write_bytes(TEXT.encode().replace("国".encode()[:2], b"\xff\xfe"))
    assert [each.error for each in read(path) if isinstance(each, Failure)] == ["broken_encoding"]
    path.write_bytes(b"")
    assert [each.error for each in read(path) if isinstance(each, Failure)] == ["empty_file"]
