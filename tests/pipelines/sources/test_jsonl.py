"""Tests of reading JSON Lines and JSON arrays."""

import gzip
import json
from pathlib import Path
from typing import Any

import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctllm.pipelines.sources.records import Failure, Record


def errors(found: list[Record | Failure]) -> list[tuple[int, str]]:
    """Offset and kind of the failures."""
    return [(each.offset, each.error) for each in found if isinstance(each, Failure)]


def texts(found: list[Record | Failure]) -> list[str]:
    """The texts of the records."""
    return [each.text for each in found if isinstance(each, Record)]


def test_all_known_keys_are_read(read: Any, tmp_path: Path) -> None:
    """Text, id, URL, title, date and licence come from their keys, the language of code from path or lang."""
    path = tmp_path / "a.jsonl"
    row = {
        "text": "x = 1",
        "id": 7,
        "url": "http://a",
        "title": "T",
        "date": "2024-05-01",
        "license": "MIT",
        "path": "m/a.py",
    }
    lines = [
        json.dumps(row),
        "",
        json.dumps({"text": "字", "url": None, "lang": "C++", "title": 3}),
        '{"text": "文", "lang": "zh"}',
    ]
    path.write_text("\n".join(lines))
    assert read(path) == [
        Record("7", 0, "x = 1", url="http://a", title="T", date="2024-05-01", license="MIT", code_language="python"),
        Record(f"{path}#2", len(lines[0]) + 2, "字", code_language="cpp"),
        Record(f"{path}#3", len(lines[0]) + 2 + len(lines[2]) + 1, "文"),
    ]


def test_configured_keys_replace_the_usual_ones(read: Any, tmp_path: Path) -> None:
    """A corpus with its own names for text, id and URL needs no conversion."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"content": "字", "doc": "d1", "link": "http://b", "text": 1}\n')
    found = read(path, text_field="content", id_field="doc", url_field="link")
    assert found == [Record("d1", 0, "字", url="http://b")]


def test_a_path_leads_into_objects(read: Any, tmp_path: Path) -> None:
    """`meta.url` is url in meta; a key that is called so goes before, and a path that leads nowhere gives nothing."""
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"doc": {"body": "字"}, "meta": {"url": "http://a", "cc": {"date": "2019"}}}\n'
        '{"doc.body": "文", "doc": {"body": "not this"}, "meta": "no object"}\n'
        '{"doc": {"text": "x"}}\n'
        '{"doc": {"body": ["x"]}}\n'
    )
    found = read(path, text_field="doc.body", url_field="meta.url", date_field="meta.cc.date", title_field="meta.t")
    second = path.read_bytes().index(b'{"doc.body"')
    assert found[:2] == [Record(f"{path}#0", 0, "字", url="http://a", date="2019"), Record(f"{path}#1", second, "文")]
    assert [kind for _, kind in errors(found)] == ["missing_text", "not_text"]


def test_every_broken_line_is_one_failure(read: Any, tmp_path: Path) -> None:
    """Broken JSON and UTF-8, wrong types and missing text are counted with place and first bytes; the rest is read."""
    lines = [
        b'{"text": "good"}', b'{"text": "cut', b'{"text": "\xff\xfe"}', b'["a list"]', b'{"body": "no text"}',
        b'{"text": null}', b'{"text": 12}', b"[" * 100_000, b'{"text": "also good"}',
    ]  # fmt: skip
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\n".join(lines))
    found = read(path)
    offsets = [sum(len(line) + 1 for line in lines[:row]) for row in range(len(lines))]
    kinds = [
        "broken_json",
        "broken_encoding",
        "wrong_schema",
        "missing_text",
        "missing_text",
        "not_text",
        "broken_json",
    ]
    assert texts(found) == ["good", "also good"]
    assert errors(found) == list(zip(offsets[1:8], kinds, strict=True))
    assert [each.first_bytes for each in found if isinstance(each, Failure)] == [line[:200] for line in lines[1:8]]


def test_a_truncated_gzip_keeps_its_whole_lines(read: Any, tmp_path: Path) -> None:
    """What was written before the cut is read; the cut line is one failure."""
    path = tmp_path / "a.jsonl.gz"
    rows = [json.dumps({"text": f"{number} " + "字" * 50}) for number in range(200)]
    path.write_bytes(gzip.compress("\n".join(rows).encode())[:-20])
    found = read(path)
    assert texts(found) == [json.loads(row)["text"] for row in rows[: len(texts(found))]]
    assert len(texts(found)) > 100
    assert [kind for _, kind in errors(found)] == ["truncated"]


def test_zstd_and_byte_order_marks_are_read(read: Any, tmp_path: Path) -> None:
    """A file of two zstd frames, saved with a byte order mark, loses nothing."""
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(zstandard.compress(b'\xef\xbb\xbf{"text": "a"}\n{"te') + zstandard.compress(b'xt": "b"}\n'))
    assert texts(read(path)) == ["a", "b"]


def test_an_empty_file_is_one_failure(read: Any, tmp_path: Path) -> None:
    """Nothing, and nothing compressed, are counted as empty files."""
    for name, data in (("a.jsonl", b""), ("b.jsonl.gz", gzip.compress(b"")), ("c.json", b"")):
        (tmp_path / name).write_bytes(data)
        assert errors(read(tmp_path / name)) == [(0, "empty_file")]


def test_a_json_array_is_read_row_by_row(read: Any, tmp_path: Path) -> None:
    """Arrays and single printed objects are records too; a broken array is one failure."""
    path = tmp_path / "a.json"
    path.write_text('[{"text": "a"}, {"text": 1}, {"text": "b"}]')
    assert texts(read(path)) == ["a", "b"]
    assert errors(read(path)) == [(1, "not_text")]
    path.write_text('{\n  "text": "c"\n}')
    assert read(path) == [Record(f"{path}#0", 0, "c")]
    path.write_text('[{"text": "a"},')
    assert errors(read(path)) == [(0, "broken_json")]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 40_000), max_size=12), ends=st.booleans())
def test_blocks_read_every_line_once(read: Any, tmp_path: Path, lengths: list[int], ends: bool) -> None:
    """Wherever the borders of blocks fall, each line is read by exactly one block, and ids stay unique."""
    path = tmp_path / "a.jsonl"
    rows = [json.dumps({"text": f"{row}:{'x' * length}"}) for row, length in enumerate(lengths)]
    path.write_text("\n".join(rows) + ("\n" if ends and rows else ""))
    found = read(path, block_size_bytes=1 << 16)
    assert texts(found) == [json.loads(row)["text"] for row in rows]
    assert len({each.id for each in found if isinstance(each, Record)}) == len(rows)
    assert errors(found) == ([] if rows else [(0, "empty_file")])


def test_a_line_at_a_border_belongs_to_the_later_block(read: Any, tmp_path: Path) -> None:
    """A line that starts exactly where a block does is read once."""
    block_size_bytes = 1 << 16
    frame = len('{"text": ""}\n')
    rows = ["x" * (block_size_bytes - frame), "y", "z"]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"text": "{row}"}}\n' for row in rows))
    found = read(path, block_size_bytes=block_size_bytes)
    assert texts(found) == rows
    assert found[1].id == f"{path}@{block_size_bytes}#0"


def test_what_strict_readers_refuse_is_read(read: Any, tmp_path: Path) -> None:
    """A byte order mark, NaN, half a surrogate pair beside the text, and integers of 64 bits as ids."""
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b'\xef\xbb\xbf{"text": "a", "score": NaN}\n{"text": "b", "other": "\\ud800"}\n'
        b'{"text": "c", "id": 18446744073709551615}\n{"text": "d", "score": 1e400}\n'
    )
    found = read(path)
    assert [each.text for each in found if isinstance(each, Record)] == ["a", "b", "c", "d"]
    assert found[2].id == "18446744073709551615"
