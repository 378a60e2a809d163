"""How much of a text is written out: lines of sentences, verse or an unbroken run; not titles, entries, footers."""

from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import HAN, SENTENCE_WORD, SPACE
from ctllm.pipelines.signals.lines import Lines
from ctllm.pipelines.signals.signs import ASCII_COMMA, BEGINS_FOOTER, COMMA, FULL_STOP, STOP, Signs

CLAUSE_LINE_CHARS = 20  # a line with a comma but no full stop; titles of news are shorter; measured
VERSE_LINE_CHARS = (4, 14)  # a line of verse with a word that entries of menus do not hold
RUN_HAN_CHARS = 50  # Han characters without a break: a text that was never punctuated; menus have breaks
FOOTER_LINE_CHARS = 120  # a longer line that says such a phrase is a text; the footers read have up to 100
FOOTER_PHRASES = ("©", "copyright", "版权所有", "版權所有", "icp备", "rights reserved")

COLUMNS = ("num_prose_chars", "prose_share")


def measure_prose(codepoints: np.ndarray, lines: Lines, *, classes: np.ndarray, signs: Signs) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64. Whitespace does not count.

    A line is prose when it is no footer (at most 120 characters with a phrase of one) and has: a full stop (ASCII ones
    after no digit and before space or end), or a comma at its end, or a comma and 20 characters, or 50 Han characters
    without a break, or, without digits and Latin letters, 4 to 14 characters with a word of sentences.
    """
    values = np.zeros((2, len(lines.offsets) - 1))
    spans = lines.starts, lines.ends, lines.spaces, lines.kinds, lines.offsets
    _measure(codepoints, classes, signs.places, signs.kinds, *spans, *_footer_table(), values)
    return dict(zip(COLUMNS, values, strict=True))


@cache
def _footer_table() -> tuple[np.ndarray, np.ndarray]:
    codepoints = np.array([ord(each) for phrase in FOOTER_PHRASES for each in phrase], np.uint32)
    return codepoints, np.cumsum([0, *map(len, FOOTER_PHRASES)])


@kernel
def _measure(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    classes: np.ndarray,
    places: np.ndarray,
    kinds: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    spaces: np.ndarray,
    line_kinds: np.ndarray,
    offsets: np.ndarray,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
    out: np.ndarray,
) -> None:
    num_signs, sign = np.uint64(places.shape[0]), np.uint64(0)
    for text in range(offsets.shape[0] - 1):
        chars = prose = 0
        for line in range(np.uint64(offsets[text]), np.uint64(offsets[text + 1])):
            start, end, line_kind = starts[line], ends[line], line_kinds[line]
            length = end - start - spaces[line]
            while sign < num_signs and places[sign] < start:
                sign += np.uint64(1)
            first, found = sign, np.uint16(0)
            while sign < num_signs and places[sign] < end:  # neither slices nor a call for each: three times as fast
                kind, at = kinds[sign], np.int64(places[sign])
                if kind & FULL_STOP and at > start and not 0x30 <= codepoints[at - 1] <= 0x39:
                    kind |= np.uint16(STOP if at + 1 == end or classes[at + 1] & SPACE else 0)
                if kind & ASCII_COMMA and (at + 1 == end or not 0x30 <= codepoints[at + 1] <= 0x39):
                    kind |= np.uint16(COMMA)
                found |= kind
                sign += np.uint64(1)
            is_prose = found & STOP or (found & COMMA and length >= CLAUSE_LINE_CHARS)
            is_prose = is_prose or codepoints[end - 1] in (0xFF0C, 0x3001)  # verse breaks lines there, titles do not
            if not is_prose and line_kind & SENTENCE_WORD and VERSE_LINE_CHARS[0] <= length <= VERSE_LINE_CHARS[1]:
                is_prose = not _has_latin(codepoints, start, end)
            if not is_prose and line_kind & HAN and length >= RUN_HAN_CHARS:
                is_prose = _has_run(classes, start, end)
            if is_prose and found & BEGINS_FOOTER and length <= FOOTER_LINE_CHARS:
                is_prose = not _holds_phrase(codepoints, end, places, kinds, first, sign, phrases, phrase_offsets)
            chars += length
            prose += length if is_prose else 0
        out[0, text], out[1, text] = prose, prose / max(chars, 1)


@kernel
def _holds_phrase(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    end: int,
    places: np.ndarray,
    kinds: np.ndarray,
    first: np.uint64,
    stop: np.uint64,
    phrases: np.ndarray,
    phrase_offsets: np.ndarray,
) -> bool:
    """Whether a phrase of a footer begins at one of the signs of a line, from `first` on."""
    for sign in range(first, stop):
        if kinds[sign] & BEGINS_FOOTER and _begins_phrase(codepoints, places[sign], end, phrases, phrase_offsets):
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
