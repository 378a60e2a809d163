"""The HTTP interface: /v1/chat/completions, /v1/completions, /v1/models, /health. What `openai` clients speak.

Every refusal has OpenAI's error shape. A client that goes away frees its row.
"""

import asyncio
import hmac
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from ctllm.model.chat_template import render_chat, stop_ids
from ctllm.model.serving import engine as batch
from ctllm.model.serving.engine import Engine, Failed, Finished, FullQueueError, Piece
from ctllm.model.serving.errors import RequestError
from ctllm.model.serving.replies import ChoiceText, ReplyForm
from ctllm.model.serving.requests import ChatBody, CompletionBody, parse_body
from ctllm.schemas.tuning_config import GenerateConfig

RETRY_AFTER_S = 1  # chosen: a full queue moves on within a second or so
FAILURE_STATUS = {"timeout": 504, "stopped": 503, "broken": 500}


class Service:
    """What the routes share."""

    def __init__(self, engine: Engine, *, model_name: str, api_key: str | None, created: int) -> None:
        self.engine, self.model_name, self.created = engine, model_name, created
        self._api_key = api_key.encode() if api_key else None

    def check_key(self, request: Request) -> None:
        """Raises RequestError (401) unless the request carries the key, if there is one."""
        given = request.headers.get("authorization", "").removeprefix("Bearer ").encode()
        if self._api_key is not None and not hmac.compare_digest(given, self._api_key):
            message = "The API key is missing or wrong; send it as Authorization: Bearer KEY"
            raise RequestError(401, message, code="invalid_api_key")

    async def read(self, request: Request) -> bytes:
        """The body. Raises RequestError (413) as soon as it is longer than allowed."""
        limit = self.engine.config.max_body_bytes
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > limit:
                raise RequestError(413, f"The body is longer than {limit:,} bytes", code="body_too_large")
        return bytes(content)

    def render_chat(self, body: ChatBody) -> list[int]:
        """Tokens of a chat, with the opened answer."""
        messages = [message.as_plain() for message in body.messages]
        return render_chat(messages, tokenizer=self.engine.tokenizer, opens_answer=True).tokens

    def render_prompt(self, prompt: str | list[int]) -> list[int]:
        """Tokens of a text, as the beginning of a document; ids as they are. Raises RequestError for unknown ids."""
        tokenizer = self.engine.tokenizer
        if isinstance(prompt, str):
            return [tokenizer.end_of_document_id, *tokenizer.encode(prompt)]
        if not prompt or not all(0 <= token < tokenizer.vocab_size for token in prompt):
            message = f"prompt: token ids run from 0 to {tokenizer.vocab_size - 1}, and there must be one"
            raise RequestError(400, message, param="prompt")
        return prompt

    async def reply(self, body: ChatBody | CompletionBody, prompts: Sequence[list[int]]) -> Response:
        """Answers every prompt `n` times. Raises RequestError."""
        if body.model != self.model_name:
            message = f"model: {body.model!r} is not here; this server has {self.model_name!r}"
            raise RequestError(404, message, param="model", code="model_not_found")
        answers = Answers(self.engine, self._requests(body, prompts))
        form = ReplyForm(
            model=self.model_name,
            is_chat=isinstance(body, ChatBody),
            has_scores=body.num_top is not None,
            num_prompt_tokens=sum(map(len, prompts)),
            tokenizer=self.engine.tokenizer,
        )
        if body.stream:
            events = _stream(answers, form, has_usage=body.stream_options.include_usage)
            return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})
        async for _ in answers.events():
            pass
        return JSONResponse(form.whole(answers.choices))

    def _requests(self, body: ChatBody | CompletionBody, prompts: Sequence[list[int]]) -> list[batch.Request]:
        limits, context = self.engine.config, self.engine.model.config.context_length
        if not 0 < len(prompts) * body.n <= limits.max_choices:
            message = f"n: {len(prompts)} prompts x {body.n} answers; 1 to {limits.max_choices} are allowed"
            raise RequestError(400, message, param="n")
        if body.wanted_tokens is not None and body.wanted_tokens > limits.max_tokens:
            message = f"max_tokens: {body.wanted_tokens} is above {limits.max_tokens}"
            raise RequestError(400, message, param="max_tokens")
        longest = max(map(len, prompts))
        if longest >= context:
            message = f"The prompt has {longest} tokens, and prompt and answer share a context of {context}"
            raise RequestError(400, message, code="context_length_exceeded")
        seed = secrets.randbits(48) if body.seed is None else body.seed % (1 << 48)
        return [
            batch.Request(
                prompt,
                GenerateConfig(
                    max_new_tokens=body.wanted_tokens or limits.max_tokens,
                    temperature=body.temperature,
                    top_p=body.top_p,
                    seed=seed + number,
                ),
                stop_ids=stop_ids(self.engine.tokenizer),
                stop_texts=tuple(body.stop),
                num_top=body.num_top,
            )
            for prompt in prompts
            for number in range(body.n)
        ]


class Answers:
    """The choices of one HTTP request while the engine works on them."""

    def __init__(self, engine: Engine, requests: Sequence[batch.Request]) -> None:
        """Raises RequestError (503) when the queue is full; then none of the requests stays in it."""
        self.choices = [ChoiceText() for _ in requests]
        self._events: asyncio.Queue[tuple[int, batch.Event]] = asyncio.Queue()
        self._tickets: list[batch.Ticket] = []
        try:
            for index, request in enumerate(requests):
                self._tickets.append(engine.submit(request, self._sink(index)))
        except FullQueueError as error:
            self.cancel()
            raise RequestError(503, f"The server is busy: {error}; try again later", code="overloaded") from error

    async def events(self) -> AsyncIterator[tuple[int, Piece | Finished]]:
        """Index of the choice and event, until all have finished; raises RequestError when one is given up."""
        try:
            while any(choice.finished is None for choice in self.choices):
                index, event = await self._events.get()
                if isinstance(event, Failed):
                    raise RequestError(FAILURE_STATUS[event.kind], event.message, code=event.kind)
                self.choices[index].add(event)
                yield index, event
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Nobody listens any more."""
        for ticket in self._tickets:
            ticket.cancel()

    def _sink(self, index: int) -> Callable[[batch.Event], None]:
        loop = asyncio.get_running_loop()

        def put(event: batch.Event) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._events.put_nowait, (index, event))

        return put


async def _stream(answers: Answers, form: ReplyForm, *, has_usage: bool) -> AsyncIterator[str]:
    """Server-sent events. An error after the first can only be told as an event."""
    offsets = [form.offsets() for _ in answers.choices]
    try:
        for index in range(len(answers.choices)):
            if opening := form.opening(index):
                yield _sent(opening)
        async for index, event in answers.events():
            yield _sent(form.chunk(index, event, offsets[index]))
        if has_usage:
            yield _sent(form.usage_chunk(answers.choices))
        yield "data: [DONE]\n\n"
    except RequestError as error:
        yield _sent(error.body())
    finally:
        answers.cancel()


def _sent(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def build_app(service: Service) -> FastAPI:
    """The application. It has no documentation pages: they would load scripts from elsewhere."""
    app = FastAPI(title="ctllm", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_exception_handler(RequestError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_route)
    app.add_exception_handler(Exception, _break)

    async def chat(request: Request) -> Response:
        body = parse_body(await service.read(request), ChatBody)
        return await _while_connected(request, service.reply(body, [service.render_chat(body)]))

    async def complete(request: Request) -> Response:
        body = parse_body(await service.read(request), CompletionBody)
        prompts = [service.render_prompt(prompt) for prompt in body.prompts()]
        return await _while_connected(request, service.reply(body, prompts))

    async def models(_request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [_described(service)]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name != service.model_name:
            raise RequestError(404, f"model: {name!r} is not here", param="model", code="model_not_found")
        return JSONResponse(_described(service))

    async def health(_request: Request) -> Response:
        busy, waiting = service.engine.num_busy()
        return JSONResponse({"status": "ok", "busy": busy, "waiting": waiting})

    app.add_route("/health", health, methods=["GET"])
    for path, handler, method in (
        ("/v1/chat/completions", chat, "POST"),
        ("/v1/completions", complete, "POST"),
        ("/v1/models", models, "GET"),
        ("/v1/models/{name:path}", model, "GET"),
    ):
        app.add_route(path, _with_key(service, handler), methods=[method])
    return app


Handler = Callable[[Request], Awaitable[Response]]


def _with_key(service: Service, handler: Handler) -> Handler:
    async def checked(request: Request) -> Response:
        service.check_key(request)
        return await handler(request)

    return checked


async def _while_connected(request: Request, work: Any) -> Response:  # noqa: ANN401 - a coroutine
    """The response; the work is cancelled when the client leaves before it has one."""
    task = asyncio.ensure_future(work)
    while not task.done():
        await asyncio.wait([task], timeout=0.5)
        if not task.done() and await request.is_disconnected():
            task.cancel()
            await asyncio.wait([task])
            return Response(status_code=499)  # nobody reads it; nginx's number for a client that has left
    response = task.result()
    assert isinstance(response, Response)
    return response


def _described(service: Service) -> dict[str, Any]:
    return {"id": service.model_name, "object": "model", "created": service.created, "owned_by": "ctllm"}


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if error.status == 503 else None
    return JSONResponse(error.body(), status_code=error.status, headers=headers)


async def _refuse_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{request.method} {request.url.path}: {error.detail}"
    return JSONResponse(RequestError(error.status_code, message).body(), status_code=error.status_code)


async def _break(_request: Request, error: Exception) -> Response:
    message = f"unexpected {type(error).__name__}; the server's log has more"
    return JSONResponse(RequestError(500, message).body(), status_code=500)
