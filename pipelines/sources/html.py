"""HTML pages: a file is one document, its main text."""

from collections.abc import Iterator

from ctllm.pipelines.charset import decode
from ctllm.pipelines.extract import extract_page
from ctllm.pipelines.sources.compression import read_whole
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.curation_config import SourceConfig


def read_html(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """The page in the file as one record with id path#0, or the reason why not."""
    data = read_whole(split.url, max_bytes=config.max_document_bytes)
    yield data if isinstance(data, Failure) else parse_page(data, Record(f"{split.url}#0", 0, ""), config=config)


def parse_page(
    data: bytes, empty: Record, *, config: SourceConfig, http_charset: str | None = None
) -> Record | Failure:
    """`empty` with the text, title and charset of the page in `data`."""
    decoded = decode(data, http_charset=http_charset, is_html=True)
    if decoded is None:
        return Failure(empty.offset, "broken_encoding", "no charset fits the page's bytes", data[:NUM_FIRST_BYTES])
    page = extract_page(decoded.text, extractor=config.extractor)
    return empty._replace(text=page.text, title=page.title, charset=decoded.charset)
