"""Files as blocks of bytes: plain, gzip or zstd by their magic bytes, in any number of members, damaged or not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import fsspec
import zstandard
from isal import igzip_lib, isal_zlib  # twice as fast as zlib

from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure
from ctllm.schemas.document import FailureKind

# A decoder's output is lost from the block in which it meets damage on; small blocks also bound what a bomb unpacks to.
RAW_BLOCK_BYTES = 16 << 10
PLAIN_BLOCK_BYTES = 1 << 20
_GZIP = b"\x1f\x8b\x08"
_ZSTD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class Damage:
    """A place where bytes are missing; what follows it starts a new compressed member."""

    error: FailureKind
    message: str


def read_blocks(url: str, *, start: int = 0) -> Iterator[bytes | Damage]:
    """The decompressed bytes of the file, never empty blocks; for plain files from byte `start` on.

    After damage reading goes on at the next member, so a WARC loses the damaged record only. Raises OSError when the
    file cannot be opened or read.
    """
    with fsspec.open(url, "rb") as file:
        head = file.read(len(_ZSTD))
        file.seek(start)
        if head.startswith((_GZIP, _ZSTD)):
            yield from _decompress(file, _GZIP if head.startswith(_GZIP) else _ZSTD)
            return
        while block := file.read(PLAIN_BLOCK_BYTES):
            yield block


def read_head(url: str, *, num_bytes: int, decompressed: bool = True) -> bytes:
    """The first bytes of the file, fewer where it ends or is damaged; b"" when it cannot be read."""
    head = b""
    try:
        if not decompressed:
            with fsspec.open(url, "rb") as file:
                return bytes(file.read(num_bytes))
        for block in read_blocks(url):
            if isinstance(block, Damage) or len(head) >= num_bytes:
                break
            head += block
    except OSError:
        return b""  # the reader will meet it again and count it
    return head[:num_bytes]


def is_compressed(url: str) -> bool:
    """Whether the file is gzip or zstd, whatever it is called."""
    return read_head(url, num_bytes=len(_ZSTD), decompressed=False).startswith((_GZIP, _ZSTD))


def read_whole(url: str, *, max_bytes: int) -> bytes | Failure:
    """All decompressed bytes of a file that is one document, or why that cannot be had."""
    parts: list[bytes] = []
    size_bytes = 0
    for block in read_blocks(url):
        if isinstance(block, Damage):
            return Failure(0, block.error, block.message, b"".join(parts)[:NUM_FIRST_BYTES])
        parts.append(block)
        size_bytes += len(block)
        if size_bytes > max_bytes:
            message = f"more than sources.max_document_bytes={max_bytes}"
            return Failure(0, "too_large", message, parts[0][:NUM_FIRST_BYTES])
    return b"".join(parts) if parts else Failure(0, "empty_file", "no bytes")


def _decompress(file: IO[bytes], magic: bytes) -> Iterator[bytes | Damage]:
    decoder: Any = None
    pending = b""
    is_damaged = False
    while pending := pending or file.read(RAW_BLOCK_BYTES):
        if decoder is None:
            pending, skipped = _from_next_member(pending, file, magic)
            if skipped.strip(b"\0") and not is_damaged:  # zeros are padding, as gzip(1) has it
                yield Damage("broken_record", f"{len(skipped)} bytes between compressed members")
            if not pending:
                return
            decoder = isal_zlib.decompressobj(31) if magic == _GZIP else _zstd_decoder()
        try:
            block = decoder.decompress(pending)
        except (igzip_lib.IsalError, zstandard.ZstdError) as error:  # type: ignore[misc]  # its stub says object
            yield Damage("broken_record", f"compressed data is damaged: {error}")
            decoder, pending, is_damaged = None, pending[1:], True
            continue
        if block:
            yield block
        pending = decoder.unused_data if decoder.eof else b""
        if decoder.eof:
            decoder, is_damaged = None, False
    if decoder is not None:
        yield Damage("truncated", "the file ends inside a compressed member")


def _from_next_member(pending: bytes, file: IO[bytes], magic: bytes) -> tuple[bytes, bytes]:
    """`pending` from the next magic on, read further if need be, and the bytes before it; (b"", …) at the end."""
    skipped = bytearray()
    while (at := pending.find(magic)) < 0:
        more = file.read(RAW_BLOCK_BYTES)
        if not more:
            return b"", bytes(skipped) + pending
        keep = len(magic) - 1  # a magic may lie across two blocks
        skipped += pending[:-keep]
        pending = pending[-keep:] + more
    return pending[at:], bytes(skipped) + pending[:at]


def _zstd_decoder() -> Any:  # noqa: ANN401 - zstandard's decompressobj has no public type
    return zstandard.ZstdDecompressor(max_window_size=1 << 31).decompressobj()  # files of `zstd --long=31`
