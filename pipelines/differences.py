"""Where two texts differ: sentence by sentence, then character by character within those that changed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_SENTENCE = re.compile(r"[^。！？!?.\n]*[。！？!?.\n]*")
_MAX_CHARS = 2000  # a changed passage beyond this is shown whole: comparing its characters takes seconds


@dataclass(frozen=True)
class Difference:
    """One passage that differs, with where it stands in the one and in the other text."""

    start: int
    other_start: int
    text: str
    """Empty where the other has something more."""
    other_text: str


def differences(one: str, other: str) -> list[Difference]:
    """The passages that differ, in order; none for equal texts."""
    pieces, other_pieces = _SENTENCE.findall(one), _SENTENCE.findall(other)
    found: list[Difference] = []
    start = other_start = 0
    for kind, first, last, other_first, other_last in _opcodes(pieces, other_pieces):
        text, other_text = "".join(pieces[first:last]), "".join(other_pieces[other_first:other_last])
        if kind != "equal":
            found += _within(text, other_text, start=start, other_start=other_start)
        start, other_start = start + len(text), other_start + len(other_text)
    return found


def _within(text: str, other_text: str, *, start: int, other_start: int) -> list[Difference]:
    if not text or not other_text or max(len(text), len(other_text)) > _MAX_CHARS:
        return [Difference(start, other_start, text, other_text)]
    return [
        Difference(start + first, other_start + other_first, text[first:last], other_text[other_first:other_last])
        for kind, first, last, other_first, other_last in _opcodes(text, other_text)
        if kind != "equal"
    ]


def _opcodes(one: Sequence[str], other: Sequence[str]) -> Sequence[tuple[str, int, int, int, int]]:
    return SequenceMatcher(None, one, other, autojunk=False).get_opcodes()
