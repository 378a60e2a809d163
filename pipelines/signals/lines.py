"""Where lines begin and end, and the signals that follow from lines."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ctllm.pipelines.batch import inlined_kernel, kernel
from ctllm.pipelines.signals.characters import (
    BULLET,
    CLOSER,
    CUT,
    END_MARK,
    HAN,
    SENTENCE_MARK,
    SENTENCE_WORD,
    SINGLE,
    SPACE,
    WORD,
)

SHORT_LINE_CHARS = 10  # ChineseWebText 2.0: mean line at least 10
READMORE_PHRASES = (
    "展开", "更多", "查看更多", "阅读全文", "查看全文", "閱讀全文", "readmore", "read more", "read more...", "more...",
)  # fmt: skip

COLUMNS = (
    "num_lines", "mean_line_chars", "short_line_share", "menu_share", "end_mark_line_share", "bullet_line_share",
    "readmore_line_share", "duplicate_line_share",
)  # fmt: skip


@dataclass(frozen=True)
class Lines:
    """Lines of a batch that hold more than whitespace, stripped; positions count code points of the whole batch."""

    starts: np.ndarray
    """(lines,), int64"""
    ends: np.ndarray
    """(lines,), int64"""
    indents: np.ndarray
    """(lines,), int64: whitespace cut off before each line"""
    kinds: np.ndarray
    """(lines,), uint16: class bits that stand in each line; SPACE may come from what was cut off"""
    spaces: np.ndarray
    """(lines,), int64: whitespace inside each line"""
    cuts: np.ndarray
    """(lines,), int64: characters with the bit CUT"""
    has_gap: np.ndarray
    """(lines,), bool: whether whitespace may follow Han; not, when it is False"""
    offsets: np.ndarray
    """(texts + 1,), int64: the lines of each text"""


def split_lines(codepoints: np.ndarray, offsets: np.ndarray, *, classes: np.ndarray) -> Lines:
    """The lines of every text, cut at line feeds."""
    most = int(np.count_nonzero(codepoints == 0x0A)) + len(offsets)
    starts, ends, indents, spaces, cuts = (np.empty(most, np.int64) for _ in range(5))
    kinds, has_gap = np.empty(most, np.uint16), np.empty(most, np.bool_)
    line_offsets = np.zeros(len(offsets), np.int64)
    used = _split(codepoints, offsets, classes, starts, ends, indents, kinds, spaces, cuts, has_gap, line_offsets)
    spans = starts[:used], ends[:used], indents[:used]
    return Lines(*spans, kinds[:used], spaces[:used], cuts[:used], has_gap[:used], line_offsets)


def hash_lines(codepoints: np.ndarray, lines: Lines) -> np.ndarray:
    """A number of each line, equal for equal lines: (lines,), uint64."""
    hashes: np.ndarray = _hash_lines(codepoints, lines.starts, lines.ends)
    return hashes


def measure_lines(
    codepoints: np.ndarray, lines: Lines, *, classes: np.ndarray, hashes: np.ndarray
) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64; `hashes` of `hash_lines`."""
    values = np.zeros((len(lines.offsets) - 1, len(COLUMNS)))
    duplicate = _repeated_earlier(hashes, lines.offsets)
    spans = lines.offsets, lines.starts, lines.ends, lines.kinds, lines.spaces, lines.cuts, lines.has_gap, duplicate
    _measure(codepoints, classes, *spans, *_readmore_table(), values)
    return {name: values[:, column] for column, name in enumerate(COLUMNS)}


@cache
def _readmore_table() -> tuple[np.ndarray, np.ndarray]:
    codepoints = np.array([ord(each) for phrase in READMORE_PHRASES for each in phrase], np.uint32)
    return codepoints, np.cumsum([0, *map(len, READMORE_PHRASES)])


@kernel
def _split(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    indents: np.ndarray,
    kinds: np.ndarray,
    spaces: np.ndarray,
    cuts: np.ndarray,
    has_gap: np.ndarray,
    line_offsets: np.ndarray,
) -> int:
    used = 0
    for text in range(offsets.shape[0] - 1):
        at, stop = np.uint64(offsets[text]), np.uint64(offsets[text + 1])  # not looked at for being negative
        while at < stop:
            begin = at
            all_bits = gaps = before = np.uint16(0)
            counts = np.uint64(0)  # of whitespace, and from bit 32 on of CUT
            while at < stop and codepoints[at] != 0x0A:
                bits = classes[at]
                all_bits |= bits
                counts += np.uint64(bits & SPACE) | (np.uint64(bits & CUT) << np.uint64(19))
                gaps |= bits & (before >> 1)  # HAN is the bit above SPACE
                before = bits
                at += np.uint64(1)
            start, end = _strip(classes, np.int64(begin), np.int64(at))
            starts[used], ends[used], indents[used], kinds[used] = start, end, start - np.int64(begin), all_bits
            spaces[used] = np.int64(counts & np.uint64(0xFFFFFFFF)) - np.int64(at - begin) + (end - start)
            cuts[used] = np.int64(counts >> np.uint64(32))
            has_gap[used] = (gaps & SPACE) != 0
            used += end > start
            at += np.uint64(1)
        line_offsets[text + 1] = used
    return used


@inlined_kernel
def _strip(classes: np.ndarray, start: int, end: int) -> tuple[int, int]:
    while start < end and classes[start] & SPACE:
        start += 1
    while end > start and classes[end - 1] & SPACE:
        end -= 1
    return start, end


@kernel
def _hash_lines(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """64-bit hash of the code points of each line: (lines,), uint64. Two chains, two characters a step."""
    hashes = np.empty(starts.shape[0], np.uint64)
    factor = np.uint64(0x9E3779B97F4A7C15)
    for line in range(starts.shape[0]):
        i, end = np.uint64(starts[line]), np.uint64(ends[line])
        even = odd = end - i
        while i + np.uint64(3) < end:
            first = np.uint64(codepoints[i]) | (np.uint64(codepoints[i + np.uint64(1)]) << np.uint64(32))
            second = np.uint64(codepoints[i + np.uint64(2)]) | (
                np.uint64(codepoints[i + np.uint64(3)]) << np.uint64(32)
            )
            even = (((even << np.uint64(29)) | (even >> np.uint64(35))) ^ first) * factor
            odd = (((odd << np.uint64(29)) | (odd >> np.uint64(35))) ^ second) * factor
            i += np.uint64(4)
        while i < end:
            even = (((even << np.uint64(29)) | (even >> np.uint64(35))) ^ np.uint64(codepoints[i])) * factor
            i += np.uint64(1)
        value = (even ^ (even >> np.uint64(32))) * factor + odd
        hashes[line] = (value ^ (value >> np.uint64(32))) * factor
    return hashes


@kernel
def _repeated_earlier(hashes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Whether an equal line stands earlier in the same text: (lines,), bool."""
    repeated = np.empty(hashes.shape[0], np.bool_)
    most = 1
    for text in range(offsets.shape[0] - 1):
        most = max(most, offsets[text + 1] - offsets[text])
    slots, shift = 2, np.uint64(63)
    while slots < 2 * most:
        slots *= 2
        shift -= np.uint64(1)
    mask = np.uint64(slots - 1)
    table = np.full(slots, -1)  # line that holds a slot; of earlier texts: free
    for text in range(offsets.shape[0] - 1):
        first = offsets[text]
        for line in range(first, offsets[text + 1]):
            slot = hashes[line] >> shift
            while table[slot] >= first and hashes[table[slot]] != hashes[line]:
                slot = (slot + np.uint64(1)) & mask
            repeated[line] = table[slot] >= first
            table[slot] = line
    return repeated


@kernel
def _measure(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    classes: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    kinds: np.ndarray,
    spaces: np.ndarray,
    cuts: np.ndarray,
    has_gap: np.ndarray,
    duplicate: np.ndarray,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
    out: np.ndarray,
) -> None:
    for text in range(offsets.shape[0] - 1):
        num_lines = offsets[text + 1] - offsets[text]
        if num_lines == 0:
            continue
        chars = short = menu = total = ended = bullets = readmore = repeated = 0
        for line in range(offsets[text], offsets[text + 1]):
            start, end = starts[line], ends[line]
            length = end - start
            visible = length - spaces[line] - cuts[line]
            chars += length
            short += length if length < SHORT_LINE_CHARS and not _closes_sentence(classes, start, end) else 0
            ended += kinds[line] & END_MARK and _holds_sentence_end(codepoints, classes, start, end)
            bullets += (classes[start] & BULLET) != 0
            if codepoints[end - 1] in (0x5F00, 0x591A, 0x6587, 0x45, 0x65, 0x2E):  # the last ones of READMORE_PHRASES
                readmore += _ends_in_phrase(codepoints, start, end, phrases, phrase_offsets)
            repeated += length if duplicate[line] else 0
            total += visible
            if cuts[line] or has_gap[line]:
                menu += _menu_chars(codepoints, classes, start, end)
            elif visible < SHORT_LINE_CHARS and kinds[line] & (WORD | SINGLE):  # one piece
                menu += 0 if kinds[line] & (SENTENCE_MARK | SENTENCE_WORD) else visible
        row = out[text]
        row[0], row[1] = num_lines, chars / num_lines
        row[2], row[3] = short / chars, menu / max(total, 1)
        row[4], row[5], row[6] = ended / num_lines, bullets / num_lines, readmore / num_lines
        row[7] = repeated / chars


@kernel
def _closes_sentence(classes: np.ndarray, start: int, end: int) -> bool:
    """Whether the last character, closing quotes and brackets aside, is an end mark."""
    while end > start and classes[end - 1] & (CLOSER | SPACE):
        end -= 1
    return end > start and (classes[end - 1] & END_MARK) != 0


@kernel
def _holds_sentence_end(codepoints: np.ndarray, classes: np.ndarray, start: int, end: int) -> bool:
    """Whether an end mark stands before whitespace, a closer or the line's end; a full-width one anywhere.

    Most are at the end, so the line is read from there.
    """
    after = np.uint16(SPACE)
    for i in range(np.uint64(end), np.uint64(start), -1):
        bits = classes[i - np.uint64(1)]
        if bits & END_MARK and (after & (SPACE | CLOSER) or codepoints[i - np.uint64(1)] > 0x7F):
            return True
        after = bits
    return False


@kernel
def _ends_in_phrase(
    codepoints: np.ndarray, start: int, end: int, phrases: np.ndarray, phrase_offsets: np.ndarray
) -> bool:
    for phrase in range(phrase_offsets.shape[0] - 1):
        length = phrase_offsets[phrase + 1] - phrase_offsets[phrase]
        equal = end - start >= length
        for k in range(length):
            if not equal:
                break
            c = codepoints[end - length + k]
            c += 32 if 65 <= c <= 90 else 0
            equal = c == phrases[phrase_offsets[phrase] + k]
        if equal:
            return True
    return False


@kernel
def _menu_chars(codepoints: np.ndarray, classes: np.ndarray, start: int, end: int) -> int:
    """Visible characters of a line's menu entries.

    An entry is a piece of under 10 visible characters with a letter in it, without sentence mark and sentence
    character. Pieces end at bars, arrows and dots (not in table rows, which start with a bar) and at whitespace
    between two Han characters.
    """
    is_table = codepoints[start] in (0x7C, 0xFF5C)
    menu = piece = 0
    found = np.uint16(0)
    for i in range(start, end + 1):
        bits = classes[i] if i < end else np.uint16(CUT)
        if bits & (SPACE | CUT):
            is_gap = bits & SPACE and classes[i - 1] & HAN and _next_is_han(classes, i, end)
            if i == end or is_gap or (bits & CUT and not is_table):
                is_entry = found & (WORD | SINGLE) and not found & (SENTENCE_MARK | SENTENCE_WORD)
                menu += piece if is_entry and piece < SHORT_LINE_CHARS else 0
                piece, found = 0, np.uint16(0)
            continue
        piece += 1
        found |= bits
    return menu


@kernel
def _next_is_han(classes: np.ndarray, at: int, end: int) -> bool:
    while at < end and classes[at] & SPACE:
        at += 1
    return at < end and (classes[at] & HAN) != 0
