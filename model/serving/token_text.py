r"""Tokens as OpenAI's API writes them, and where in the answer each begins.

A token that is only a part of a character has no text: a chat writes `\xe6`, a completion `bytes:\xe6`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.vocabulary import SPACE

ASCII_END = 0x80


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    """What a token writes, in UTF-8; one byte for a byte piece."""
    piece = tokenizer.piece(token)
    if tokenizer.is_byte(token):
        return bytes([int(piece[3:-1], 16)])  # <0x0A>
    return piece.replace(SPACE, " ").encode()


def token_text(tokenizer: Tokenizer, token: int, *, byte_prefix: str = "") -> str:
    """The text of a token; bytes that are no text by themselves are written in hexadecimal after `byte_prefix`."""
    content = token_bytes(tokenizer, token)
    if _is_part(content):
        return byte_prefix + "".join(f"\\x{byte:02x}" for byte in content)
    return content.decode()


@dataclass
class TokenOffsets:
    """Places of the tokens of one answer in its text, in characters; goes on where the tokens before ended.

    All bytes of a character are at its place. Bytes that turn out to be no character count one each, as U+FFFD, from
    the token on that shows it.
    """

    tokenizer: Tokenizer
    num_chars: int = 0
    """Of the tokens so far, without those of an unfinished character."""
    _unfinished: bytes = b""

    def of(self, tokens: Iterable[int]) -> list[int]:
        """Where each of the next tokens begins."""
        return [self._next(token_bytes(self.tokenizer, token)) for token in tokens]

    def _next(self, content: bytes) -> int:
        if not _is_part(content):
            self.num_chars += len(self._unfinished)
            self._unfinished = b""
            start = self.num_chars
            self.num_chars += len(content.decode())
            return start
        while self._unfinished and not _can_follow(self._unfinished + content):
            self._unfinished = self._unfinished[1:]
            self.num_chars += 1
        start = self.num_chars
        self._unfinished += content
        if _is_text(self._unfinished) or not _can_follow(self._unfinished):
            self.num_chars += 1
            self._unfinished = b""
        return start


def _is_part(content: bytes) -> bool:
    return len(content) == 1 and content[0] >= ASCII_END


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _can_follow(content: bytes) -> bool:
    """Whether `content` is, or may become, one character."""
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True
