"""A client of any OpenAI-compatible server for many chats: patient, bounded, and never asking the same thing twice.

    with OpenAIClient(EndpointConfig(base_url=…, model=…), cache="answers.jsonl") as client:
        replies = client.answer_all([ChatRequest(({"role": "user", "content": "你好"},), {"temperature": 0})])

Every answer is appended to the cache before the next is asked for, so a job that was killed goes on where it stood. A
request that fails (time out, refusal, garbage) is tried again with growing pauses, then comes back as a reply with an
error. A server that wants another key, or that fails many times in a row, ends the job with a StageError.
"""

import asyncio
import json
import random
from collections.abc import Sequence

import httpx

from ctllm.model.answer_cache import AnswerCache, ChatRequest, HasAnswerCache, Reply, UnusableReplyError, read_reply
from ctllm.schemas.endpoint_config import EndpointConfig
from ctllm.schemas.errors import CtllmError, StageError
from ctllm.schemas.progress import Progress, ProgressEvent, silent

MAX_REPLY_BYTES = 16 << 20  # chosen: a hundred times the longest answer; a server that never ends fills no memory
TRANSIENT = frozenset({408, 409, 425, 429, *range(500, 600)})
REFUSING = {401: "wants a valid key", 404: "knows no such model or path"}
"""Answers that every further request would get too. (Some servers say 403 to a single text that they dislike.)"""


class _FailedTryError(Exception):
    """One try failed; `is_final` when another would fail alike."""

    def __init__(self, message: str, *, wait_s: float | None = None, is_final: bool = False) -> None:
        super().__init__(message)
        self.wait_s, self.is_final = wait_s, is_final


class OpenAIClient(HasAnswerCache):
    """Asks one server for many answers. A context manager: the cache is open inside the block."""

    def __init__(
        self, config: EndpointConfig, *, cache: str, stage: str = "answers", progress: Progress = silent
    ) -> None:
        """Raises ConfigError when the variable of the key is not set."""
        super().__init__(AnswerCache(cache))
        self.config, self._stage, self._progress = config, stage, progress
        self._key = config.read_api_key()
        self._done = self._failures_in_row = 0

    def answer_all(self, requests: Sequence[ChatRequest]) -> list[Reply]:
        """One reply per request, in their order; what the cache has is not asked.

        Raises StageError when the server refuses the key or the model, or fails `max_failures_in_row` times.
        """
        return asyncio.run(self._answer_all(requests))

    async def _answer_all(self, requests: Sequence[ChatRequest]) -> list[Reply]:
        digests = [request.digest(self.config.model) for request in requests]
        missing = {
            digest: request
            for digest, request in zip(digests, requests, strict=True)
            if self._cache.get(digest) is None
        }
        failed: dict[str, Reply] = {}
        self._failures_in_row, self._done = 0, len(requests) - len(missing)
        self._report(len(requests), message=f"{self._done} of {len(requests)} answers are there already")
        waiting = iter(missing.items())
        limits = httpx.Limits(max_connections=self.config.max_concurrent)
        async with httpx.AsyncClient(timeout=self.config.timeout_s, headers=self._headers(), limits=limits) as http:

            async def work() -> None:
                for digest, request in waiting:  # shared: each worker takes the next
                    reply = await self._answer(http, request, digest)
                    if reply.error is not None:
                        failed[digest] = reply
                    self._done += 1
                    self._report(len(requests))

            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(min(self.config.max_concurrent, len(missing))):
                        group.create_task(work())
            except* CtllmError as errors:
                raise errors.exceptions[0] from None
        return [failed.get(digest) or self._cached(digest) for digest in digests]

    def _cached(self, digest: str) -> Reply:
        reply = self._cache.get(digest)
        assert reply is not None, "answered or failed: nothing else is left"
        return reply

    async def _answer(self, http: httpx.AsyncClient, request: ChatRequest, digest: str) -> Reply:
        """The reply; written to the cache, with its error where there was no answer."""
        error = ""
        for number in range(1, self.config.max_tries + 1):
            try:
                async with asyncio.timeout(self.config.timeout_s):
                    body = await self._try(http, request)
                reply = read_reply(digest, body)
            except _FailedTryError as failure:
                error, wait_s = str(failure), failure.wait_s
                if failure.is_final:
                    break
            except UnusableReplyError as failure:
                error, wait_s = str(failure), None
            except TimeoutError:
                error, wait_s = f"no whole answer within {self.config.timeout_s:g} s", None
            else:
                self._cache.add(request, model=self.config.model, reply=body)
                self._failures_in_row = 0
                return reply
            if number < self.config.max_tries:
                await asyncio.sleep(self._pause_s(number, asked_s=wait_s))
        return self._fail(request, digest, error)

    async def _try(self, http: httpx.AsyncClient, request: ChatRequest) -> object:
        """The JSON that one request brings. Raises _FailedTryError, or StageError where every request would fail."""
        try:
            async with http.stream(
                "POST", f"{self.config.base_url}/chat/completions", json=request.body(self.config.model)
            ) as response:
                content = self._without_key(await _read(response))
        except httpx.HTTPError as error:
            raise _FailedTryError(f"{type(error).__name__} {error}".strip()) from error
        shown = content[:300].decode("utf-8", "replace")
        status = response.status_code
        if status in REFUSING:
            way_out = "check api_key_env, model and base_url; answers so far stay and a re-run continues"
            raise StageError(f"{self.config.base_url}: HTTP {status}, it {REFUSING[status]}: {shown}; {way_out}")
        if status in TRANSIENT:
            raise _FailedTryError(f"HTTP {status}: {shown}", wait_s=_retry_after_s(response))
        if status != 200:
            raise _FailedTryError(f"HTTP {status}: {shown}", is_final=True)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise _FailedTryError(f"not JSON: {shown}") from error

    def _fail(self, request: ChatRequest, digest: str, error: str) -> Reply:
        self._cache.add(request, model=self.config.model, error=error)
        self._failures_in_row += 1
        if self._failures_in_row >= self.config.max_failures_in_row:
            raise StageError(
                f"{self.config.base_url}: {self._failures_in_row} requests in a row failed, the last with: {error}; "
                "is the server well? Answers so far stay and a re-run continues"
            )
        return Reply(digest, None, error=error)

    def _pause_s(self, number: int, *, asked_s: float | None) -> float:
        """Doubled with every try, spread over ±25 % so that workers do not come back all at once."""
        own = self.config.retry_wait_s * 2.0 ** (number - 1) * random.uniform(0.75, 1.25)
        return min(max(own, asked_s or 0.0), self.config.max_retry_wait_s)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}

    def _without_key(self, content: bytes) -> bytes:
        """Some servers quote the key that they refuse, and content goes into messages and into the cache."""
        return content.replace(self._key.encode(), b"[key]") if self._key else content

    def _report(self, total: int, *, message: str = "") -> None:
        self._progress(ProgressEvent(self._stage, self._done, total, unit="answers", message=message))


async def _read(response: httpx.Response) -> bytes:
    """The body, up to its bound."""
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > MAX_REPLY_BYTES:
            raise _FailedTryError(f"the answer is longer than {MAX_REPLY_BYTES} bytes", is_final=True)
    return bytes(content)


def _retry_after_s(response: httpx.Response) -> float | None:
    """Seconds that the server asks to wait; a date or nonsense counts as nothing."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:
        return None
