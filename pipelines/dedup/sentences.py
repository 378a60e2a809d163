"""Where sentences begin and end: as the CT-LLM authors cut them, and the written-out ones of prose.

S = sentences of a batch.
"""

from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.batch import kernel, places_of


@dataclass(frozen=True)
class Sentences:
    """Spans of a batch's code points, in order and apart from each other."""

    starts_S: np.ndarray
    """int64"""
    ends_S: np.ndarray
    """int64; the one after the last"""
    offsets: np.ndarray
    """(texts + 1,), int64: the sentences of each text"""

    def only(self, chosen_S: np.ndarray) -> "Sentences":
        """Those that are `chosen_S` (S,), bool."""
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(chosen_S)])[self.offsets]
        return Sentences(self.starts_S[chosen_S], self.ends_S[chosen_S], offsets)


def cut_as_ctllm(codepoints: np.ndarray, offsets: np.ndarray) -> Sentences:
    r"""The authors' sentences: cut after `. ! ? 。 ！ ？ … \ ] 】` and before `[ 【`, never at a line break."""
    starts_S = np.empty(len(codepoints), np.int64)
    sentence_offsets = np.empty(len(offsets), np.int64)
    used = _cut_as_ctllm(codepoints, offsets, starts_S, sentence_offsets)
    bounds = np.append(starts_S[:used], len(codepoints))
    return Sentences(bounds[:-1], bounds[1:], sentence_offsets)


def list_marks(codepoints: np.ndarray) -> np.ndarray:
    """Places of the characters that end a line, or may end a sentence: (marks,), int64, ascending."""
    may_end = np.empty(len(codepoints), np.bool_)
    _may_end(codepoints, may_end)
    return places_of(may_end)


def cut_prose(codepoints: np.ndarray, offsets: np.ndarray, *, marks: np.ndarray, min_chars: int) -> Sentences:
    """Sentences of at least `min_chars` characters that end in `。 ！ ？ … ! ?`, or in `.` before white space.

    `marks` are those of `list_marks`.

    Closing quotes and brackets belong to them, white space around them does not; a line break ends what has no mark.
    What is not such a sentence (headings, verse without marks, entries, code) is in none.
    """
    starts_S, ends_S = (np.empty(len(codepoints) // max(min_chars, 1) + 1, np.int64) for _ in range(2))
    sentence_offsets = np.empty(len(offsets), np.int64)
    used = _cut_prose(codepoints, offsets, marks, min_chars, starts_S, ends_S, sentence_offsets)
    return Sentences(starts_S[:used], ends_S[:used], sentence_offsets)


@kernel
def _cut_as_ctllm(
    codepoints: np.ndarray, offsets: np.ndarray, starts_S: np.ndarray, sentence_offsets: np.ndarray
) -> int:
    closes, opens = np.zeros(128, np.bool_), np.zeros(128, np.bool_)
    for mark in (0x2E, 0x21, 0x3F, 0x5C, 0x5D):  # . ! ? \ ]
        closes[mark] = True
    opens[0x5B] = True  # [
    used = 0
    sentence_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        is_start = True
        for i in range(offsets[text], offsets[text + 1]):
            c = codepoints[i]
            if c < 128:
                is_open, is_close = opens[c], closes[c]
            else:
                is_open = c == 0x3010  # 【
                is_close = (c == 0x3002) | (c == 0xFF01) | (c == 0xFF1F) | (c == 0x2026) | (c == 0x3011)  # 。！？…】
            if is_start | is_open:
                starts_S[used] = i
                used += 1
            is_start = is_close
        sentence_offsets[text + 1] = used
    return used


@kernel
def _may_end(codepoints: np.ndarray, found: np.ndarray) -> None:
    """Whether a character may end a sentence or a line, apart from what stands beside it; on vectors."""
    for i in range(codepoints.shape[0]):
        c = codepoints[i]
        is_ascii = (c == 0x0A) | (c == 0x21) | (c == 0x2E) | (c == 0x3F)
        found[i] = is_ascii | (c == 0x2026) | (c == 0x3002) | (c == 0xFF01) | (c == 0xFF1F)


@kernel
def _cut_prose(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    marks: np.ndarray,
    min_chars: int,
    starts_S: np.ndarray,
    ends_S: np.ndarray,
    sentence_offsets: np.ndarray,
) -> int:
    used = mark = 0
    sentence_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        stop = offsets[text + 1]
        start = _skip_space(codepoints, offsets[text], stop)
        while mark < marks.shape[0] and marks[mark] < stop:
            i = marks[mark]
            mark += 1
            if i < start:
                continue
            if codepoints[i] == 0x0A:
                start = _skip_space(codepoints, i, stop)
            elif _is_end(codepoints, i, stop):
                while i < stop and (_is_end(codepoints, i, stop) or _is_closer(codepoints[i])):
                    i += 1
                if i - start >= min_chars:
                    starts_S[used], ends_S[used] = start, i
                    used += 1
                start = _skip_space(codepoints, i, stop)
        sentence_offsets[text + 1] = used
    return used


@kernel
def _skip_space(codepoints: np.ndarray, i: int, stop: int) -> int:
    while i < stop and _is_space(codepoints[i]):
        i += 1
    return i


@kernel
def _is_end(codepoints: np.ndarray, i: int, stop: int) -> bool:
    c = codepoints[i]
    if c == 0x2E:  # .
        return bool(i + 1 == stop or _is_space(codepoints[i + 1]))
    return c in (0x21, 0x3F, 0x3002, 0xFF01, 0xFF1F, 0x2026)  # ! ? 。 ！ ？ …


@kernel
def _is_closer(c: int) -> bool:
    return c in (
        0x22,
        0x27,
        0x29,
        0x5D,
        0x201D,
        0x2019,
        0x300D,
        0x300F,
        0x3011,
        0xFF09,
        0x300B,
    )  # " ' ) ] ” ’ 」 』 】 ） 》


@kernel
def _is_space(c: int) -> bool:
    return c in (0x20, 0x3000, 0xA0) or 0x09 <= c <= 0x0D
