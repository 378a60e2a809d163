"""Blocks of bytes as lines with their byte offsets; over-long and damaged lines become failures."""

import math
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

import fsspec

from ctllm.pipelines.sources.compression import Damage, is_compressed, read_blocks
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure
from ctllm.pipelines.sources.split import Split


class Line(NamedTuple):
    """A line without its line feed; `offset` is where it starts in the decompressed file."""

    offset: int
    data: bytes


def lines_of(split: Split, *, max_bytes: int) -> Iterator[Line | Failure]:
    """The lines that start in [start, end) of the split."""
    end = end_of(split)
    for line in lines_from(split, max_bytes=max_bytes):
        if line.offset >= end:
            return
        yield line


def lines_from(split: Split, *, max_bytes: int) -> Iterator[Line | Failure]:
    """The lines that start in the split, and all after it."""
    first = max(0, split.start - 1)  # the byte before the block tells whether a line starts with the block
    for line in split_lines(read_blocks(split.url, start=first), offset=first, max_bytes=max_bytes):
        if line.offset >= split.start:
            yield line


def bytes_of_lines(split: Split) -> int:
    """The bytes of the lines that start in the split: many more than its block where a long one does.

    Splits of formats without lines, and compressed files, are as large as they are.
    """
    if split.format not in ("jsonl", "text") or is_compressed(split.url):
        return split.size_bytes
    with fsspec.open(split.url, "rb") as file:
        return _line_start(file, split.end) - _line_start(file, split.start)


def _line_start(file: IO[bytes], position: int) -> int:
    """Where the first line starts that starts there or later."""
    if position == 0:
        return 0
    file.seek(position - 1)
    return position - 1 + len(file.readline())


def end_of(split: Split) -> float:
    """The byte where the split ends; a compressed file is one split, whatever its offsets."""
    return math.inf if is_compressed(split.url) else split.end


def split_lines(blocks: Iterable[bytes | Damage], *, offset: int, max_bytes: int) -> Iterator[Line | Failure]:
    """The lines of `blocks`, the first of which starts at `offset`. A line beyond `max_bytes` is never held whole."""
    pending = bytearray()
    num_pending = 0  # of the line at hand; more than len(pending) once it is too large
    for block in blocks:
        if isinstance(block, Damage):
            yield Failure(offset, block.error, block.message, bytes(pending[:NUM_FIRST_BYTES]))
            offset += num_pending
            pending, num_pending = bytearray(), 0
            continue
        start = 0
        while (end := block.find(b"\n", start)) >= 0:
            pending += block[start:end]
            num_pending += end - start
            yield _line(offset, bytes(pending), num_pending, max_bytes)
            offset += num_pending + 1
            pending, num_pending, start = bytearray(), 0, end + 1
        num_pending += len(block) - start
        if num_pending <= max_bytes:
            pending += block[start:]
        elif len(pending) < NUM_FIRST_BYTES:
            pending += block[start : start + NUM_FIRST_BYTES]
    if num_pending:
        yield _line(offset, bytes(pending), num_pending, max_bytes)


def _line(offset: int, data: bytes, num_bytes: int, max_bytes: int) -> Line | Failure:
    if num_bytes <= max_bytes:
        return Line(offset, data)
    message = f"a line of {num_bytes} bytes is more than sources.max_document_bytes={max_bytes}"
    return Failure(offset, "too_large", message, data[:NUM_FIRST_BYTES])
