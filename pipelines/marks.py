"""Where in a text stands what a signal counts: the characters a page highlights beside a verdict.

Most signals count pieces of a text: characters, words or lines. A piece is marked when the signal, measured of it
alone by the same kernel, is above 0, so what is marked is what was counted.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import pyarrow as pa
from numpy.lib.stride_tricks import sliding_window_view

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.signals.boilerplate import BoilerplateIndex
from ctllm.pipelines.signals.character_counts import count_characters
from ctllm.pipelines.signals.characters import classify, measure_characters
from ctllm.pipelines.signals.code import measure_code
from ctllm.pipelines.signals.line_forms import measure_line_forms
from ctllm.pipelines.signals.lines import hash_lines, measure_lines, split_lines
from ctllm.pipelines.signals.prose import measure_prose
from ctllm.pipelines.signals.sign_shares import measure_sign_shares
from ctllm.pipelines.signals.signs import find_signs
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.word_forms import measure_word_forms
from ctllm.pipelines.signals.words import measure_words, split_units, unit_bounds, units_of

Span = tuple[int, int]
"""First character and the one after the last."""

CHARACTER_SIGNALS = frozenset({
    "han_share", "digit_share", "punctuation_share", "symbol_share", "alnum_share", "hash_share",
    "replacement_share", "curly_bracket_share",
})  # fmt: skip
WORD_SIGNALS = frozenset({"non_alpha_word_share", "upper_case_word_share", "stop_word_share"})
LINE_SIGNALS = frozenset({
    "short_line_share", "menu_share", "end_mark_line_share", "bullet_line_share", "readmore_line_share",
    "brief_line_share", "ellipsis_line_share", "boilerplate_share", "c4_line_share", "data_line_share",
    "num_prose_chars", "prose_share",
})  # fmt: skip
PATTERNS = {
    "url_share": re.compile(r"(?:https?://|www\.)[!#-;=?-~]*", re.IGNORECASE),
    "ellipsis_share": re.compile(r"[…⋯]+|\.{3,}|。{3,}"),
    "bracket_share": re.compile(r"【[^】\n]{0,198}】"),
}
_LINE = re.compile(r"[^\n]*\S[^\n]*")
_PARAGRAPH = re.compile(r"\S(?:[^\n]|\n(?!\s*?\n))*")
_ODD = np.uint64(0x9E3779B97F4A7C15)  # of the golden ratio, Knuth, TAOCP 6.4
_NGRAM = re.compile(r"(top|duplicate)_(\d+)gram_share")


def find_marks(text: str, signal: str, *, vocabulary: SpamVocabulary) -> list[Span] | None:
    """What `signal` counts in `text`, in order, neighbours joined; None where a signal has no place in a text."""
    if signal in PATTERNS:
        return [match.span() for match in PATTERNS[signal].finditer(text)]
    if signal in _PIECES:
        return _measured_alone(text, _PIECES[signal](text), signal)
    if match := _NGRAM.fullmatch(signal):
        return _repeated_ngrams(text, int(match[2]), is_top=match[1] == "top")
    if signal in _BY_CONTEXT:
        return _BY_CONTEXT[signal](text)
    if signal in vocabulary.signals:
        return _joined(vocabulary.places(units_of([text]))[signal])
    return None


def _characters(text: str) -> list[Span]:
    return [(at, at + 1) for at in range(len(text))]


def _words(text: str) -> list[Span]:
    starts, ends = unit_bounds(text)
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _lines(text: str) -> list[Span]:
    return [match.span() for match in _LINE.finditer(text)]


_PIECES: dict[str, Callable[[str], list[Span]]] = {
    **dict.fromkeys(CHARACTER_SIGNALS, _characters),
    **dict.fromkeys(WORD_SIGNALS, _words),
    **dict.fromkeys(LINE_SIGNALS, _lines),
}


def _measured_alone(text: str, spans: Sequence[Span], signal: str) -> list[Span]:
    """The spans that are above 0 in `signal`, each measured as a text of its own."""
    pieces = sorted({text[start:end] for start, end in spans})
    if not pieces:
        return []
    values = dict(zip(pieces, _measure(pieces)[signal].tolist(), strict=True))
    return _joined(span for span in spans if values[text[slice(*span)]] > 0)


def _measure(pieces: list[str]) -> dict[str, np.ndarray]:
    """The signals of pieces, by the kernels that measure documents."""
    decoded = TextBatch.of(pa.array(pieces, pa.large_string()))
    codepoints, offsets = decoded.codepoints, decoded.offsets
    classes = classify(codepoints)
    lines = split_lines(codepoints, offsets, classes=classes)
    counts, signs = count_characters(codepoints, offsets), find_signs(codepoints, offsets)
    units = split_units(codepoints, offsets, classes=classes)
    return {
        **measure_characters(codepoints, offsets, counts, classes=classes),
        **measure_sign_shares(codepoints, offsets, signs),
        **measure_word_forms(codepoints, offsets, units, classes=classes, signs=signs),
        **measure_lines(codepoints, lines, classes=classes, hashes=hash_lines(codepoints, lines)),
        **measure_line_forms(codepoints, lines),
        **_boilerplate().measure(lines, units),
        **measure_prose(codepoints, lines, classes=classes, signs=signs),
        **measure_code(codepoints, lines, classes=classes),
        **measure_words(units),
    }


@cache
def _boilerplate() -> BoilerplateIndex:
    return BoilerplateIndex()


def _repeated_ngrams(text: str, size: int, *, is_top: bool) -> list[Span]:
    """Every occurrence of the n-gram that covers most, or all n-grams that stand earlier in the text too."""
    units = units_of([text])
    places_N, groups_N = _repeated(units.ids, size)
    if not len(places_N):
        return []
    is_later_N = np.append(False, groups_N[1:] == groups_N[:-1])
    if is_top:
        chars = np.append(0, np.cumsum(units.lengths))
        ends_N = chars[places_N + size]
        begins_N = np.maximum(chars[places_N], np.where(is_later_N, np.roll(ends_N, 1), 0))
        covered = np.bincount(groups_N, ends_N - begins_N)
        is_top_N = (covered == covered.max())[groups_N]
        first = groups_N[is_top_N][np.argmin(places_N[is_top_N])]  # of several the one that stands first
        chosen = places_N[groups_N == first]
    else:
        chosen = places_N[is_later_N]
    last = chosen + size - 1
    return _joined(zip(units.starts[chosen].tolist(), (units.starts + units.lengths)[last].tolist(), strict=True))


def _repeated(ids: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """First units of all n-grams that stand twice, and a number of each that equal ones share; by that and in order.

    N = such places. Equal up to 64-bit hashes.
    """
    if len(ids) < size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    factors = _ODD ** np.arange(1, size + 1, dtype=np.uint64)
    hashes = (sliding_window_view(ids, size) * factors).sum(axis=1, dtype=np.uint64)
    _, groups, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    order = np.argsort(groups, kind="stable")
    order = order[counts[groups[order]] > 1]
    return order, groups[order]


def _repeated_pieces(pattern: re.Pattern[str]) -> Callable[[str], list[Span]]:
    def find(text: str) -> list[Span]:
        seen: set[str] = set()
        spans = []
        for match in pattern.finditer(text):
            piece = "\n".join(line.strip() for line in match[0].strip().split("\n"))
            if piece in seen:
                spans.append(match.span())
            seen.add(piece)
        return spans

    return find


def _longest_line(text: str) -> list[Span]:
    """The first of the longest lines, indentation included."""
    longest = max(re.finditer(r"[^\n]+", text), key=lambda match: len(match[0]), default=None)
    return [longest.span()] if longest else []


_BY_CONTEXT: dict[str, Callable[[str], list[Span]]] = {
    "duplicate_line_share": _repeated_pieces(_LINE),
    "duplicate_paragraph_share": _repeated_pieces(_PARAGRAPH),
    "max_line_chars": _longest_line,
}


def _joined(spans: Iterable[Span]) -> list[Span]:
    """The spans in order; those that touch or overlap are one."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
