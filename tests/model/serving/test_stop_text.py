"""What may be shown of an answer while it is written."""

import pytest

from ctllm.model.serving.stop_text import TextStream
from ctllm.model.tokenizer import Tokenizer

TEXT = "春天来了，the cat 𠮷 sat.\n\nEnd"


@pytest.fixture
def tokenizer(tokenizer_directory: str) -> Tokenizer:
    """Of 1,200 pieces: rare characters are bytes."""
    return Tokenizer(tokenizer_directory)


def written(stream: TextStream, text: str) -> list[str]:
    """The parts that a text comes in."""
    parts = []
    for token in stream.tokenizer.encode(text):
        parts.append(stream.add(token))
        if stream.is_stopped:
            break
    return [*parts, stream.finish()]


def test_parts_make_up_the_text(tokenizer: Tokenizer) -> None:
    """No part ends inside a character, and together they are the text."""
    parts = written(TextStream(tokenizer), TEXT)
    assert "".join(parts) == TEXT
    assert not any("\ufffd" in part for part in parts)
    assert sum(map(bool, parts)) > 5  # not all at once


def test_nothing_from_a_stop_on_is_shown(tokenizer: Tokenizer) -> None:
    """The first of the stops ends the text, even when it comes in several tokens, and no part shows its beginning."""
    stream = TextStream(tokenizer, ("cat 𠮷 sat", "\n\nE"))
    parts = written(stream, TEXT)
    assert ("".join(parts), stream.is_stopped) == ("春天来了，the ", True)
    stream = TextStream(tokenizer, ("cat 𠮷 sit",))
    assert ("".join(written(stream, TEXT)), stream.is_stopped) == (TEXT, False)


def test_unfinished_characters_are_shown_at_the_end(tokenizer: Tokenizer) -> None:
    """An answer cut inside a character shows the replacement character, at the end only."""
    stream = TextStream(tokenizer)
    tokens = tokenizer.encode("好𠮷")
    parts = [stream.add(token) for token in tokens[:-1]]
    assert "".join(parts) == "好"
    assert stream.finish().startswith("\ufffd")
