"""Answers as OpenAI's API words them: whole objects and the chunks of a stream, for chats and for completions."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ctllm.model.serving.engine import Finished, Piece, TokenScore
from ctllm.model.serving.token_text import TokenOffsets, token_bytes, token_text
from ctllm.model.tokenizer import Tokenizer


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
            written.append({"index": index, **text, **self._end(choice.scores, choice.finished, self.offsets())})
        kind = "chat.completion" if self.is_chat else "text_completion"
        return {**self._head(kind), "choices": written, "usage": self._usage(choices)}

    def opening(self, index: int) -> dict[str, Any] | None:
        """The first chunk of a chat's choice, which names the role; a completion has none."""
        delta = {"role": "assistant", "content": ""}
        end = self._end([], None, self.offsets())
        return self._chunk({"index": index, "delta": delta, **end}) if self.is_chat else None

    def offsets(self) -> TokenOffsets:
        """Where the tokens of a new choice begin."""
        return TokenOffsets(self.tokenizer)

    def chunk(self, index: int, event: Piece | Finished, offsets: TokenOffsets) -> dict[str, Any]:
        """What is streamed for an event; `offsets` are those of the choice, and move on."""
        is_end = isinstance(event, Finished)
        text = "" if isinstance(event, Finished) else event.text
        scores = () if isinstance(event, Finished) else event.scores
        part: dict[str, Any] = {"delta": {} if is_end else {"content": text}} if self.is_chat else {"text": text}
        finished = event if isinstance(event, Finished) else None
        return self._chunk({"index": index, **part, **self._end(scores, finished, offsets)})

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

    def _end(self, scores: Sequence[TokenScore], finished: Finished | None, offsets: TokenOffsets) -> dict[str, Any]:
        written = None
        if self.has_scores and (scores or finished is None):
            written = self._chat_scores(scores) if self.is_chat else self._completion_scores(scores, offsets)
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
        text, content = token_text(self.tokenizer, token), token_bytes(self.tokenizer, token)
        return {"token": text, "logprob": log_probability, "bytes": list(content)}

    def _completion_scores(self, scores: Sequence[TokenScore], offsets: TokenOffsets) -> dict[str, Any]:
        return {
            "tokens": [self._text(score.token) for score in scores],
            "token_logprobs": [score.log_probability for score in scores],
            "top_logprobs": [{self._text(token): value for token, value in score.top} for score in scores],
            "text_offset": offsets.of(score.token for score in scores),
        }

    def _text(self, token: int) -> str:
        return token_text(self.tokenizer, token, byte_prefix="bytes:")
