"""The characters that signals ask for one by one, a tenth of a text: found in one pass, so that nobody reads the rest.

Which sign a character is stands in a table. The neighbours are compared on vectors, and what is left is listed.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import DIGIT, LATIN, class_table, look_up

STOP, COMMA, FULL_STOP, ASCII_COMMA, HASH, CURLY, ELLIPSIS, RIGHTS = 1, 2, 4, 8, 16, 32, 64, 128
_R, _I, _C, _O, PAIR, CAPITAL, NUMBER, BRACKET = 256, 512, 1024, 2048, 4096, 8192, 16384, 32768
"""Bits of a character's sign. STOP, COMMA: full width; FULL_STOP: of ASCII; RIGHTS: a phrase of rights may begin here.
Others only stand in the list by what is beside them: `_R` to `_C` before the letter that follows in `_CHAIN`, PAIR
before a character that has it too, CAPITAL the first of two or more, NUMBER the first of a run of digits."""

BEGINS_FOOTER = RIGHTS | _I | _C | _O
_ALONE = STOP | COMMA | FULL_STOP | ASCII_COMMA | HASH | CURLY | ELLIPSIS | RIGHTS | BRACKET
_NAMED = {
    "。．；": STOP, "，、": COMMA, ".": FULL_STOP, ",": ASCII_COMMA, "#＃": HASH, "{}": CURLY, "…⋯": ELLIPSIS,
    "©版": RIGHTS, "【】": BRACKET, "wW/.。": PAIR, "rR": _R, "iI": _I, "cC": _C, "oO": _O,
}  # fmt: skip
_CHAIN = _I | _C | _O  # rights, icp备, copyright: R before I, I before C, C before O, each bit above the one before


@dataclass(frozen=True)
class Signs:
    """The signs of a batch, in order."""

    places: np.ndarray
    """(signs,), uint32: code point of the batch"""
    kinds: np.ndarray
    """(signs,), uint16: bits; not of texts' last characters and the pairs that they begin"""
    offsets: np.ndarray
    """(texts + 1,), int64: the signs of each text"""


@cache
def _sign_table() -> np.ndarray:
    """Sign of every code point: (1,114,112,), uint16 bits."""
    classes = class_table()
    table = np.zeros(len(classes), np.uint16)
    for characters, bit in _NAMED.items():
        table[[ord(each) for each in characters]] |= bit
    is_no_lower = np.ones(len(table), np.bool_)  # a capital, or a letter beyond ASCII
    is_no_lower[0x5B:0x80] = False
    table[(classes & LATIN != 0) & is_no_lower] |= CAPITAL
    table[classes & DIGIT != 0] |= NUMBER
    return table


def find_signs(codepoints: np.ndarray, offsets: np.ndarray) -> Signs:
    """The signs of every text. A pair may end in the next text; who asks for it looks where the text ends."""
    signs = np.empty(len(codepoints) + 2, np.uint16)
    signs[[0, -1]] = 0  # nothing stands before the first and after the last
    look_up(codepoints, _sign_table(), signs[1:-1])
    places, kinds = np.empty(len(codepoints) + 1, np.uint32), np.empty(len(codepoints) + 1, np.uint16)
    sign_offsets = np.zeros(len(offsets), np.int64)
    used = _list_signs(signs, offsets, places, kinds, sign_offsets)
    return Signs(places[:used], kinds[:used], sign_offsets)


@kernel
def _list_signs(
    signs: np.ndarray, offsets: np.ndarray, places: np.ndarray, kinds: np.ndarray, sign_offsets: np.ndarray
) -> int:
    """Writes the places and kinds text by text; how many they are."""
    most = used = 0
    for text in range(offsets.shape[0] - 1):
        most = max(most, offsets[text + 1] - offsets[text])
    listed = np.empty(most, np.uint16)
    for text in range(offsets.shape[0] - 1):
        first, end = offsets[text], offsets[text + 1]
        if end > first:
            part = listed[: end - first]
            _see_neighbours(signs[first : end + 2], part)
            part[0] = _kind(np.uint16(0), signs[first + 1], signs[first + 2])
            used += _list_places(part, np.uint32(first), places[used:], kinds[used:])
        sign_offsets[text + 1] = used
    return used


@kernel
def _list_places(listed: np.ndarray, first: np.uint32, places: np.ndarray, kinds: np.ndarray) -> int:
    """Writes where something is listed, and what; how many they are. In two loops: three times as fast as in one."""
    used = np.uint64(0)
    for i in range(listed.shape[0]):
        places[used] = i
        used += np.uint64(listed[i] != 0)
    for k in range(used):
        kinds[k] = listed[places[k]]
        places[k] += first
    return int(np.int64(used))


@kernel
def _see_neighbours(signs: np.ndarray, listed: np.ndarray) -> None:
    """What is left of each sign but the first and the last; without a branch, so that it runs on vectors."""
    before, this, after = signs[:-2], signs[1:-1], signs[2:]
    for i in range(listed.shape[0]):
        listed[i] = _kind(before[i], this[i], after[i])


@kernel
def _kind(before: np.uint16, this: np.uint16, after: np.uint16) -> np.uint16:
    first = np.uint16(this & ~before)
    begins = np.uint16(np.uint16(this << np.uint16(1)) & after & _CHAIN)
    pairs = np.uint16((this & PAIR | first & CAPITAL) & after)
    return np.uint16(this & _ALONE | begins | pairs | first & NUMBER)
