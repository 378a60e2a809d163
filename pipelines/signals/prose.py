"""How much of a text is written out: lines of sentences, verse or an unbroken run; not titles, entries, footers."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import HAN, SPACE
from ctllm.pipelines.signals.lines import Lines, sentence_table

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
    phrases = np.array([ord(each) for phrase in FOOTER_PHRASES for each in phrase], np.uint32)
    phrase_offsets = np.cumsum([0, *map(len, FOOTER_PHRASES)])
    lengths = np.zeros(len(lines.starts), np.int64)
    is_prose = np.zeros(len(lines.starts), np.bool_)
    _judge_lines(
        codepoints, classes, lines.starts, lines.ends, sentence_table(), phrases, phrase_offsets, lengths, is_prose
    )
    chars = np.diff(np.concatenate([[0], np.cumsum(lengths)])[lines.offsets])
    prose = np.diff(np.concatenate([[0], np.cumsum(lengths * is_prose)])[lines.offsets])
    return {"num_prose_chars": prose.astype(np.float64), "prose_share": prose / np.maximum(chars, 1)}


@kernel
def _judge_lines(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    classes: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    is_sentence_character: np.ndarray,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
    lengths: np.ndarray,
    is_prose: np.ndarray,
) -> None:
    """Characters of every line that are not whitespace, and whether it is prose; written into the last two."""
    for line in range(starts.shape[0]):
        start, end = starts[line], ends[line]
        num_chars, run, longest_run = 0, 0, 0
        has_stop, has_comma, has_word, has_latin = False, False, False, False
        for i in range(start, end):
            each = codepoints[i]
            run = run + 1 if classes[i] & HAN else 0
            longest_run = max(longest_run, run)
            num_chars += not (classes[i] & SPACE)
            has_word |= is_sentence_character[each]
            has_comma |= each in (0xFF0C, 0x3001) or (each == 0x2C and not _is_digit(codepoints, i + 1, end))
            has_stop |= each in (0x3002, 0xFF0E, 0xFF1B) or (
                each == 0x2E and i > start and not _is_digit(codepoints, i - 1, end) and _is_space(classes, i + 1, end)
            )
            has_latin |= 0x30 <= each <= 0x39 or 0x41 <= each <= 0x5A or 0x61 <= each <= 0x7A
        is_verse = has_word and not has_latin and VERSE_LINE_CHARS[0] <= num_chars <= VERSE_LINE_CHARS[1]
        goes_on = codepoints[end - 1] in (0xFF0C, 0x3001)  # verse breaks lines at commas, titles do not end in one
        is_clause = goes_on or (has_comma and num_chars >= CLAUSE_LINE_CHARS)
        written = has_stop or is_clause or is_verse or longest_run >= RUN_HAN_CHARS
        lengths[line] = num_chars
        is_footer = num_chars <= FOOTER_LINE_CHARS and _has_phrase(codepoints, start, end, phrases, phrase_offsets)
        is_prose[line] = written and not is_footer


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
