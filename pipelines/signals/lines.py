"""Where lines begin and end, and the signals that follow from lines."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import (
    BULLET,
    CLOSER,
    CUT,
    END_MARK,
    HAN,
    SENTENCE_MARK,
    SINGLE,
    SPACE,
    WORD,
    class_table,
)
from ctllm.pipelines.signals.vocabulary import ZH_SENTENCE_CHARACTERS

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
    offsets: np.ndarray
    """(texts + 1,), int64: the lines of each text"""


def split_lines(codepoints: np.ndarray, offsets: np.ndarray, *, classes: np.ndarray) -> Lines:
    """The lines of every text, cut at line feeds."""
    most = int(np.count_nonzero(codepoints == 0x0A)) + len(offsets)
    starts, ends, indents = (np.empty(most, np.int64) for _ in range(3))
    line_offsets = np.zeros(len(offsets), np.int64)
    used = _split(codepoints, offsets, classes, starts, ends, indents, line_offsets)
    return Lines(starts[:used], ends[:used], indents[:used], line_offsets)


def measure_lines(codepoints: np.ndarray, lines: Lines, *, classes: np.ndarray) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64."""
    num_texts = len(lines.offsets) - 1
    values = np.zeros((num_texts, len(COLUMNS)))
    phrases, phrase_offsets = _readmore_table()
    sentence_table = _sentence_table()
    hashes = _hash_lines(codepoints, lines.starts, lines.ends)
    duplicate = _repeated_earlier(hashes, lines.offsets)
    for text in range(num_texts):
        part = slice(lines.offsets[text], lines.offsets[text + 1])
        if part.stop > part.start:
            spans = lines.starts[part], lines.ends[part], duplicate[part]
            _measure_text(codepoints, classes, sentence_table, *spans, phrases, phrase_offsets, values[text])
    return {name: values[:, column] for column, name in enumerate(COLUMNS)}


def _readmore_table() -> tuple[np.ndarray, np.ndarray]:
    codepoints = np.array([ord(each) for phrase in READMORE_PHRASES for each in phrase], np.uint32)
    return codepoints, np.cumsum([0, *map(len, READMORE_PHRASES)])


@cache
def _sentence_table() -> np.ndarray:
    """Whether a code point is one that menu entries do not hold: (1,114,112,), bool."""
    table = np.zeros(len(class_table()), bool)
    table[[ord(each) for each in ZH_SENTENCE_CHARACTERS]] = True
    return table


@kernel
def _split(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    indents: np.ndarray,
    line_offsets: np.ndarray,
) -> int:
    used = 0
    for text in range(offsets.shape[0] - 1):
        begin = offsets[text]
        for i in range(offsets[text], offsets[text + 1] + 1):
            if i < offsets[text + 1] and codepoints[i] != 0x0A:
                continue
            start, end = _strip(classes, begin, i)
            if end > start:
                starts[used], ends[used], indents[used] = start, end, start - begin
                used += 1
            begin = i + 1
        line_offsets[text + 1] = used
    return used


@kernel
def _strip(classes: np.ndarray, start: int, end: int) -> tuple[int, int]:
    while start < end and classes[start] & SPACE:
        start += 1
    while end > start and classes[end - 1] & SPACE:
        end -= 1
    return start, end


@kernel
def _hash_lines(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """64-bit FNV-1a over the code points of each line: (lines,), uint64."""
    hashes = np.empty(starts.shape[0], np.uint64)
    for line in range(starts.shape[0]):
        value = np.uint64(0xCBF29CE484222325)
        for i in range(starts[line], ends[line]):
            value = (value ^ np.uint64(codepoints[i])) * np.uint64(0x100000001B3)
        hashes[line] = value
    return hashes


def _repeated_earlier(hashes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Whether an equal line stands earlier in the same text: (lines,), bool."""
    text_of_line = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort((hashes, text_of_line))  # stable, so the first of equal lines stays first
    same = np.zeros(len(hashes), bool)
    same[1:] = (hashes[order][1:] == hashes[order][:-1]) & (text_of_line[order][1:] == text_of_line[order][:-1])
    repeated = np.empty(len(hashes), bool)
    repeated[order] = same
    return repeated


@kernel
def _measure_text(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    classes: np.ndarray,
    sentence_table: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    duplicate: np.ndarray,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
    out: np.ndarray,
) -> None:
    num_lines = starts.shape[0]
    chars = short = menu = visible = ended = bullets = readmore = repeated = 0
    for line in range(num_lines):
        start, end = starts[line], ends[line]
        length = end - start
        is_ended = _closes_sentence(classes, start, end)
        chars += length
        short += length if length < SHORT_LINE_CHARS and not is_ended else 0
        ended += _holds_sentence_end(codepoints, classes, start, end)
        bullets += (classes[start] & BULLET) != 0
        readmore += _ends_in_phrase(codepoints, start, end, phrases, phrase_offsets)
        repeated += length if duplicate[line] else 0
        menu_line, visible_line = _menu_chars(codepoints, classes, sentence_table, start, end)
        menu += menu_line
        visible += visible_line
    out[0], out[1] = num_lines, chars / num_lines
    out[2], out[3] = short / chars, menu / max(visible, 1)
    out[4], out[5], out[6] = ended / num_lines, bullets / num_lines, readmore / num_lines
    out[7] = repeated / chars


@kernel
def _closes_sentence(classes: np.ndarray, start: int, end: int) -> bool:
    """Whether the last character, closing quotes and brackets aside, is an end mark."""
    while end > start and classes[end - 1] & (CLOSER | SPACE):
        end -= 1
    return end > start and (classes[end - 1] & END_MARK) != 0


@kernel
def _holds_sentence_end(codepoints: np.ndarray, classes: np.ndarray, start: int, end: int) -> bool:
    """Whether an end mark stands before whitespace, a closer or the line's end; a full-width one anywhere."""
    for i in range(start, end):
        if classes[i] & END_MARK:
            is_wide = codepoints[i] > 0x7F
            if is_wide or i + 1 == end or classes[i + 1] & (SPACE | CLOSER):
                return True
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
def _menu_chars(
    codepoints: np.ndarray, classes: np.ndarray, sentence_table: np.ndarray, start: int, end: int
) -> tuple[int, int]:
    """Visible characters of a line's menu entries, and of the whole line.

    An entry is a piece of under 10 visible characters with a letter in it, without sentence mark and sentence
    character. Pieces end at bars, arrows and dots (not in table rows, which start with a bar) and at whitespace
    between two Han characters.
    """
    is_table = codepoints[start] in (0x7C, 0xFF5C)
    menu = visible = piece = 0
    is_entry, has_letter = True, False
    for i in range(start, end + 1):
        bits = classes[i] if i < end else np.uint16(CUT)
        is_gap = bits & SPACE and classes[i - 1] & HAN and _next_is_han(classes, i, end)
        if i == end or is_gap or (bits & CUT and not is_table):
            menu += piece if is_entry and has_letter and piece < SHORT_LINE_CHARS else 0
            visible += piece
            piece, is_entry, has_letter = 0, True, False
        if bits & (SPACE | CUT):
            continue
        piece += 1
        has_letter = has_letter or (bits & (WORD | SINGLE)) != 0
        is_entry = is_entry and not bits & SENTENCE_MARK and not sentence_table[codepoints[i]]
    return menu, visible


@kernel
def _next_is_han(classes: np.ndarray, at: int, end: int) -> bool:
    while at < end and classes[at] & SPACE:
        at += 1
    return at < end and (classes[at] & HAN) != 0
