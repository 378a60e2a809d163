"""Plain text and Markdown: a file is one document, or each of its lines, or each paragraph between blank lines."""

from collections.abc import Iterator

from ctllm.pipelines.charset import decode
from ctllm.pipelines.sources.compression import read_head, read_whole
from ctllm.pipelines.sources.lines import Line, end_of, lines_from, lines_of
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.pipelines.sources.split import Split
from ctllm.schemas.curation_config import SourceConfig

HEAD_BYTES = 1 << 16  # what tells the charset of a file whose lines are documents
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


def read_text(split: Split, *, config: SourceConfig) -> Iterator[Record | Failure]:
    """The text in the file as one record with id path#0, or the records of its lines or paragraphs; or why not.

    Of many documents the one at line or paragraph n of a block has the id path#n, in later blocks path@start#n; blank
    lines are none.
    """
    if config.text_unit == "file":
        data = read_whole(split.url, max_bytes=config.max_document_bytes)
        yield data if isinstance(data, Failure) else parse_text(data, Record(f"{split.url}#0", 0, ""))
        return
    head = read_head(split.url, num_bytes=HEAD_BYTES)
    if head.startswith(_UTF16_MARKS):
        yield Failure(0, "broken_encoding", "UTF-16 cannot be cut into lines; store the file as UTF-8", head[:200])
        return
    guess = decode(head[: head.rfind(b"\n") + 1] or head)
    charset = guess.charset if guess else None
    origin = f"{split.url}@{split.start}" if split.start else split.url
    units = lines_of if config.text_unit == "line" else _paragraphs
    for row, unit in enumerate(units(split, max_bytes=config.max_document_bytes)):
        if isinstance(unit, Failure):
            yield unit
        elif unit.data.strip():
            yield parse_text(unit.data, Record(f"{origin}#{row}", unit.offset, ""), http_charset=charset)
    if not head and not split.start:
        yield Failure(0, "empty_file", "no bytes")


def parse_text(data: bytes, empty: Record, *, http_charset: str | None = None) -> Record | Failure:
    """`empty` with the text in `data` and its charset."""
    decoded = decode(data, http_charset=http_charset)
    if decoded is None:
        return Failure(empty.offset, "broken_encoding", "no charset fits the file's bytes", data[:NUM_FIRST_BYTES])
    return empty._replace(text=decoded.text, charset=decoded.charset)


def _paragraphs(split: Split, *, max_bytes: int) -> Iterator[Line | Failure]:
    """The paragraphs whose last blank line before them starts in the split; the file's first has none before it."""
    end = end_of(split)
    is_ours = split.start == 0
    paragraph = _Paragraph(max_bytes)
    for line in lines_from(split, max_bytes=max_bytes):
        is_blank = isinstance(line, Line) and not line.data.strip()
        if line.offset >= end and (is_blank or not is_ours):
            break
        if is_blank:
            is_ours = True
            yield from paragraph.taken()
        elif is_ours and isinstance(line, Line):
            paragraph.add(line)
        elif is_ours:
            yield from paragraph.taken()
            yield line
    yield from paragraph.taken()


class _Paragraph:
    """Lines gathered until a blank one; beyond `max_bytes` they are counted, not held."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._lines: list[Line] = []
        self._size_bytes = 0

    def add(self, line: Line) -> None:
        """Takes another line, or its size only once it is too much."""
        self._size_bytes += len(line.data) + 1
        if self._size_bytes <= self._max_bytes or not self._lines:
            self._lines.append(line)

    def taken(self) -> Iterator[Line | Failure]:
        """The paragraph, if there is one, as a line or a failure; then it is empty again."""
        lines, size_bytes = self._lines, self._size_bytes
        self._lines, self._size_bytes = [], 0
        if size_bytes > self._max_bytes:
            message = f"a paragraph of {size_bytes} bytes is more than sources.max_document_bytes={self._max_bytes}"
            yield Failure(lines[0].offset, "too_large", message, lines[0].data[:NUM_FIRST_BYTES])
        elif lines:
            yield Line(lines[0].offset, b"\n".join(line.data for line in lines))
