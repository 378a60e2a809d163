"""Real containers, written byte for byte the same each time: WARC and WET records, JSON lines, Parquet."""

import gzip
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

DATE = "2024-01-18T08:30:00Z"
NAMESPACE = uuid.UUID("0c6b7a52-6f0e-5c65-9f0e-3f3a4c1d2e00")  # random, fixed


@dataclass(frozen=True)
class Capture:
    """One WARC record: its type, headers and payload."""

    kind: str
    name: str
    url: str
    content_type: str
    payload: bytes

    def encoded(self) -> bytes:
        """The record as WARC/1.0 has it."""
        uri = f"WARC-Target-URI: {self.url}\r\n" if self.url else ""
        head = (
            f"WARC/1.0\r\nWARC-Type: {self.kind}\r\nWARC-Record-ID: {record_id(self.name)}\r\nWARC-Date: {DATE}\r\n"
            f"{uri}Content-Type: {self.content_type}\r\nContent-Length: {len(self.payload)}\r\n\r\n"
        )
        return head.encode("utf-8") + self.payload + b"\r\n\r\n"


def record_id(name: str) -> str:
    """The WARC-Record-ID of the document called `name`."""
    return f"<urn:uuid:{uuid.uuid5(NAMESPACE, name)}>"


def http_response(body: bytes, *, content_type: str, status: str = "200 OK", coding: str = "") -> bytes:
    """Head and body of an HTTP answer; `coding` gzip or chunked as servers send it and some crawlers store it."""
    extra = ""
    if coding == "gzip":
        body, extra = member(body), "Content-Encoding: gzip\r\n"
    if coding == "chunked":
        body, extra = _chunked(body), "Transfer-Encoding: chunked\r\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def _chunked(body: bytes, size: int = 1000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])


def member(data: bytes) -> bytes:
    """`data` as one gzip member without a time."""
    return gzip.compress(data, 9, mtime=0)


def write_warc(path: Path, captures: Iterable[Capture]) -> None:
    """A .warc.gz file: every record a gzip member of its own, as the standard recommends."""
    info = b"software: ctllm example corpus\r\nformat: WARC File Format 1.0\r\n"
    first = Capture("warcinfo", f"warcinfo:{path.name}", "", "application/warc-fields", info)
    write(path, b"".join(member(capture.encoded()) for capture in [first, *captures]))


def write_json_lines(path: Path, lines: Sequence[str]) -> None:
    """A .jsonl file, gzip or zstd by the name's end."""
    data = "".join(f"{line}\n" for line in lines).encode("utf-8")
    if path.suffix == ".gz":
        data = member(data)
    if path.suffix == ".zst":
        data = zstandard.ZstdCompressor(level=3).compress(data)
    write(path, data)


def json_line(**fields: object) -> str:
    """One record."""
    return json.dumps(fields, ensure_ascii=False)


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> None:
    """A Parquet file with two row groups."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows)), path, compression="zstd", row_group_size=max(1, len(rows) // 2))


def write(path: Path, data: bytes) -> None:
    """The bytes of `path`, folders made where missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
