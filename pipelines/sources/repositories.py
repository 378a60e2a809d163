"""Directories of files that are one document each: source trees above all, with the texts and pages in them."""

from collections.abc import Iterator

from ctllm.pipelines.code_language import language_of_path
from ctllm.pipelines.sources.compression import read_whole
from ctllm.pipelines.sources.formats import format_of_name
from ctllm.pipelines.sources.html import parse_page
from ctllm.pipelines.sources.records import Failure, Record
from ctllm.pipelines.sources.split import Split
from ctllm.pipelines.sources.text import parse_text
from ctllm.schemas.curation_config import SourceConfig
from ctllm.schemas.files import join


def read_tree(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """One record or failure per file of the split; the id is the path inside the directory."""
    for offset, relative in enumerate(split.files):
        path = join(split.url, relative)
        yield _read_file(path, Record(relative, offset, ""), config)._replace(path=path)


def read_code(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """A source file that was given itself, as one record with id path#0, or the reason why not."""
    yield _read_file(split.url, Record(f"{split.url}#0", 0, ""), config)


def _read_file(path: str, empty: Record, config: SourceConfig) -> Record | Failure:
    try:
        data = read_whole(path, max_bytes=config.max_document_bytes)
    except OSError as error:
        return Failure(empty.offset, "unreadable", f"{type(error).__name__}: {error.strerror}")
    if isinstance(data, Failure):
        return data._replace(offset=empty.offset)
    if format_of_name(path) == "html":
        return parse_page(data, empty, config=config)
    return parse_text(data, empty._replace(code_language=language_of_path(path)))
