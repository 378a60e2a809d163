"""How much of a text is written out: lines of sentences, verse or an unbroken run; not titles, entries, footers."""

from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import HAN, SENTENCE_WORD, SPACE
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
    marks, places = np.zeros(len(codepoints), np.uint8), np.empty(len(codepoints) + 1, np.uint32)
    _mark(codepoints, classes, marks)
    places = places[: _list_places(marks, places)]
    spans = lines.starts, lines.ends, lines.kinds, lengths
    _judge_lines(codepoints, classes, marks, places, *spans, *_footer_table(), is_prose)
    chars = np.diff(np.concatenate([[0], np.cumsum(lengths)])[lines.offsets])
    prose = np.diff(np.concatenate([[0], np.cumsum(lengths * is_prose)])[lines.offsets])
    return {"num_prose_chars": prose.astype(np.float64), "prose_share": prose / np.maximum(chars, 1)}


@cache
def _footer_table() -> tuple[np.ndarray, np.ndarray]:
    codepoints = np.array([ord(each) for phrase in FOOTER_PHRASES for each in phrase], np.uint32)
    return codepoints, np.cumsum([0, *map(len, FOOTER_PHRASES)])


@kernel
def _mark(codepoints: np.ndarray, classes: np.ndarray, marks: np.ndarray) -> None:
    """What each character may be, by bits; those of texts' last characters do not count and are asked for again.

    Compares with the neighbours and without a branch, so that they run on vectors.
    """
    count = codepoints.shape[0] - 1
    if count < 0:
        return
    is_comma = count > 0 and codepoints[0] == 0x2C and not 0x30 <= codepoints[1] <= 0x39
    marks[0] = _mark_alone(codepoints[0]) | is_comma * _COMMA | _FOOTER
    marks[count] |= _mark_alone(codepoints[count])
    before, chars, after, kinds = codepoints[: count - 1], codepoints[1:count], codepoints[2:], classes[2:]
    out = marks[1:count]
    for i in range(count - 1):
        each, lower, next_lower = chars[i], chars[i] | 0x20, after[i] | 0x20
        is_dot = (each == 0x2E) & ((before[i] < 0x30) | (before[i] > 0x39)) & ((kinds[i] & SPACE) != 0)
        is_comma = (each == 0x2C) & ((after[i] < 0x30) | (after[i] > 0x39))
        begins = (  # copyright, icp备, rights reserved
            ((lower == 0x63) & (next_lower == 0x6F))
            | ((lower == 0x69) & (next_lower == 0x63))
            | ((lower == 0x72) & (next_lower == 0x69))
        )
        out[i] = _mark_alone(each) | is_dot * _DOT | is_comma * _COMMA | begins * _FOOTER


_STOP, _COMMA, _DOT, _FOOTER = (
    1,
    2,
    4,
    8,
)  # a full stop that needs no neighbour, a comma, an ASCII one, a phrase's begin


@kernel
def _mark_alone(each: int) -> np.uint8:
    """The bits that do not depend on the neighbours."""
    return np.uint8(
        ((each == 0x3002) | (each == 0xFF0E) | (each == 0xFF1B)) * _STOP
        | ((each == 0xFF0C) | (each == 0x3001)) * _COMMA
        | ((each == 0xA9) | (each == 0x7248)) * _FOOTER
    )


@kernel
def _list_places(marks: np.ndarray, places: np.ndarray) -> int:
    """Writes where a mark stands; how many they are."""
    used = np.uint64(0)
    for i in range(marks.shape[0]):
        places[used] = i
        used += np.uint64(marks[i] != 0)
    return int(used)


@kernel
def _judge_lines(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    classes: np.ndarray,
    marks: np.ndarray,
    places: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    kinds: np.ndarray,
    lengths: np.ndarray,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
    is_prose: np.ndarray,
) -> None:
    """Whether every line is prose, `lengths` being its characters that are not whitespace; written into the last."""
    place = 0
    for line in range(starts.shape[0]):
        start, end, length = starts[line], ends[line], lengths[line]
        while place < places.shape[0] and places[place] < start:
            place += 1
        first_place, found = place, _mark_of_last(codepoints, start, end)
        while place < places.shape[0] and places[place] < end - 1:
            mark = marks[places[place]]
            found |= mark if places[place] > start else mark & ~_DOT
            place += 1
        goes_on = codepoints[end - 1] in (0xFF0C, 0x3001)  # verse breaks lines at commas, titles do not end in one
        written = goes_on or found & (_STOP | _DOT) or (found & _COMMA and length >= CLAUSE_LINE_CHARS)
        if not written and kinds[line] & SENTENCE_WORD and VERSE_LINE_CHARS[0] <= length <= VERSE_LINE_CHARS[1]:
            written = not _has_latin(codepoints, start, end)
        written = written or (length >= RUN_HAN_CHARS and kinds[line] & HAN and _has_run(classes, start, end))
        if written and length <= FOOTER_LINE_CHARS:
            written = codepoints[end - 1] != 0xA9
            for k in range(first_place, place):
                if marks[places[k]] & _FOOTER and _begins_phrase(codepoints, places[k], end, phrases, phrase_offsets):
                    written = False
        is_prose[line] = written


@kernel
def _mark_of_last(codepoints: np.ndarray, start: int, end: int) -> int:
    """The bits of a line's last character."""
    each = codepoints[end - 1]
    before = codepoints[end - 2] if end - 2 >= start else np.uint32(0x30)  # a full stop alone is none
    is_dot = each == 0x2E and not 0x30 <= before <= 0x39
    return int(_mark_alone(each) | is_dot * _DOT | (each == 0x2C) * _COMMA)


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
def _begins_phrase(
    codepoints: np.ndarray, place: int, end: int, phrases: np.ndarray, phrase_offsets: np.ndarray
) -> bool:
    """Whether one of the phrases begins at `place` of a line, ASCII letters in either case."""
    for phrase in range(phrase_offsets.shape[0] - 1):
        length = phrase_offsets[phrase + 1] - phrase_offsets[phrase]
        matched = 0
        while matched < length and place + matched < end:
            each = codepoints[place + matched]
            lower = each + np.uint32(32) if 0x41 <= each <= 0x5A else each
            if lower != phrases[phrase_offsets[phrase] + matched]:
                break
            matched += 1
        if matched == length:
            return True
    return False
