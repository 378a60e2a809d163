"""Line endings become line feeds, control characters go; nothing else changes, Chinese punctuation least of all.

Works on the UTF-8 bytes of a whole Arrow column: a text without anything to change (nearly all) is looked at once, at
several GB/s, and not copied.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import kernel, text_buffers, text_column

_TAB, _LF, _VT, _FF, _CR, _SPACE, _DELETE = 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x20, 0x7F
_C1_LEAD, _NEXT_LINE, _C1_LAST = 0xC2, 0x85, 0x9F  # U+0080 to U+009F are C2 80 to C2 9F
_LINE_LEAD = 0xE2  # U+2028 and U+2029 are E2 80 A8 and E2 80 A9


def normalise(texts: "pa.Array[Any]") -> "pa.Array[Any]":
    r"""A string column with every newline form as `\n` and without control characters other than tab: large_string.

    Full-width spaces, zero-width joiners and compatibility forms stay: `“一，\r\n二”` becomes `“一，\n二”`.
    """
    data, offsets = text_buffers(texts)
    is_changed = np.empty(len(offsets) - 1, np.bool_)
    _find_changes(data, offsets, is_changed)
    if not is_changed.any():
        return texts.cast(pa.large_string())
    changed = np.empty(len(data), np.uint8)
    changed_offsets = np.empty(len(offsets), np.int64)
    used = _rewrite(data, offsets, is_changed, changed, changed_offsets)
    return text_column(changed[:used], changed_offsets)


def blank_texts(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Whether each UTF-8 text holds nothing but whitespace, as `str.isspace` has it, or nothing at all: bool."""
    blank = np.empty(len(offsets) - 1, np.bool_)
    _find_blank(data, offsets, blank)
    return blank


@kernel
def _find_changes(data: np.ndarray, offsets: np.ndarray, is_changed: np.ndarray) -> None:
    """Byte by byte with the two behind it, text by text: without branches, and one truth value, so it is vectorised."""
    for text in range(offsets.shape[0] - 1):
        first = data[offsets[text] : offsets[text + 1]]
        second = first[1:]
        third = first[2:]
        found = False
        for i in range(third.shape[0]):
            found |= _is_control(first[i]) | ((first[i] == _C1_LEAD) & (second[i] <= _C1_LAST))
            found |= (first[i] == _LINE_LEAD) & (second[i] == 0x80) & ((third[i] & 0xFE) == 0xA8)
        for i in range(third.shape[0], first.shape[0]):
            found |= _is_control(first[i])
            if i < second.shape[0]:
                found |= (first[i] == _C1_LEAD) & (second[i] <= _C1_LAST)
        is_changed[text] = found


@kernel
def _is_control(byte: np.uint8) -> bool:
    """Whether it goes, or becomes a line feed."""
    return bool(((byte < _SPACE) & (byte != _TAB) & (byte != _LF)) | (byte == _DELETE))


@kernel
def _rewrite(
    data: np.ndarray, offsets: np.ndarray, is_changed: np.ndarray, changed: np.ndarray, changed_offsets: np.ndarray
) -> int:
    used = 0
    changed_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        position = offsets[text]
        end = offsets[text + 1]
        if not is_changed[text]:
            changed[used : used + end - position] = data[position:end]
            used += end - position
            position = end
        while position < end:
            byte = data[position]
            position += 1
            if byte >= _SPACE and byte not in (_DELETE, _C1_LEAD, _LINE_LEAD):
                changed[used] = byte
                used += 1
            elif byte == _CR:
                changed[used] = _LF
                used += 1
                position += (position < end) & (data[position] == _LF)
            elif byte in (_LF, _VT, _FF):
                changed[used] = _LF
                used += 1
            elif byte == _C1_LEAD and data[position] <= _C1_LAST:
                changed[used] = _LF
                used += data[position] == _NEXT_LINE
                position += 1
            elif byte == _LINE_LEAD and data[position] == 0x80 and data[position + 1] & 0xFE == 0xA8:
                changed[used] = _LF
                used += 1
                position += 2
            else:  # a tab, a lead byte of another character, or a control
                changed[used] = byte
                used += (byte == _TAB) | (byte > _DELETE)
        changed_offsets[text + 1] = used
    return used


@kernel
def _find_blank(data: np.ndarray, offsets: np.ndarray, blank: np.ndarray) -> None:
    for text in range(offsets.shape[0] - 1):
        position = offsets[text]
        end = offsets[text + 1]
        while position < end:
            length = _space_length(data, position)
            if not length:
                break
            position += length
        blank[text] = position >= end


@kernel
def _space_length(data: np.ndarray, at: int) -> int:
    """Bytes of the white space character at `at`, 0 where there is another one."""
    lead = data[at]
    if lead < 0x80:
        return int(lead == _SPACE or _TAB <= lead <= _CR or 0x1C <= lead <= 0x1F)
    if lead == 0xC2:  # next line, no-break space
        return 2 * int(data[at + 1] in (_NEXT_LINE, 0xA0))
    if lead == 0xE1:  # U+1680
        return 3 * int(data[at + 1] == 0x9A and data[at + 2] == 0x80)
    if lead == 0xE2:  # U+2000 to 200A, 2028, 2029, 202F; 205F
        middle, last = data[at + 1], data[at + 2]
        return 3 * int(
            (middle == 0x80 and (last <= 0x8A or last in (0xA8, 0xA9, 0xAF))) or (middle == 0x81 and last == 0x9F)
        )
    return 3 * int(lead == 0xE3 and data[at + 1] == 0x80 and data[at + 2] == 0x80)  # U+3000
