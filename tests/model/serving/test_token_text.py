"""Tokens as texts and places."""

import pytest

from ctllm.model.serving.token_text import TokenOffsets, token_bytes, token_text
from ctllm.model.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tokenizer_directory: str) -> Tokenizer:
    """The tokenizer of the tests' checkpoints."""
    return Tokenizer(tokenizer_directory)


def byte_tokens(tokenizer: Tokenizer, content: bytes) -> list[int]:
    """The byte pieces of `content`."""
    return [tokenizer.processor.piece_to_id(f"<0x{byte:02X}>") for byte in content]


def test_a_token_is_the_bytes_that_it_writes(tokenizer: Tokenizer) -> None:
    """A character without a piece comes as byte pieces, each one byte of its UTF-8; spaces are spaces."""
    for text in ("𠮷", "a b", "春天\n"):
        assert b"".join(token_bytes(tokenizer, token) for token in tokenizer.encode(text)).decode() == text


def test_bytes_that_are_no_text_are_written_out(tokenizer: Tokenizer) -> None:
    """As OpenAI's API does: in hexadecimal, after `bytes:` where asked; a byte that is a character stays it."""
    newline, part = byte_tokens(tokenizer, b"\n\xe6")
    assert token_text(tokenizer, newline, byte_prefix="bytes:") == "\n"
    assert token_text(tokenizer, part) == r"\xe6"
    assert token_text(tokenizer, part, byte_prefix="bytes:") == r"bytes:\xe6"
    assert token_text(tokenizer, tokenizer.encode("的")[0]) == "的"


@pytest.mark.parametrize("text", ["春天", "𠮷𠮷 a𠮷b", "é𠮷\n\n春", ""])
def test_a_token_begins_where_its_first_byte_is(tokenizer: Tokenizer, text: str) -> None:
    """Oracle: the characters whose last byte stands before the token's first one."""
    tokens = [*tokenizer.encode(text), *byte_tokens(tokenizer, text.encode())]
    contents = [token_bytes(tokenizer, token) for token in tokens]
    places = [sum(map(len, contents[:number])) for number in range(len(contents))]
    expected = [len((text + text).encode()[:place].decode("utf-8", "ignore")) for place in places]
    assert TokenOffsets(tokenizer).of(tokens) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\x80\x80", [0, 1]),
        (b"\xe6\x98", [0, 0]),
        (b"\xe6\xe6\x98\xa5", [0, 1, 1, 1]),
        (b"\xff\xe6\x98\xa5", [0, 1, 1, 1]),
        (b"\xe6\x98\xe6\x98\xa5", [0, 0, 2, 2, 2]),
    ],
)
def test_bytes_that_are_no_character_count_one_each(tokenizer: Tokenizer, content: bytes, expected: list[int]) -> None:
    """What follows broken bytes has its place in the text that the tokenizer makes of them."""
    tokens = [*byte_tokens(tokenizer, content), *tokenizer.encode("的")]
    offsets = TokenOffsets(tokenizer).of(tokens)
    assert offsets[:-1] == expected
    assert tokenizer.decode(tokens)[offsets[-1] :] == "的"
