"""A window of text around a candidate: what finders look at, so that no pattern runs over a whole document."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Span = tuple[int, int]
"""Characters of the text: first, and one after the last."""

_HALF_WIDTH = {0xFF01 + at: 0x21 + at for at in range(94)} | {0x3000: 0x20}


@dataclass(frozen=True)
class Window:
    """Part of a text, full-width letters and digits read as ASCII: one character stays one character."""

    text: str
    origin: int
    """Where the part begins in the text."""
    start: int
    """Where the candidate begins in the part."""
    end: int
    """Where it ends in the part."""

    @classmethod
    def around(cls, text: str, start: int, end: int, *, before: int = 80, after: int = 120) -> "Window":
        """The window around characters `start` to `end` of `text`, with so many before and after."""
        origin = max(0, start - before)
        part = text[origin : end + after]
        if not part.isascii():
            part = part.translate(_HALF_WIDTH)
        return cls(part, origin, start - origin, end - origin)

    def before(self, at: int, num_chars: int) -> str:
        """Up to so many characters before `at` on its line."""
        return self.text[max(0, at - num_chars) : at].rpartition("\n")[2]


Finder = Callable[[Window], Iterator[Span]]
"""Spans in the window's own characters."""
