"""Answers as OpenAI's API words them: whole objects and the chunks of a stream, for chats and for completions."""

import itertools
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ctllm.model.serving.engine import Finished, Piece, TokenScore
from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.vocabulary import SPACE


@dataclass
class ChoiceText:
    """One choice as it grows."""

    text: str = ""
    scores: list[TokenScore] = field(default_factory=list)
    finished: Finished | None = None

    def add(self, event: Piece | Finished) -> None:
        """Takes in an event."""
        if isinstance(event, Finished):
            self.finished = event
        else:
            self.text += event.text
            self.scores += event.scores


@dataclass(frozen=True)
class ReplyForm:
    """What all parts of one reply share: its identity, its kind, and how log-probabilities are written."""

    model: str
    is_chat: bool
    has_scores: bool
    num_prompt_tokens: int
    tokenizer: Tokenizer
    identity: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, choices: Sequence[ChoiceText]) -> dict[str, Any]:
        """The reply that is not streamed."""
        written = []
        for index, choice in enumerate(choices):
            text: dict[str, Any] = {"text": choice.text}
            if self.is_chat:
                text = {"message": {"role": "assistant", "content": choice.text, "refusal": None}}
            written.append({"index": index, **text, **self._end(choice.scores, choice.finished)})
        kind = "chat.completion" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": written, "usage": self._usage(choices)}

    def opening(self, index: int) -> dict[str, Any] | None:
        """The first chunk of a chat's choice, which names the role; a completion has none."""
        delta = {"role": "assistant", "content": ""}
        return self._chunk({"index": index, "delta": delta, **self._end([], None)}) if self.is_chat else None

    def chunk(self, index: int, event: Piece | Finished, *, start: int = 0) -> dict[str, Any]:
        """What is streamed for an event; `start` are the characters of the choice's tokens before it."""
        is_end = isinstance(event, Finished)
        text = "" if isinstance(event, Finished) else event.text
        scores = () if isinstance(event, Finished) else event.scores
        part: dict[str, Any] = {"delta": {} if is_end else {"content": text}} if self.is_chat else {"text": text}
        finished = event if isinstance(event, Finished) else None
        return self._chunk({"index": index, **part, **self._end(scores, finished, start=start)})

    def usage_chunk(self, choices: Sequence[ChoiceText]) -> dict[str, Any]:
        """The chunk after the last that `stream_options.include_usage` asks for."""
        return {**self._chunk(None), "usage": self._usage(choices)}

    def _chunk(self, choice: dict[str, Any] | None) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": [] if choice is None else [choice]}

    def _head(self, kind: str) -> dict[str, Any]:
        prefix = "chatcmpl" if self.is_chat else "cmpl"
        return {"id": f"{prefix}-{self.identity}", "object": kind, "created": self.created, "model": self.model}

    def _usage(self, choices: Sequence[ChoiceText]) -> dict[str, int]:
        drawn = sum(choice.finished.num_tokens for choice in choices if choice.finished)
        prompt = self.num_prompt_tokens
        return {"prompt_tokens": prompt, "completion_tokens": drawn, "total_tokens": prompt + drawn}

    def num_chars(self, scores: Sequence[TokenScore]) -> int:
        """Of the texts of these tokens."""
        return sum(len(self._text(score.token)) for score in scores)

    def _end(self, scores: Sequence[TokenScore], finished: Finished | None, *, start: int = 0) -> dict[str, Any]:
        written = None
        if self.has_scores and (scores or finished is None):
            written = self._chat_scores(scores) if self.is_chat else self._completion_scores(scores, start=start)
        return {"logprobs": written, "finish_reason": finished.reason if finished else None}

    def _chat_scores(self, scores: Sequence[TokenScore]) -> dict[str, Any]:
        content = [
            {
                **self._token(score.token, score.log_probability),
                "top_logprobs": [self._token(token, value) for token, value in score.top],
            }
            for score in scores
        ]
        return {"content": content, "refusal": None}

    def _token(self, token: int, log_probability: float) -> dict[str, Any]:
        content = token_bytes(self.tokenizer, token)
        return {"token": content.decode("utf-8", "replace"), "logprob": log_probability, "bytes": list(content)}

    def _completion_scores(self, scores: Sequence[TokenScore], *, start: int) -> dict[str, Any]:
        texts = [self._text(score.token) for score in scores]
        offsets = list(itertools.accumulate(map(len, texts), initial=start))[:-1]
        return {
            "tokens": texts,
            "token_logprobs": [score.log_probability for score in scores],
            "top_logprobs": [{self._text(token): value for token, value in score.top} for score in scores],
            "text_offset": offsets,
        }

    def _text(self, token: int) -> str:
        return token_bytes(self.tokenizer, token).decode("utf-8", "replace")


def token_bytes(tokenizer: Tokenizer, token: int) -> bytes:
    """What a token writes, in UTF-8; one byte for a byte piece."""
    piece = tokenizer.piece(token)
    if tokenizer.is_byte(token):
        return bytes([int(piece[3:-1], 16)])  # <0x0A>
    return piece.replace(SPACE, " ").encode()
