"""Servers on this machine, in a thread: the real application, engine and HTTP."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import openai
import pytest
import uvicorn

from ctllm.model.generate import Writer
from ctllm.model.serving.app import Service, build_app
from ctllm.model.serving.engine import Engine
from ctllm.schemas.serve_config import ServeConfig


@dataclass(frozen=True)
class Served:
    """A running server, the official client that speaks to it, and the model behind it."""

    url: str
    client: openai.OpenAI
    writer: Writer


@contextmanager
def _served(checkpoint: str, *, api_key: str | None, **limits: Any) -> Iterator[Served]:
    writer = Writer.load(checkpoint)
    with socket.socket() as listener, Engine(writer.model, writer.tokenizer, config=ServeConfig(**limits)) as engine:
        listener.bind(("127.0.0.1", 0))
        app = build_app(Service(engine, model_name="tiny", api_key=api_key, created=1))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        while not server.started:
            time.sleep(0.005)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        with openai.OpenAI(base_url=url, api_key=api_key or "none", max_retries=0, timeout=60) as client:
            yield Served(url, client, writer)
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="session")
def opinionated(make_checkpoint: Callable[..., str]) -> str:
    """An untrained checkpoint with weights large enough to have opinions."""
    return make_checkpoint(init_std=0.3)


@pytest.fixture
def serve(opinionated: str) -> Iterator[Callable[..., Served]]:
    """Starts a server of that checkpoint with these limits."""
    with ExitStack() as stack:
        yield lambda api_key=None, **limits: stack.enter_context(_served(opinionated, api_key=api_key, **limits))


@pytest.fixture(scope="module")
def served(opinionated: str) -> Iterator[Served]:
    """One such server without a key."""
    with _served(opinionated, api_key=None, max_rows=8, max_tokens=100, max_body_bytes=20_000) as running:
        yield running
