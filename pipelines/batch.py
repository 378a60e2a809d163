"""The kernels' view of an Arrow text column: UTF-8 bytes and offsets without a copy, code points decoded once.

Decoding runs at about 1.2 GB/s per core; signals, n-grams and MinHash share the result.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

_BLOCK = 512  # bytes of text decoded at once; of 64 half as fast, of 1,024 as fast (2026-11)

kernel = nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
"""Compiles a loop over arrays; it runs without the GIL. Its cache watches one file: call no other module's kernels."""

inlined_kernel = nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy", inline="always")
"""A kernel that stands in the place of its calls, for a line of text or less. A call hands over every array as seven
numbers: two of them with four arrays took 50 ns, as long as the tokens of a line (2026-11). Mostly it gains nothing."""


def text_buffers(column: "pa.Array[Any]") -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of a string or large_string array, and where each text starts and ends in them.

    (bytes,), uint8, read-only and without a copy; (texts + 1,), int64, from 0. Slices are respected.
    """
    wide = column if pa.types.is_large_string(column.type) else column.cast(pa.large_string())
    _, offsets_buffer, data_buffer = wide.buffers()
    if len(wide) == 0 or offsets_buffer is None:
        data, offsets = np.empty(0, np.uint8), np.zeros(1, np.int64)
    else:
        offsets = np.asarray(offsets_buffer).view(np.int64)[wide.offset : wide.offset + len(wide) + 1]
        data = np.asarray(data_buffer).view(np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
        data, offsets = data[offsets[0] : offsets[-1]], offsets - offsets[0]
    data.flags.writeable = False  # of whatever buffer it is: numba compiles a kernel for either kind
    return data, offsets


def decode_utf8(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code points of the texts: (code points,), uint32, and (texts + 1,), int64 offsets. The bytes are valid UTF-8."""
    if len(data) == 0:
        return np.empty(0, np.uint32), np.zeros(len(offsets), np.int64)
    # Counted first: room for one code point per byte would be 32 MiB a batch, which malloc takes from the system anew
    # each time; decoding took 22 ns a byte so (2026-11-25, docs/experiments.md).
    codepoints = np.empty(_num_codepoints(data), np.uint32)
    code_offsets = np.empty(len(offsets), np.int64)
    _decode(data, offsets, codepoints, code_offsets)
    return codepoints, code_offsets


def is_utf8(data: np.ndarray, offsets: np.ndarray) -> bool:
    """Whether each text, from one offset to the next, is UTF-8 (RFC 3629): ten times as fast as Arrow's validation."""
    return bool(_all_valid(data, offsets))


def places_of(flags: np.ndarray) -> np.ndarray:
    """Where `flags`, (places,), bool, hold: int64, ascending. Without a branch, twice as fast as `np.flatnonzero`."""
    places = np.empty(len(flags) + 1, np.int64)
    return places[: _list_places(flags, places)]


def text_column(data: np.ndarray, offsets: np.ndarray) -> "pa.Array[Any]":
    """The large_string array of UTF-8 bytes and offsets, without a copy: what `text_buffers` takes apart."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets).data), pa.py_buffer(np.ascontiguousarray(data).data)]
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, buffers)


def as_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table as one batch; a batch without rows where it has none."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


@dataclass(frozen=True)
class TextBatch:
    """The texts of a batch, decoded once for all that look at characters."""

    codepoints: np.ndarray
    """(code points of all texts,), uint32"""
    offsets: np.ndarray
    """(texts + 1,), int64, into `codepoints`"""

    @classmethod
    def of(cls, column: "pa.Array[Any]") -> "TextBatch":
        """The texts of a string or large_string array."""
        return cls(*decode_utf8(*text_buffers(column)))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def slices(self, num_chars: int) -> list[tuple[int, int]]:
        """First text and the one after the last of slices of about `num_chars` characters; none of no texts."""
        cuts = np.searchsorted(self.offsets, np.arange(0, len(self.codepoints), num_chars))
        return list(itertools.pairwise(np.unique([0, *cuts, len(self)]).tolist()))

    def slice(self, start: int, stop: int) -> "TextBatch":
        """Texts `start` to `stop`, without a copy of their code points."""
        first, last = self.offsets[start], self.offsets[stop]
        return TextBatch(self.codepoints[first:last], self.offsets[start : stop + 1] - first)

    def head(self, row: int, num_chars: int) -> str:
        """The first `num_chars` characters of a text."""
        start = self.offsets[row]
        stop = min(start + num_chars, self.offsets[row + 1])
        return self.codepoints[start:stop].tobytes().decode("utf-32-le")


@kernel
def _list_places(flags: np.ndarray, places: np.ndarray) -> int:
    used = np.uint64(0)
    for place in range(flags.shape[0]):
        places[used] = place
        used += np.uint64(flags[place])
    return int(used)


@kernel
def _all_valid(data: np.ndarray, offsets: np.ndarray) -> bool:
    """Each byte beside the three before it, which tell what it must be; without a branch: on vectors."""
    is_wrong = False
    for text in range(offsets.shape[0] - 1):
        own = data[offsets[text] : offsets[text + 1]]
        for i in range(min(3, own.shape[0])):
            first = own[i - 1] if i > 0 else np.uint8(0)
            second = own[i - 2] if i > 1 else np.uint8(0)
            is_wrong |= _is_misplaced(own[i], first, second, np.uint8(0))
        before, this = (own[2:], own[1:], own[:]), own[3:]
        for i in range(this.shape[0]):
            is_wrong |= _is_misplaced(this[i], before[0][i], before[1][i], before[2][i])
        for missing, lead in ((1, 0xC0), (2, 0xE0), (3, 0xF0)):  # a character that goes on behind the end
            is_wrong |= own.shape[0] >= missing and own[own.shape[0] - missing] >= lead
    return not is_wrong


@kernel
def _is_misplaced(byte: np.uint8, before: np.uint8, second: np.uint8, third: np.uint8) -> bool:
    """Whether a byte cannot follow these: the one before it, the second and the third."""
    goes_on = (byte & 0xC0) == 0x80
    is_wrong = goes_on != ((before >= 0xC0) | (second >= 0xE0) | (third >= 0xF0))
    is_wrong |= (byte == 0xC0) | (byte == 0xC1) | (byte >= 0xF5)  # too long a form, or beyond U+10FFFF
    is_wrong |= ((before == 0xE0) & (byte < 0xA0)) | ((before == 0xF0) & (byte < 0x90))  # too long a form
    is_wrong |= ((before == 0xED) & (byte > 0x9F)) | ((before == 0xF4) & (byte > 0x8F))  # surrogates; beyond U+10FFFF
    return bool(is_wrong)


@kernel
def _num_codepoints(data: np.ndarray) -> int:
    """Bytes that do not go on a character. In blocks that a byte counts: vectorised."""
    total = 0
    for start in range(0, data.shape[0], 128):
        block = data[start : start + 128]
        found = np.uint8(0)
        for i in range(block.shape[0]):
            found += np.uint8((block[i] & np.uint8(0xC0)) != np.uint8(0x80))
        total += int(found)
    return total


@kernel
def _decode(data: np.ndarray, offsets: np.ndarray, codepoints: np.ndarray, code_offsets: np.ndarray) -> None:
    """Block by block: one that is ASCII is widened on vectors. The last character of others may reach into the next."""
    used = np.uint64(0)
    code_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        position, end = np.uint64(offsets[text]), np.uint64(offsets[text + 1])
        while position < end:
            stop = min(position + np.uint64(_BLOCK), end)
            may_be_ascii = data[position] < 0x80 and data[stop - np.uint64(1)] < 0x80  # asking costs as much as writing
            if may_be_ascii and _widen_ascii(data[position:stop], codepoints[used : used + (stop - position)]):
                used += stop - position
                position = stop
                continue
            while position < stop:
                lead = np.uint32(data[position])
                if lead < 0x80:
                    codepoints[used] = lead
                    position += np.uint64(1)
                elif lead < 0xE0:
                    codepoints[used] = ((lead & 0x1F) << 6) | _tail(data, position, 1)
                    position += np.uint64(2)
                elif lead < 0xF0:
                    codepoints[used] = (
                        ((lead & 0x0F) << 12) | (_tail(data, position, 1) << 6) | _tail(data, position, 2)
                    )
                    position += np.uint64(3)
                else:
                    middle = (_tail(data, position, 1) << 12) | (_tail(data, position, 2) << 6)
                    codepoints[used] = ((lead & 0x07) << 18) | middle | _tail(data, position, 3)
                    position += np.uint64(4)
                used += np.uint64(1)
        code_offsets[text + 1] = used


@kernel
def _tail(data: np.ndarray, position: np.uint64, place: int) -> np.uint32:
    """The six bits of a byte that goes on a character."""
    return np.uint32(data[position + np.uint64(place)] & 0x3F)


@kernel
def _widen_ascii(block: np.ndarray, codepoints: np.ndarray) -> bool:
    """Writes the bytes of a block as code points; whether they are ASCII, so that this was right."""
    is_wide = False
    for i in range(block.shape[0]):
        is_wide |= block[i] >= 0x80
    if is_wide:
        return False
    for i in range(block.shape[0]):
        codepoints[i] = block[i]
    return True
