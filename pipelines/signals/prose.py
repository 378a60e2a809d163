"""How much of a text is written out: lines of sentences, verse or an unbroken run; not titles, entries, footers."""

from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import HAN, SENTENCE_MARK, SENTENCE_WORD, SPACE
from ctllm.pipelines.signals.lines import Lines

CLAUSE_LINE_CHARS = 20  # a line with a comma but no full stop; titles of news are shorter; measured
VERSE_LINE_CHARS = (4, 14)  # a line of verse with a word that entries of menus do not hold
RUN_HAN_CHARS = 50  # Han characters without a break: a text that was never punctuated; menus have breaks
FOOTER_LINE_CHARS = 120  # a longer line that says such a phrase is a text; the footers read have up to 100
FOOTER_PHRASES = ("©", "copyright", "版权所有", "版權所有", "icp备", "rights reserved")

COLUMNS = ("num_prose_chars", "prose_share")


def measure_prose(codepoints: np.ndarray, lines: Lines, *, classes: np.ndarray) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64. Whitespace does not count.

    A line is prose when it is no footer (at most 120 characters with a phrase of one) and has: a full stop (ASCII ones
    after no digit and before space or end), or a comma at its end, or a comma and 20 characters, or 50 Han characters
    without a break, or, without digits and Latin letters, 4 to 14 characters with a word of sentences.
    """
    lengths = lines.ends - lines.starts - lines.spaces
    is_prose = np.empty(len(lengths), np.bool_)
    spans = lines.starts, lines.ends, lines.kinds, lengths
    _judge_lines(codepoints, classes, *spans, *_footer_table(), is_prose)
    chars = np.diff(np.concatenate([[0], np.cumsum(lengths)])[lines.offsets])
    prose = np.diff(np.concatenate([[0], np.cumsum(lengths * is_prose)])[lines.offsets])
    return {"num_prose_chars": prose.astype(np.float64), "prose_share": prose / np.maximum(chars, 1)}


@cache
def _footer_table() -> tuple[np.ndarray, np.ndarray]:
    codepoints = np.array([ord(each) for phrase in FOOTER_PHRASES for each in phrase], np.uint32)
    return codepoints, np.cumsum([0, *map(len, FOOTER_PHRASES)])


@kernel
def _judge_lines(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    classes: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    kinds: np.ndarray,
    lengths: np.ndarray,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
    is_prose: np.ndarray,
) -> None:
    """Whether every line is prose, `lengths` being its characters that are not whitespace; written into the last."""
    for line in range(starts.shape[0]):
        start, end, length = starts[line], ends[line], lengths[line]
        written = False
        if kinds[line] & SENTENCE_MARK:
            written = (
                codepoints[end - 1] in (0xFF0C, 0x3001)  # verse breaks lines at commas, titles do not end in one
                or _has_stop(codepoints, classes, start, end)
                or (length >= CLAUSE_LINE_CHARS and _has_comma(codepoints, classes, start, end))
            )
        if not written and kinds[line] & SENTENCE_WORD and VERSE_LINE_CHARS[0] <= length <= VERSE_LINE_CHARS[1]:
            written = not _has_latin(codepoints, start, end)
        written = written or (length >= RUN_HAN_CHARS and kinds[line] & HAN and _has_run(classes, start, end))
        is_footer = (
            written and length <= FOOTER_LINE_CHARS and _has_phrase(codepoints, start, end, phrases, phrase_offsets)
        )
        is_prose[line] = written and not is_footer


@kernel
def _has_stop(codepoints: np.ndarray, classes: np.ndarray, start: int, end: int) -> bool:
    """Whether a full stop stands in the line; sought from the end, where most lines of prose have one."""
    for i in range(end - 1, start - 1, -1):
        if classes[i] & SENTENCE_MARK:
            each = codepoints[i]
            if each in (0x3002, 0xFF0E, 0xFF1B):
                return True
            if each == 0x2E and i > start and not _is_digit(codepoints, i - 1, end) and _is_space(classes, i + 1, end):
                return True
    return False


@kernel
def _has_comma(codepoints: np.ndarray, classes: np.ndarray, start: int, end: int) -> bool:
    for i in range(start, end):
        if classes[i] & SENTENCE_MARK:
            each = codepoints[i]
            if each in (0xFF0C, 0x3001) or (each == 0x2C and not _is_digit(codepoints, i + 1, end)):
                return True
    return False


@kernel
def _has_latin(codepoints: np.ndarray, start: int, end: int) -> bool:
    """Whether an ASCII letter or digit stands in the line."""
    found = False
    for i in range(start, end):
        found |= 0x30 <= codepoints[i] <= 0x39 or 0x61 <= codepoints[i] | 0x20 <= 0x7A
    return found


@kernel
def _has_run(classes: np.ndarray, start: int, end: int) -> bool:
    """Whether `RUN_HAN_CHARS` Han characters stand in a row: the last of every such stretch is looked at first."""
    while start + RUN_HAN_CHARS <= end:
        i = start + RUN_HAN_CHARS - 1
        while i >= start and classes[i] & HAN:
            i -= 1
        if i < start:
            return True
        start = i + 1
    return False


@kernel
def _is_digit(codepoints: np.ndarray, place: int, end: int) -> bool:
    return bool(place < end and 0x30 <= codepoints[place] <= 0x39)


@kernel
def _is_space(classes: np.ndarray, place: int, end: int) -> bool:
    return bool(place >= end or classes[place] & SPACE)


@kernel
def _has_phrase(codepoints: np.ndarray, start: int, end: int, phrases: np.ndarray, phrase_offsets: np.ndarray) -> bool:
    """Whether one of the phrases stands in the line, ASCII letters in either case."""
    for i in range(start, end):
        if not _may_begin_phrase(codepoints[i], codepoints[i + 1] if i + 1 < end else np.uint32(0)):
            continue
        for phrase in range(phrase_offsets.shape[0] - 1):
            length = phrase_offsets[phrase + 1] - phrase_offsets[phrase]
            matched = 0
            while matched < length and i + matched < end:
                each = codepoints[i + matched]
                lower = each + np.uint32(32) if 0x41 <= each <= 0x5A else each
                if lower != phrases[phrase_offsets[phrase] + matched]:
                    break
                matched += 1
            if matched == length:
                return True
    return False


@kernel
def _may_begin_phrase(first: int, second: int) -> bool:
    """Whether one of FOOTER_PHRASES may begin with these two."""
    lower, next_lower = first | 0x20, second | 0x20
    return bool(
        ((lower == 0x63) & (next_lower == 0x6F))  # co
        | ((lower == 0x69) & (next_lower == 0x63))  # ic
        | ((lower == 0x72) & (next_lower == 0x69))  # ri
        | (first == 0xA9)
        | (first == 0x7248)
    )
