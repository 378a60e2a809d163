"""WARC and WET: pages and texts as crawled.

Records are `response` records of status 2xx with HTML or plain text, and `conversion` records with plain text (WET).
Everything else in the file (warcinfo, requests, metadata, revisits, images, redirects and error pages) is no record and
not counted; what is damaged is counted, whatever it was.
"""

import re
from collections.abc import Iterator
from typing import Literal

from fastwarc.warc import WarcRecord

from ctllm.pipelines.sources.compression import read_blocks
from ctllm.pipelines.sources.html import parse_page
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.pipelines.sources.split import Split
from ctllm.pipelines.sources.text import parse_text
from ctllm.pipelines.sources.warc_frames import Frame, read_frames
from ctllm.schemas.curation_config import SourceConfig

_RECORD_TYPE = re.compile(rb"^warc-type:[ \t]*(response|conversion)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_SUCCESS = re.compile(rb"HTTP/\d(?:\.\d)?[ \t]+2\d\d\b")
_CONTENT_TYPE = re.compile(rb"^content-type:[ \t]*([^\s;]*)", re.IGNORECASE | re.MULTILINE)

_HTML_TYPES = frozenset({b"text/html", b"application/xhtml+xml"})
_TEXT_TYPE = b"text/plain"
_SPACE = b"\xef\xbb\xbf \t\r\n"  # with the byte order mark


def read_warc(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """The records of the file. The id is the WARC-Record-ID without its angle brackets, the date the WARC-Date."""
    blocks = read_blocks(split.url)
    for frame in read_frames(blocks, max_bytes=config.max_document_bytes, is_wanted=is_wanted):
        yield frame if isinstance(frame, Failure) else _parse(frame, split.url, config)


def is_wanted(header: bytes, content: bytes) -> bool:
    """Whether a record with this header and start of content is read, as the module's docstring says."""
    record_type = _RECORD_TYPE.search(header)
    if not record_type:
        return False
    if record_type[1].lower() == b"conversion":
        return _content_type(header) in (_TEXT_TYPE, b"")
    http_header = content.partition(b"\r\n\r\n")[0]
    return bool(_SUCCESS.match(http_header)) and _page_type(http_header, content) in {*_HTML_TYPES, _TEXT_TYPE}


def _parse(frame: Frame, path: str, config: SourceConfig) -> Record | Failure:
    try:
        record, payload = decoded_payload(frame)
    except OSError as error:
        return Failure(frame.offset, "broken_record", str(error), frame.header[:NUM_FIRST_BYTES])
    headers = record.headers
    empty = Record(
        id=(headers.get("WARC-Record-ID") or f"{path}#{frame.offset}").strip("<>"),
        offset=frame.offset,
        text="",
        url=(headers.get("WARC-Target-URI") or "").strip("<>") or None,
        date=headers.get("WARC-Date"),
    )
    if not record.is_http:  # WET is UTF-8 by definition
        return parse_text(payload, empty, http_charset="utf-8")
    http_header = frame.content.partition(b"\r\n\r\n")[0]
    if _page_type(http_header, payload) == _TEXT_TYPE:
        return parse_text(payload, empty, http_charset=record.http_charset)
    return parse_page(payload, empty, config=config, http_charset=record.http_charset)


def decoded_payload(frame: Frame) -> tuple[WarcRecord, bytes]:
    """The parsed record and its payload without chunks and compression. Raises OSError for what is neither.

    Some crawlers keep the header `Transfer-Encoding` or `Content-Encoding` of a body they store decoded: such a body is
    taken as it is.
    """
    data = frame.header + frame.content
    try:
        return _read(data, auto_decode="all")
    except OSError:
        record, payload = _read(data, auto_decode="none")
        if not payload[:1024].lstrip(_SPACE).startswith(b"<"):
            raise
        return record, payload


def _read(data: bytes, *, auto_decode: Literal["all", "none"]) -> tuple[WarcRecord, bytes]:
    record = WarcRecord.from_bytes(data)
    record.parse_http(auto_decode=auto_decode)
    return record, record.reader.read()


def _content_type(header: bytes) -> bytes:
    found = _CONTENT_TYPE.search(header)
    return found[1].lower() if found else b""


def _page_type(http_header: bytes, content: bytes) -> bytes:
    """The Content-Type of a response; text/html for a page sent without one."""
    declared = _content_type(http_header)
    return declared or (b"text/html" if b"<html" in content[: len(http_header) + 1024].lower() else b"")
