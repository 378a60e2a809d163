"""model/openai_client.py against a real HTTP server that misbehaves as servers do."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctllm.model.answer_cache import ChatRequest
from ctllm.model.openai_client import OpenAIClient
from ctllm.schemas.endpoint_config import EndpointConfig
from ctllm.schemas.errors import ConfigError, StageError

KEY = "sk-secret-0123456789"
Body = dict[str, Any]
Start = Callable[..., Any]


def endpoint(url: str, **changes: Any) -> EndpointConfig:
    """Patient enough for a test: three tries, hardly any pause."""
    settings = {"base_url": url, "model": "judge", "max_tries": 3, "retry_wait_s": 0.01, "timeout_s": 5, **changes}
    return EndpointConfig(**settings)


def ask(*texts: str, **changes: Any) -> list[ChatRequest]:
    """One request per text."""
    return [ChatRequest(({"role": "user", "content": text},), {"temperature": 0}, **changes) for text in texts]


def said(body: Body) -> str:
    """What the user said."""
    return str(body["messages"][-1]["content"])


def test_replies_come_in_order_and_each_question_is_asked_once(tmp_path: Path, chat_server: Start) -> None:
    """Replies keep the order of the requests, equal requests are asked once, a repeat is asked anew."""
    server = chat_server(lambda body: "答：" + said(body))
    requests = [*ask("一", "二", "一"), *ask("一", repeat=1)]
    with OpenAIClient(endpoint(server.base_url), cache=str(tmp_path / "a.jsonl")) as client:
        replies = client.answer_all(requests)
    assert [reply.text for reply in replies] == ["答：一", "答：二", "答：一", "答：一"]
    assert [(reply.ended_by, reply.model, reply.error) for reply in replies] == [("stop", "served", None)] * 4
    assert sorted(map(said, server.asked)) == ["一", "一", "二"]
    assert all(body["model"] == "judge" and body["temperature"] == 0 for body in server.asked)


def test_a_job_goes_on_without_asking_again(tmp_path: Path, chat_server: Start) -> None:
    """A server that dies half-way costs only the answers that it did not give: a re-run asks for those alone."""
    cache = str(tmp_path / "a.jsonl")
    texts = [f"问题{number}" for number in range(12)]
    broken = chat_server(lambda body: said(body) if said(body) in texts[:5] else (500, b"out of memory", {}))
    settings = {"max_concurrent": 1, "max_tries": 1, "max_failures_in_row": 3}
    with (
        OpenAIClient(endpoint(broken.base_url, **settings), cache=cache) as client,
        pytest.raises(StageError, match=r"3 requests in a row failed, the last with: HTTP 500: out of memory"),
    ):
        client.answer_all(ask(*texts))
    assert len(broken.asked) == 8
    well = chat_server(said)
    with OpenAIClient(endpoint(well.base_url), cache=cache) as client:
        assert [reply.text for reply in client.answer_all(ask(*texts))] == texts
    assert sorted(map(said, well.asked)) == sorted(texts[5:])


def test_what_passes_is_tried_again(tmp_path: Path, chat_server: Start) -> None:
    """Busy, broken, garbage and empty replies are tried again; the answer that comes then is the one that counts."""
    troubles = iter(
        [(429, b"slow down", {"Retry-After": "0"}), (503, b"", {}), (200, b"<html>oops", {}), (200, b"{}", {})]
    )
    server = chat_server(lambda _: next(troubles, "好"))
    with OpenAIClient(endpoint(server.base_url, max_tries=5), cache=str(tmp_path / "a.jsonl")) as client:
        (reply,) = client.answer_all(ask("你好"))
    assert (reply.text, reply.error, len(server.asked)) == ("好", None, 5)


@pytest.mark.parametrize(
    ("trouble", "tries", "error"),
    [
        ((400, b"prompt too long", {}), 1, "HTTP 400: prompt too long"),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), 1, "HTTP 302"),
        ((200, b"not JSON at all", {}), 3, "not JSON: not JSON at all"),
        ((200, b'{"choices": []}', {}), 3, "no choices"),
        ((200, b'{"choices": [{"message": {"content": null}}]}', {}), 3, "content is null, not a text"),
        ((200, b"[" * 100_000, {}), 3, "not JSON"),
    ],
)
def test_a_request_that_cannot_be_answered_is_a_reply_with_an_error(
    trouble: tuple[int, bytes, dict[str, str]], tries: int, error: str, tmp_path: Path, chat_server: Start
) -> None:
    """A hopeless request costs itself alone: the others are answered, its error stands in the reply and the cache."""
    server = chat_server(lambda body: trouble if said(body) == "坏" else "好")
    cache = tmp_path / "a.jsonl"
    with OpenAIClient(endpoint(server.base_url), cache=str(cache)) as client:
        bad, good = client.answer_all(ask("坏", "好的"))
    assert (bad.text, good.text, good.error) == (None, "好", None)
    assert error in str(bad.error)
    assert sum(said(body) == "坏" for body in server.asked) == tries
    lines = [json.loads(line) for line in cache.read_text().splitlines()]
    assert [error in line["error"] for line in lines if "error" in line] == [True]


def test_silence_ends_at_the_time_limit(tmp_path: Path, chat_server: Start) -> None:
    """A server that does not answer is left after `timeout_s`, and one that is gone is named."""
    server = chat_server(lambda _: time.sleep(0.5) or "spät")
    with OpenAIClient(
        endpoint(server.base_url, timeout_s=0.05, max_tries=2), cache=str(tmp_path / "a.jsonl")
    ) as client:
        (late,) = client.answer_all(ask("你好"))
        assert "within 0.05 s" in str(late.error) or "Timeout" in str(late.error)
        server.close()
        (gone,) = client.answer_all(ask("你好"))
    assert "ConnectError" in str(gone.error)
    assert len(server.asked) == 2


def test_no_more_than_the_limit_are_on_the_way(tmp_path: Path, chat_server: Start) -> None:
    """Never more than `max_concurrent` requests are on the way at once."""
    server = chat_server(lambda body: time.sleep(0.02) or said(body))
    with OpenAIClient(endpoint(server.base_url, max_concurrent=3), cache=str(tmp_path / "a.jsonl")) as client:
        client.answer_all(ask(*map(str, range(12))))
    assert server.most_at_once == 3


def test_the_key_comes_from_the_environment_and_is_never_written(
    tmp_path: Path, chat_server: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key is sent, and stands neither in an error nor in the cache, even when the server quotes it."""
    quoting = chat_server(lambda _: (401, f"Incorrect API key provided: {KEY}".encode(), {}))
    with pytest.raises(ConfigError, match="CTLLM_TEST_KEY is not set"):
        OpenAIClient(endpoint(quoting.base_url, api_key_env="CTLLM_TEST_KEY"), cache=str(tmp_path / "a.jsonl"))
    monkeypatch.setenv("CTLLM_TEST_KEY", KEY)
    settings = endpoint(quoting.base_url, api_key_env="CTLLM_TEST_KEY")
    with (
        OpenAIClient(settings, cache=str(tmp_path / "a.jsonl")) as client,
        pytest.raises(StageError, match=r"HTTP 401, it wants a valid key: .*\[key\]") as raised,
    ):
        client.answer_all(ask("你好", "再见"))
    assert KEY not in str(raised.value)
    assert set(quoting.keys) == {f"Bearer {KEY}"}
    echoing = chat_server(lambda body: (400, KEY.encode(), {}) if said(body) == "坏" else f"the key is {KEY}")
    settings = endpoint(echoing.base_url, api_key_env="CTLLM_TEST_KEY")
    with OpenAIClient(settings, cache=str(tmp_path / "a.jsonl")) as client:
        assert [reply.text for reply in client.answer_all(ask("好", "坏"))] == ["the key is [key]", None]
    assert KEY not in (tmp_path / "a.jsonl").read_text()


def test_a_wrong_address_ends_the_job_at_once(tmp_path: Path, chat_server: Start) -> None:
    """A base_url without its /v1 is said to be wrong after one request, not after all of them."""
    server = chat_server(said)
    settings = endpoint(server.base_url.removesuffix("/v1"), max_concurrent=1)
    with (
        OpenAIClient(settings, cache=str(tmp_path / "a.jsonl")) as client,
        pytest.raises(StageError, match="HTTP 404, it knows no such model or path"),
    ):
        client.answer_all(ask("一", "二"))
    assert len(server.asked) == 1
