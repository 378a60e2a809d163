"""The official `openai` client against a server on this machine."""

import json
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
import torch

from ctllm.schemas.tuning_config import GenerateConfig

from .conftest import Served

CHAT: Any = [{"role": "system", "content": "只说好话"}, {"role": "user", "content": "春天好吗？"}]


def greedy(max_new_tokens: int) -> GenerateConfig:
    """What `temperature=0` asks for."""
    return GenerateConfig(max_new_tokens=max_new_tokens, temperature=0)


def test_a_chat_is_answered_as_by_the_command(served: Served) -> None:
    """The answer is that of `ctllm generate --chat`, with why it ended and what it cost."""
    (expected,) = served.writer.answer([CHAT], config=greedy(20))
    reply = served.client.chat.completions.create(model="tiny", messages=CHAT, max_tokens=20, temperature=0)
    assert reply.choices[0].message.content == expected
    assert (reply.choices[0].finish_reason, reply.object, reply.model) == ("length", "chat.completion", "tiny")
    assert reply.usage is not None
    assert (reply.usage.completion_tokens, reply.usage.total_tokens - reply.usage.prompt_tokens) == (20, 20)


def test_a_stream_is_the_whole_in_pieces(served: Served) -> None:
    """Chunks of a chat and of a completion put together are the answers; usage comes last if asked for."""
    (expected,) = served.writer.answer([CHAT], config=greedy(20))
    stream = served.client.chat.completions.create(
        model="tiny", messages=CHAT, max_tokens=20, temperature=0, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert chunks[0].choices[0].delta.role == "assistant"
    parts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(parts) == expected
    assert sum(map(bool, parts)) > 3
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "length"
    assert chunks[-1].usage is not None
    assert (chunks[-1].choices, chunks[-1].usage.completion_tokens) == ([], 20)
    (expected,) = served.writer.complete(["春天"], config=greedy(20))
    pieces = served.client.completions.create(model="tiny", prompt="春天", max_tokens=20, temperature=0, stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == expected


def test_stops_seeds_and_several_answers(served: Served) -> None:
    """A stop cuts the text before it; equal seeds give equal answers; `n` answers differ; prompts keep their order."""
    create = served.client.completions.create
    (free,) = served.writer.complete(["春天"], config=greedy(30))
    stop = free[8:10]
    reply = create(model="tiny", prompt="春天", max_tokens=30, temperature=0, stop=stop)
    assert (reply.choices[0].text, reply.choices[0].finish_reason) == (free[: free.index(stop)], "stop")
    drawn = [create(model="tiny", prompt="春天", max_tokens=12, seed=seed, n=2) for seed in (3, 3, 4)]
    texts = [[choice.text for choice in each.choices] for each in drawn]
    assert texts[0] == texts[1]
    assert len({*texts[0], *texts[2]}) >= 3  # seeds 3, 4 and 4, 5
    ids = served.writer.tokenizer.encode("秋天")
    prompts = served.writer.complete(["春天", "秋天"], config=greedy(5))
    reply = create(model="tiny", prompt=["春天", "秋天"], max_tokens=5, temperature=0)
    assert [choice.text for choice in reply.choices] == prompts
    start = served.writer.tokenizer.end_of_document_id
    assert create(model="tiny", prompt=[start, *ids], max_tokens=5, temperature=0).choices[0].text == prompts[1]


def test_log_probabilities_are_the_models(served: Served) -> None:
    """A drawn token has the log-probability of a plain forward pass, the likeliest stand beside it."""
    reply = served.client.completions.create(model="tiny", prompt="春天", max_tokens=6, temperature=0, logprobs=2)
    scores = reply.choices[0].logprobs
    assert scores is not None
    assert scores.token_logprobs is not None
    assert scores.top_logprobs is not None
    tokenizer = served.writer.tokenizer
    tokens = [tokenizer.end_of_document_id, *tokenizer.encode("春天")]
    for value, top in zip(scores.token_logprobs, scores.top_logprobs, strict=True):
        with torch.no_grad():
            log_V = served.writer.model(torch.tensor([tokens]))[0, -1, : tokenizer.vocab_size].log_softmax(0)
        tokens.append(int(log_V.argmax()))
        assert value == pytest.approx(float(log_V.max()), abs=1e-4)
        assert sorted(top.values(), reverse=True) == pytest.approx(log_V.topk(2).values.tolist(), abs=1e-4)
    stream = served.client.completions.create(
        model="tiny", prompt="春天", max_tokens=6, temperature=0, logprobs=2, stream=True
    )
    streamed = [part.choices[0].logprobs for part in stream if part.choices and part.choices[0].logprobs]
    assert [offset for part in streamed for offset in part.text_offset or []] == scores.text_offset
    chat = served.client.chat.completions.create(
        model="tiny", messages=CHAT, max_tokens=6, temperature=0, logprobs=True, top_logprobs=3
    )
    content = chat.choices[0].logprobs
    assert content is not None
    assert content.content is not None
    written = b"".join(bytes(token.bytes or []) for token in content.content).decode("utf-8", "replace")
    assert (written, {len(token.top_logprobs) for token in content.content}) == (chat.choices[0].message.content, {3})
    assert all(token.logprob == token.top_logprobs[0].logprob < math.log(1) for token in content.content)


def test_fifty_clients_at_once(served: Served) -> None:
    """Fifty clients, streaming or not, each get the answer that their own prompt gets alone."""
    prompts = [f"第{number}个问题：{'春夏秋冬'[number % 4] * (number % 5)}" for number in range(50)]
    expected = [served.writer.complete([prompt], config=greedy(12))[0] for prompt in prompts]

    def ask(number: int) -> str:
        create = served.client.completions.create
        if number % 2:
            stream = create(model="tiny", prompt=prompts[number], max_tokens=12, temperature=0, stream=True)
            return "".join(chunk.choices[0].text for chunk in stream)
        return create(model="tiny", prompt=prompts[number], max_tokens=12, temperature=0).choices[0].text

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(ask, range(50))) == expected
    assert httpx.get(served.url.replace("/v1", "/health")).json() == {"status": "ok", "busy": 0, "waiting": 0}


def test_models_are_listed(served: Served) -> None:
    """The one model stands in the list and under its name."""
    assert [model.id for model in served.client.models.list()] == ["tiny"]
    assert served.client.models.retrieve("tiny").owned_by == "ctllm"
    with pytest.raises(openai.NotFoundError, match="'gpt-4' is not here"):
        served.client.models.retrieve("gpt-4")


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"model": "gpt-4"}, 404, "'gpt-4' is not here; this server has 'tiny'"),
        ({"messages": []}, 400, "messages: List should have at least 1 item"),
        ({"messages": [{"role": "tool", "content": "x"}]}, 400, "messages.0.role: Input should be"),
        ({"messages": [{"role": "user", "content": "好" * 500}]}, 400, "share a context of 128"),
        ({"temperature": 3}, 400, "temperature: Input should be less than or equal to 2"),
        ({"max_tokens": 101}, 400, "max_tokens: 101 is above 100"),
        ({"n": 9}, 400, "1 to 8 are allowed"),
        ({"stop": ["a", "b", "c", "d", "e"]}, 400, "stop: List should have at most 4 items"),
        ({"tools": []}, 400, "tools: this server does not know this parameter"),
        ({"frequency_penalty": 1}, 400, "frequency_penalty: Input should be 0"),
        ({"user": "x" * 20_000}, 413, "longer than 20,000 bytes"),
    ],
)
def test_bad_requests_get_openais_error(served: Served, change: dict[str, Any], status: int, words: str) -> None:
    """What is wrong with a request is said in the shape that clients know, naming the field."""
    body = {"model": "tiny", "messages": CHAT, "max_tokens": 5, **change}
    response = httpx.post(f"{served.url}/chat/completions", json=body)
    error = response.json()["error"]
    assert (response.status_code, set(error), error["type"]) == (
        status,
        {"message", "type", "param", "code"},
        "invalid_request_error",
    )
    assert words in error["message"]


def test_what_is_no_request_is_refused_alike(served: Served) -> None:
    """Broken JSON, an unknown path, a wrong method and ids that no token has are errors of the same shape."""
    answers = [
        httpx.post(f"{served.url}/chat/completions", content=b'{"model": '),
        httpx.get(f"{served.url}/embeddings"),
        httpx.get(f"{served.url}/completions"),
        httpx.post(f"{served.url}/completions", json={"model": "tiny", "prompt": [99_999]}),
        httpx.post(f"{served.url}/completions", json={"model": "tiny", "prompt": []}),
    ]
    assert [answer.status_code for answer in answers] == [400, 404, 405, 400, 400]
    assert all(answer.json()["error"]["type"] == "invalid_request_error" for answer in answers)


def test_nulls_mean_defaults(served: Served) -> None:
    """Clients that send null for what they leave open are answered."""
    body = {"model": "tiny", "messages": CHAT, "max_tokens": 3, "stop": None, "temperature": None, "n": None}
    assert httpx.post(f"{served.url}/chat/completions", json=body).status_code == 200


def test_the_key_is_asked_for(serve: Callable[..., Served]) -> None:
    """With a key set, requests without it or with another get 401."""
    served = serve(api_key="sesame")
    assert served.client.models.list().data
    for headers in ({}, {"Authorization": "Bearer open"}):
        response = httpx.get(f"{served.url}/models", headers=headers)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "invalid_api_key")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=served.url, api_key="wrong", max_retries=0).completions.create(model="tiny", prompt="x")


def test_busy_and_late_are_said(serve: Callable[..., Served]) -> None:
    """A full queue is 503 with Retry-After, an answer that takes too long 504, in a stream as its last event."""
    body = {"model": "tiny", "prompt": ["春", "夏", "秋"], "max_tokens": 3}
    full = httpx.post(f"{serve(max_rows=1, max_queue=0).url}/completions", json=body)
    assert (full.status_code, full.json()["error"]["code"], full.headers["retry-after"]) == (503, "overloaded", "1")
    slow = serve(timeout_s=1e-9)
    late = httpx.post(f"{slow.url}/completions", json=body)
    assert (late.status_code, late.json()["error"]["type"]) == (504, "server_error")
    streamed = httpx.post(f"{slow.url}/completions", json={**body, "stream": True})
    last = json.loads(streamed.text.strip().split("\n\n")[-1].removeprefix("data: "))
    assert (streamed.status_code, last["error"]["code"]) == (200, "timeout")
    with pytest.raises(openai.APIError, match="no answer within"):
        list(slow.client.completions.create(model="tiny", prompt="春", stream=True))
