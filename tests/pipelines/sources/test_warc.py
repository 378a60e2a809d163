"""Tests of reading WARC and WET, and of passing over their damaged records (`warc.py`, `warc_frames.py`)."""

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from ctllm.pipelines.sources.records import Failure, Record

ZH = "他们在这里的工作，是为了说明：国家与个人之间的关系，说到底是一本账。" * 3


def page(text: str) -> bytes:
    """An HTML page with a title."""
    return f"<html><head><title>题</title></head><body><article><p>{text}</p></article></body></html>".encode()


def http(body: bytes, *, headers: str = "Content-Type: text/html; charset=utf-8", status: str = "200 OK") -> bytes:
    """A stored HTTP response."""
    return f"HTTP/1.1 {status}\r\n{headers}\r\n\r\n".encode() + body


def record(
    number: int, content: bytes, *, kind: str = "response", type_: str = "application/http", length: int | None = None
) -> bytes:
    """One WARC record with id `urn:uuid:number`; `length` lies about the content's."""
    return (
        (
            f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Record-ID: <urn:uuid:{number}>\r\nWARC-Target-URI: http://a/{number}\r\n"
            f"WARC-Date: 2024-05-01T00:00:00Z\r\nContent-Type: {type_}\r\n"
            f"Content-Length: {len(content) if length is None else length}\r\n\r\n"
        ).encode()
        + content
        + b"\r\n\r\n"
    )


def plain(records: list[bytes]) -> bytes:
    """Records one behind the other."""
    return b"".join(records)


def gzipped(records: list[bytes]) -> bytes:
    """A gzip member for each record, as crawls are published."""
    return b"".join(gzip.compress(each) for each in records)


def zstandarded(records: list[bytes]) -> bytes:
    """A zstd frame for each record."""
    return b"".join(zstandard.compress(each) for each in records)


def numbers(found: list[Record | Failure]) -> list[str]:
    """Ids of the records and kinds of the failures, in order."""
    return [each.error if isinstance(each, Failure) else each.id.removeprefix("urn:uuid:") for each in found]


PACKINGS = pytest.mark.parametrize("pack", [plain, gzipped, zstandarded])
Pack = Callable[[list[bytes]], bytes]


@PACKINGS
def test_pages_are_read_with_all_that_is_known(pack: Pack, read: Any, tmp_path: Path) -> None:
    """A page gives its main text, title, charset, URL, date and record id, however the crawl is packed."""
    path = tmp_path / "a.warc.gz"
    path.write_bytes(pack([record(number, http(page(ZH))) for number in range(3)]))
    found = read(path)
    assert numbers(found) == ["0", "1", "2"]
    assert found[0] == Record("urn:uuid:0", 0, ZH, url="http://a/0", title="题", date="2024-05-01T00:00:00Z")
    assert found[1].offset == len(record(0, http(page(ZH))))


def test_wet_texts_are_read_as_they_are(read: Any, tmp_path: Path) -> None:
    """A conversion record is a text without markup, title or extraction."""
    path = tmp_path / "a.warc.wet"
    path.write_bytes(record(1, "首页\n<b>新闻</b>\n".encode(), kind="conversion", type_="text/plain"))
    assert read(path) == [Record("urn:uuid:1", 0, "首页\n<b>新闻</b>\n", url="http://a/1", date="2024-05-01T00:00:00Z")]


def test_what_is_no_page_is_no_record(read: Any, tmp_path: Path) -> None:
    """Requests, metadata, images, redirects and error pages are passed over without being counted, however large."""
    path = tmp_path / "a.warc"
    path.write_bytes(
        plain(
            [
                record(0, b"software: x\r\n", kind="warcinfo", type_="application/warc-fields"),
                record(1, b"GET / HTTP/1.1\r\n\r\n", kind="request"),
                record(2, http(b"\x89PNG" * 2000, headers="Content-Type: image/png")),
                record(3, http(page(ZH), status="404 Not Found")),
                record(4, http(b"", status="302 Found", headers="Location: /")),
                record(5, b"{}", kind="metadata", type_="application/json"),
                record(6, http(page(ZH))),
                record(7, http(ZH.encode(), headers="Content-Type: text/plain")),
                record(8, http(page(ZH), headers="Server: without-type")),
            ]
        )
    )
    assert numbers(read(path, max_document_bytes=5000)) == ["6", "7", "8"]


def test_chunks_and_compression_are_undone(read: Any, tmp_path: Path) -> None:
    """Bodies stored as they were sent, and bodies stored decoded under the old header, give the same text."""
    body = gzip.compress(page(ZH))
    chunked = (
        b"".join(b"%x\r\n%b\r\n" % (len(body[at : at + 50]), body[at : at + 50]) for at in range(0, len(body), 50))
        + b"0\r\n\r\n"
    )
    headers = "Content-Type: text/html\r\nTransfer-Encoding: chunked\r\nContent-Encoding: gzip"
    path = tmp_path / "a.warc"
    path.write_bytes(
        plain(
            [
                record(0, http(chunked, headers=headers)),
                record(1, http(page(ZH), headers=headers)),
                record(
                    2,
                    http(
                        body[:20] + b"\xff" * 20 + body[40:],
                        headers="Content-Type: text/html\r\nContent-Encoding: gzip",
                    ),
                ),
            ]
        )
    )
    found = read(path)
    assert numbers(found) == ["0", "1", "broken_record"]
    assert found[0].text == found[1].text == ZH


def test_the_charset_of_the_http_header_is_used(read: Any, tmp_path: Path) -> None:
    """A GBK page that only the server declares is not garbled; one that fits no charset is a failure."""
    path = tmp_path / "a.warc"
    body = page(ZH).decode().encode("gbk")
    path.write_bytes(
        plain(
            [
                record(0, http(body, headers="Content-Type: text/html; charset=gb2312")),
                record(1, http(page(ZH).replace("国".encode()[:2], b"\xff\xfe"))),
            ]
        )
    )
    found = read(path)
    assert (found[0].text, found[0].charset) == (ZH, "gb18030")
    assert numbers(found)[1:] == ["broken_encoding"]


@PACKINGS
@pytest.mark.parametrize("length", [10, 300, 1_000_000])
def test_a_wrong_length_costs_one_record(length: int, pack: Pack, read: Any, tmp_path: Path) -> None:
    """A Content-Length that is too small, too large or beyond the file is one failure; what follows is read."""
    records = [
        record(0, http(page(ZH))),
        record(1, http(page("短")), length=length),
        record(2, http(page(ZH))),
        record(3, http(page(ZH))),
    ]
    path = tmp_path / "a.warc"
    path.write_bytes(pack(records))
    found = read(path)
    assert [each for each in numbers(found) if each.isdigit()] == ["0", "2", "3"]
    assert len(found) == 4
    assert found[1].offset == len(records[0])
    assert found[1].first_bytes == records[1][:200]


@PACKINGS
def test_a_broken_header_costs_one_record(pack: Pack, read: Any, tmp_path: Path) -> None:
    """Junk between records, a header without a length and one with a negative length cost nothing else."""
    good = [record(number, http(page(ZH))) for number in range(4)]
    negative = record(9, http(page(ZH)), length=-5)
    without = record(9, http(page(ZH))).replace(b"Content-Length", b"Content-Size")
    path = tmp_path / "a.warc"
    path.write_bytes(pack([good[0], b"junk\r\n" * 100, good[1], negative, good[2], without, good[3]]))
    assert numbers(read(path)) == ["0", "broken_record", "1", "broken_record", "2", "broken_record", "3"]


@PACKINGS
def test_a_cut_file_keeps_its_whole_records(pack: Pack, read: Any, tmp_path: Path) -> None:
    """The record in which the file ends is one failure; those before it are read."""
    path = tmp_path / "a.warc"
    path.write_bytes(pack([record(number, http(page(ZH))) for number in range(3)])[:-40])
    assert numbers(read(path)) == ["0", "1", "truncated"]


def test_damaged_members_cost_their_records_only(read: Any, tmp_path: Path) -> None:
    """Flipped bytes in one gzip member are one failure, at the start of a member too."""
    members = [bytearray(gzip.compress(record(number, http(page(ZH))))) for number in range(5)]
    members[1][10:18] = b"\xff" * 8
    members[3][-8] ^= 255
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"".join(members))
    assert numbers(read(path)) == ["0", "broken_record", "2", "broken_record", "4"]


def test_a_page_beyond_the_bound_is_a_failure(read: Any, tmp_path: Path) -> None:
    """A too large page is counted and passed over, whether its length is true or not."""
    path = tmp_path / "a.warc"
    large = http(page(ZH * 50))
    path.write_bytes(
        plain(
            [
                record(0, http(page(ZH))),
                record(1, large),
                record(2, http(page(ZH))),
                record(3, http(page(ZH)), length=10**15),
                record(4, http(page(ZH))),
            ]
        )
    )
    assert numbers(read(path, max_document_bytes=4096)) == ["0", "too_large", "2", "too_large", "4"]


def test_an_empty_crawl_is_one_failure(read: Any, tmp_path: Path) -> None:
    """No bytes are an empty file; a crawl of requests only is not a failure."""
    path = tmp_path / "a.warc.gz"
    path.write_bytes(b"")
    assert numbers(read(path)) == ["empty_file"]
    path.write_bytes(gzip.compress(record(1, b"GET / HTTP/1.1\r\n\r\n", kind="request")))
    assert read(path) == []


@pytest.mark.private_data
def test_a_real_common_crawl_page(read: Any, private_data: Path) -> None:
    """The page of Common Crawl's own example is found once in its WARC, once in its WET and never in its WAT."""
    folder = private_data / "open" / "cc_real_samples"
    found = {name: read(folder / f"whirlwind.warc{name}") for name in (".gz", ".wet", ".wet.gz", ".wat.gz")}
    assert {name: len(records) for name, records in found.items()} == {".gz": 1, ".wet": 1, ".wet.gz": 1, ".wat.gz": 0}
    assert found[".wet"][0].text == found[".wet.gz"][0].text
    assert found[".gz"][0].url == found[".wet"][0].url == "https://an.wikipedia.org/wiki/Escopete"
