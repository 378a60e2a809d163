"""Plain text and Markdown: a file is one document."""

from collections.abc import Iterator
from dataclasses import replace

from ctllm.pipelines.charset import decode
from ctllm.pipelines.sources.compression import read_whole
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.curation_config import SourceConfig


def read_text(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """The text in the file as one record with id path#0, or the reason why not."""
    data = read_whole(split.url, max_bytes=config.max_document_bytes)
    yield data if isinstance(data, Failure) else parse_text(data, Record(f"{split.url}#0", 0, ""))


def parse_text(data: bytes, empty: Record, *, http_charset: str | None = None) -> Record | Failure:
    """`empty` with the text in `data` and its charset."""
    decoded = decode(data, http_charset=http_charset)
    if decoded is None:
        return Failure(empty.offset, "broken_encoding", "no charset fits the file's bytes", data[:NUM_FIRST_BYTES])
    return replace(empty, text=decoded.text, charset=decoded.charset)
