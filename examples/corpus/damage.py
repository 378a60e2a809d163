"""Damaged files: what stands behind whole records, and files that hold nothing but damage."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.examples.corpus.containers import Capture, http_response, member, write
from ctllm.examples.corpus.expected import Expected, source_of

SEED = 5  # chosen
HEAD_BYTES = 20  # of a gzip member: its header and the start of the first block, from which nothing can be read

BROKEN_LINES = (
    ('{"id": "cut-short", "text": "这一行写到一半就断了，', "broken_json", "a broken JSON line"),
    ('{"id": "no-text", "title": "只有标题", "url": "http://www.example.cn/1"}', "missing_text", "JSON without text"),
    ('{"id": "number", "text": 42}', "not_text", "JSON whose text is a number"),
    ('{"id": "empty", "text": ""}', "empty_text", "JSON with an empty text"),
    ('["这一行", "是一个列表"]', "wrong_schema", "JSON that is no object"),
)
"""Line, failure, plant."""

EMPTY_PAGE = b"<html><head><title></title></head><body><script>location.href='/m/'</script></body></html>"


def add_damage(out: Path) -> list[Expected]:
    """Writes the damaged files, appends damage behind the whole records of others; returns the failures to expect."""
    failures = [
        _damaged_warc(out / "broken/cut.warc.gz"),
        _damaged_json_lines(out / "broken/cut.jsonl.gz"),
        *_broken_lines(out / "broken/lines.jsonl"),
        _write(out / "broken/empty.txt", b"", "empty_file", "an empty file"),
        _write(out / "broken/empty.html", EMPTY_PAGE, "empty_text", "a page without text"),
        _write(out / "broken/noise.txt", random.Random(SEED).randbytes(3000), "broken_encoding", "random bytes"),
        _write(out / "broken/bytes.txt", _with_broken_bytes(), "broken_encoding", "broken bytes"),
        _table_without_text(out / "broken/columns.parquet"),
        _torn_table(out / "broken/torn.parquet"),
    ]
    return [
        Expected(
            id=f"{path.relative_to(out).as_posix()}",
            container=path.relative_to(out).as_posix(),
            source=source_of(path.relative_to(out).as_posix()),
            outcome="failed",
            lane=None,
            reasons=(kind,),
            kept_id=None,
            plant=plant,
        )
        for path, kind, plant in failures
    ]


Damage = tuple[Path, str, str]
"""File, kind of failure, plant."""


def _damaged_warc(path: Path) -> Damage:
    body = http_response("<html><body><p>这一页没有传完。</p></body></html>".encode(), content_type="text/html")
    capture = Capture("response", "cut", "http://www.example.cn/cut", "application/http; msgtype=response", body)
    write(path, path.read_bytes() + member(capture.encoded())[:HEAD_BYTES])
    return path, "truncated", "a truncated gzip"


def _damaged_json_lines(path: Path) -> Damage:
    line = '{"id": "cut", "text": "这一条记录没有传完。"}\n'
    write(path, path.read_bytes() + member(line.encode())[:HEAD_BYTES])
    return path, "truncated", "a truncated gzip"


def _broken_lines(path: Path) -> list[Damage]:
    lines = "".join(f"{line}\n" for line, _, _ in BROKEN_LINES)
    write(path, path.read_bytes() + lines.encode())
    return [(path, kind, plant) for _, kind, plant in BROKEN_LINES]


def _write(path: Path, data: bytes, kind: str, plant: str) -> Damage:
    write(path, data)
    return path, kind, plant


def _with_broken_bytes() -> bytes:
    """Chinese in UTF-8 with every tenth byte lost on the way."""
    data = ("码头上的灯一盏一盏熄了，只剩下最远的那一盏还亮着，看灯的人说它坏了，关不掉。" * 20).encode()
    return bytes(byte for number, byte in enumerate(data) if number % 10)


def _table_without_text(path: Path) -> Damage:
    pq.write_table(pa.table({"id": ["1", "2"], "title": ["潮汐表", "渡口"]}), path)
    return path, "wrong_schema", "a table without a text column"


def _torn_table(path: Path) -> Damage:
    pq.write_table(pa.table({"id": ["1", "2"], "text": ["潮汐表", "渡口"]}), path)
    write(path, path.read_bytes()[:-40])
    return path, "unreadable", "a torn Parquet file"
