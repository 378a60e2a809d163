"""Tokens to text as they come: nothing is shown that a later token could change, and nothing after a stop."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ctllm.model.tokenizer import Tokenizer

REPLACEMENT = "\ufffd"
"""What bytes decode to that are not UTF-8, so also the first bytes of a character whose last are still to come."""


@dataclass
class TextStream:
    """The text of one answer. Feed tokens with `add`, end with `finish`; each returns the text that became certain."""

    tokenizer: Tokenizer
    stops: Sequence[str] = ()
    """Texts that end the answer; they are not part of it."""
    tokens: list[int] = field(default_factory=list)
    shown: str = ""
    is_stopped: bool = False
    """One of `stops` was written."""

    def add(self, token: int) -> str:
        """The new part of the text, "" while it is not certain or the text has been stopped."""
        self.tokens.append(token)
        return self._show(is_last=False)

    def finish(self) -> str:
        """What was held back and is now certain, as no token follows."""
        return self._show(is_last=True)

    def _show(self, *, is_last: bool) -> str:
        if self.is_stopped:
            return ""
        text = self.tokenizer.decode(self.tokens)
        places = [place for stop in self.stops if (place := text.find(stop)) >= 0]
        if places:
            self.is_stopped = True
            certain = text[: min(places)]
        else:
            certain = text if is_last else self._certain(text)
        new = certain[len(self.shown) :]
        self.shown += new
        return new

    def _certain(self, text: str) -> str:
        """`text` without an unfinished character and without what may be the beginning of a stop."""
        text = text.rstrip(REPLACEMENT)
        longest = max((len(stop) for stop in self.stops), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self.stops):
                return text[:-length]
        return text
