"""Answers of a model behind an endpoint, one JSON line each: a job that was killed asks only for what is missing.

    {"request": "3f…", "body": {…}, "repeat": 0, "reply": {…}}      an answer, exactly as the server sent it
    {"request": "8a…", "body": {…}, "repeat": 0, "error": "…"}      a request that failed; it is asked again next time

The request digest covers model, messages, parameters and `repeat`, not the address: a server may move.
"""

import fcntl
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ctllm.schemas.errors import OutputError
from ctllm.schemas.files import output_errors

Message = Mapping[str, str]
"""`role` and `content`."""


@dataclass(frozen=True)
class ChatRequest:
    """What is asked. Equal requests have one answer; `repeat` numbers those that are to be answered anew."""

    messages: tuple[Message, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Further keys of the body: temperature, max_tokens, top_p, seed."""
    repeat: int = 0

    def body(self, model: str) -> dict[str, Any]:
        """The JSON body for `model`."""
        return {"model": model, "messages": [dict(message) for message in self.messages], **self.parameters}

    def digest(self, model: str) -> str:
        """32 hex digits that change when, and only when, something that decides the answer changes."""
        canonical = json.dumps([self.body(model), self.repeat], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Reply:
    """What came of a request: a text, or the reason why there is none."""

    request: str
    """Digest of the request: its line in the cache has the raw reply."""
    text: str | None
    ended_by: str | None = None
    """`finish_reason` of the server: stop, length, content_filter ..."""
    model: str | None = None
    """Which model the server says that it was."""
    error: str | None = None


class UnusableReplyError(Exception):
    """What came back is no chat completion."""


def read_reply(request: str, body: object) -> Reply:
    """The reply in the JSON of a chat completion. Raises UnusableReplyError saying what is wrong with it."""
    try:
        choice = body["choices"][0]  # type: ignore[index]
        text = choice["message"]["content"]
    except (KeyError, IndexError, TypeError) as error:
        raise UnusableReplyError(f"no choices[0].message.content in {json.dumps(body)[:200]}") from error
    if not isinstance(text, str):
        raise UnusableReplyError(f"choices[0].message.content is {json.dumps(text)[:200]}, not a text")
    model = body.get("model")  # type: ignore[attr-defined]
    ended_by = choice.get("finish_reason")
    return Reply(request, text, ended_by=str(ended_by) if ended_by else None, model=str(model) if model else None)


class AnswerCache:
    """The answers in the file at `path`; one process at a time. A line that a kill cut short is dropped."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._places: dict[str, int] = {}

    def __enter__(self) -> Self:
        """Raises OutputError when another process has the file or it cannot be written."""
        with output_errors(self.path):
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._file = Path(self.path).open("a+b")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise OutputError(
                f"{self.path}: another process writes to it; wait for it or choose another file"
            ) from error
        self._read()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Requests that have an answer."""
        return len(self._places)

    def get(self, request: str) -> Reply | None:
        """The answer to the request of this digest, None where there is none yet."""
        if (place := self._places.get(request)) is None:
            return None
        self._file.seek(place)
        return read_reply(request, json.loads(self._file.readline())["reply"])

    def add(self, request: ChatRequest, *, model: str, reply: object = None, error: str | None = None) -> None:
        """Appends an answer, or why there is none, and hands it to the operating system."""
        digest = request.digest(model)
        outcome = {"reply": reply} if error is None else {"error": error}
        line = {"request": digest, "body": request.body(model), "repeat": request.repeat, **outcome}
        place = self._file.seek(0, 2)
        with output_errors(self.path):
            self._file.write(json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
            self._file.flush()
        if error is None:
            self._places[digest] = place

    def _read(self) -> None:
        self._file.seek(0)
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                read_reply(entry["request"], entry["reply"])
                self._places[entry["request"]] = end
            except (ValueError, KeyError, TypeError, UnusableReplyError):
                pass  # a failure, or a line that somebody broke: the request is asked again
            end += len(line)
        self._file.truncate(end)


class HasAnswerCache:
    """Asks a model through a cache. A context manager: the cache is open inside the block."""

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache

    def __enter__(self) -> Self:
        """Raises OutputError when another process has the cache."""
        self._cache.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cache.__exit__(kind, error, trace)
