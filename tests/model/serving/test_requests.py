"""Bodies of requests: what OpenAI's clients send is understood, what cannot be honoured is refused by name."""

import json
from typing import Any

import pytest

from ctllm.model.serving.errors import RequestError
from ctllm.model.serving.requests import ChatBody, CompletionBody, parse_body

HELLO = [{"role": "user", "content": "你好"}]


def chat(**fields: Any) -> ChatBody:
    """A chat request with these fields."""
    return parse_body(json.dumps({"model": "m", "messages": HELLO, **fields}).encode(), ChatBody)


def completion(**fields: Any) -> CompletionBody:
    """A completion request with these fields."""
    return parse_body(json.dumps({"model": "m", "prompt": "春天", **fields}).encode(), CompletionBody)


def test_null_means_the_default() -> None:
    """Clients send null for what their user did not set; defaults are those of OpenAI's reference."""
    names = ("temperature", "top_p", "n", "stop", "stream", "stream_options", "seed", "max_tokens", "logprobs")
    body = chat(**dict.fromkeys(names))
    assert (body.temperature, body.top_p, body.n, body.stop, body.stream) == (1.0, 1.0, 1, [], False)
    assert (body.wanted_tokens, body.num_top, body.stream_options.include_usage) == (None, None, False)
    assert completion(max_tokens=None).wanted_tokens == 16


def test_both_names_of_a_field_work() -> None:
    """The newer name goes first; one stop is a list of one; developer is system; parts of a text are joined."""
    assert chat(max_tokens=5).wanted_tokens == 5
    assert chat(max_tokens=5, max_completion_tokens=7).wanted_tokens == 7
    assert chat(stop="。").stop == ["。"]
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]
    messages = [{"role": "developer", "content": "短"}, {"role": "user", "content": parts, "name": "x"}]
    plain = [message.as_plain() for message in chat(messages=messages).messages]
    assert plain == [{"role": "system", "content": "短"}, {"role": "user", "content": "你好"}]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [("春", ["春"]), (["春", "夏"], ["春", "夏"]), ([1, 2], [[1, 2]]), ([[1], [2, 3]], [[1], [2, 3]])],
)
def test_prompts_are_texts_or_token_ids(prompt: Any, expected: Any) -> None:
    """One or several of either kind."""
    assert completion(prompt=prompt).prompts() == expected


def test_log_probabilities_are_asked_for_in_two_ways() -> None:
    """A chat says whether and how many, a completion how many, 0 included."""
    assert chat(logprobs=True).num_top == 0
    assert chat(logprobs=True, top_logprobs=3).num_top == 3
    assert chat(top_logprobs=3).num_top is None
    assert completion(logprobs=0).num_top == 0
    assert completion().num_top is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": []}, "tools"),
        ({"logit_bias": {"5": 1}}, "logit_bias"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stop": [""]}, "stop.0"),
        ({"stop": "x" * 201}, "stop.0"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"model": None}, "model"),
        ({"seed": 1 << 63}, "seed"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, Any], param: str) -> None:
    """400, with the field in OpenAI's `param`; nothing is quietly left out."""
    with pytest.raises(RequestError) as refused:
        chat(**fields)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert refused.value.body()["error"]["type"] == "invalid_request_error"


def test_bounds_are_inclusive_and_broken_json_is_said_to_be() -> None:
    """The largest values that are allowed pass; a body cut off half-way has no field to blame."""
    body = chat(temperature=2, top_p=1, stop=["a"] * 4, top_logprobs=20, seed=(1 << 63) - 1)
    assert len(body.stop) == 4
    with pytest.raises(RequestError, match="not valid JSON") as refused:
        parse_body(b'{"model": "m", "messages": [', ChatBody)
    assert refused.value.param is None
