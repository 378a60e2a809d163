"""A WARC file cut into records, damaged ones skipped.

fastwarc's ArchiveIterator stops for good at the first bad header and swallows the records behind a wrong length; here
every record is cut out by its length where a record can end there, and else passed over to the next `WARC/1.` line.
What is cut out is parsed by fastwarc (`warc.py`).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ctllm.pipelines.sources.compression import Damage
from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure
from ctllm.schemas.document import FailureKind

_START = b"WARC/"
_NEXT_RECORD = re.compile(rb"\r?\n(?=WARC/[01]\.\d+\r?\n)")
_HEADER_END = re.compile(rb"\r\n\r\n")
_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,18})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_LINE_ENDS = b"\r\n"

MAX_HEADER_BYTES = 64 << 10  # Common Crawl's are below 4 kB
MAX_MARK_BYTES = 16  # length of what _NEXT_RECORD looks for


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole record: header block with its blank line, then the content. `offset` in the decompressed file."""

    offset: int
    header: bytes
    content: bytes


class _Window:
    """The undamaged bytes ahead, pulled in as they are asked for; ends at damage or at the end of the file."""

    def __init__(self, blocks: Iterator[bytes | Damage]) -> None:
        self._blocks = blocks
        self.offset = 0
        self.bytes = bytearray()
        self.damage: Damage | None = None
        self.at_end = False

    def pull(self) -> bool:
        """Adds a block; False at damage and at the end."""
        if self.damage or self.at_end:
            return False
        block = next(self._blocks, None)
        if isinstance(block, bytes):
            self.bytes += block
            return True
        self.damage, self.at_end = block, block is None
        return False

    def reach(self, num_bytes: int) -> bool:
        """Whether `num_bytes` are there, after pulling."""
        while len(self.bytes) < num_bytes and self.pull():
            pass
        return len(self.bytes) >= num_bytes

    def drop(self, num_bytes: int) -> None:
        """Moves on by `num_bytes`."""
        del self.bytes[:num_bytes]
        self.offset += num_bytes


def read_frames(
    blocks: Iterator[bytes | Damage], *, max_bytes: int, is_wanted: Callable[[bytes, bytes], bool]
) -> Iterator[Frame | Failure]:
    """The records that `is_wanted` from their header and the start of their content; failures where one is damaged.

    A wanted record of more than `max_bytes` is a failure and never held whole. An empty file is one failure.
    """
    window = _Window(blocks)
    if not window.reach(1) and window.at_end:
        yield Failure(0, "empty_file", "no bytes")
    while not window.at_end:
        yield from _frames_before_damage(window, max_bytes=max_bytes, is_wanted=is_wanted)
        window.damage = None


def _frames_before_damage(
    window: _Window, *, max_bytes: int, is_wanted: Callable[[bytes, bytes], bool]
) -> Iterator[Frame | Failure]:
    is_damage_told = False
    while _skip_line_ends(window):
        cut = _cut(window, max_bytes=max_bytes, is_wanted=is_wanted)
        if isinstance(cut, Frame):
            window.drop(len(cut.header) + len(cut.content))
            if is_wanted(cut.header, cut.content):
                yield cut
            continue
        if cut:
            yield cut
        is_damage_told = not _skip_to_next_record(window) and cut is not None
    if window.damage and not is_damage_told:
        yield Failure(window.offset, window.damage.error, window.damage.message)


def _cut(window: _Window, *, max_bytes: int, is_wanted: Callable[[bytes, bytes], bool]) -> Frame | Failure | None:
    """The record at the window's start, still in the window; None for one that is too large and not wanted."""
    if not (start := _header_size(window)):
        return _failure(window, "broken_record", "no WARC header")
    header = bytes(window.bytes[:start])
    length = _LENGTH.search(header)
    if not header.startswith(_START) or not length:
        return _failure(window, "broken_record", "a WARC header without a usable Content-Length")
    end = start + int(length[1])
    if end > max_bytes:
        window.reach(start + MAX_HEADER_BYTES)
        message = f"Content-Length {end - start} is more than sources.max_document_bytes={max_bytes}"
        head = bytes(window.bytes[start : start + MAX_HEADER_BYTES])
        return _failure(window, "too_large", message) if is_wanted(header, head) else None
    if not window.reach(end):
        message = f"ends after {len(window.bytes) - start} of {end - start} bytes"
        return _failure(window, "truncated", message)
    window.reach(end + MAX_MARK_BYTES)
    if not _is_record_end(bytes(window.bytes[end : end + MAX_MARK_BYTES])):
        return _failure(window, "broken_record", f"no record ends at Content-Length {end - start}")
    return Frame(window.offset, header, bytes(window.bytes[start:end]))


def _is_record_end(behind: bytes) -> bool:
    """Whether a record can end before these bytes: its two line ends, the next record or the file's end."""
    rest = behind.lstrip(_LINE_ENDS)
    return behind.startswith(_LINE_ENDS * 2) or rest.startswith(_START) or _START.startswith(rest)


def _failure(window: _Window, error: FailureKind, message: str) -> Failure:
    """A failure at the window's start, with the damage as its cause where that is what ended the record."""
    if window.damage:
        error, message = window.damage.error, f"{window.damage.message}; {message}"
    return Failure(window.offset, error, message, bytes(window.bytes[:NUM_FIRST_BYTES]))


def _header_size(window: _Window) -> int:
    """Bytes up to and with the blank line that ends the header; 0 without one within `MAX_HEADER_BYTES`."""
    while not (end := _HEADER_END.search(window.bytes, 0, MAX_HEADER_BYTES)):
        if len(window.bytes) >= MAX_HEADER_BYTES or not window.pull():
            return 0
    return end.end()


def _skip_line_ends(window: _Window) -> bool:
    """Moves over line ends between records; False when nothing else is left."""
    while window.reach(1):
        num_ends = len(window.bytes) - len(window.bytes.lstrip(_LINE_ENDS))
        if not num_ends:
            return True
        window.drop(num_ends)
    return False


def _skip_to_next_record(window: _Window) -> bool:
    """Moves to the next line that starts a record; False when there is none before damage or the end."""
    while not (mark := _NEXT_RECORD.search(window.bytes)):
        window.drop(max(0, len(window.bytes) - MAX_MARK_BYTES))
        if not window.pull():
            window.drop(len(window.bytes))
            return False
    window.drop(mark.end())
    return True
