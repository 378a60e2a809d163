"""Tests of format detection and source names."""

import pytest

from ctllm.pipelines.sources.formats import format_of_bytes, format_of_json, format_of_name, source_name


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.warc.gz", "warc"), ("a.warc.wet.zst", "warc"), ("A.JSONL", "jsonl"), ("a.json.gz", "json"),
        ("x.parquet", "parquet"), ("a/b.html", "html"), ("b.md", "text"), ("b.py", "code"), ("b.py.gz", "code"),
        ("picture.png", None), ("a.gz", None), ("LICENSE", None),
    ],
)  # fmt: skip
def test_names_tell_the_format(name: str, kind: str | None) -> None:
    """The last extension before that of the compression counts, in any case."""
    assert format_of_name(name) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"WARC/1.0\r\n", "warc"), (b"PAR1\x15\x04", "parquet"), (b"\xef\xbb\xbf\n<!DOCTYPE HTML>", "html"),
        (b' {"text": "a"}\n', "jsonl"), (b"[\n", "json"), ("纯文本".encode("gbk"), "text"), (b"", "text"),
        (b"\x89PNG\0", None),
    ],
)  # fmt: skip
def test_first_bytes_tell_the_format(head: bytes, kind: str | None) -> None:
    """Files without a telling name are known by how they start; binary ones are not known."""
    assert format_of_bytes(head) == kind


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b'{"a": 1}\n{"a": 2}', "jsonl"),
        (b'{\n "a": 1}', "json"),
        (b'[{"a": 1}]', "json"),
        (b'{"a": "cut he', "jsonl"),
        (b"", "json"),
    ],
)
def test_json_lines_are_told_from_one_value(head: bytes, kind: str) -> None:
    """A `.json` file holds either one object a line or one value."""
    assert format_of_json(head) == kind


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("x/CC-MAIN-2024.00001.warc.gz", "CC-MAIN-2024.00001"),
        ("a.warc.wet.gz", "a"),
        ("d/b.jsonl.zst", "b"),
        ("c.py", "c"),
        ("notes", "notes"),
        ("v1.2/", "v1.2"),
        (".txt", ".txt"),
    ],
)
def test_sources_are_called_after_files(path: str, name: str) -> None:
    """Extensions of format and compression are no part of a source's name, other dots are."""
    assert source_name(path) == name
