"""`ctllm serve` as a process: loads the checkpoint, listens, and stops cleanly on SIGTERM and SIGINT."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn

from ctllm.model.generate import Writer
from ctllm.model.serving.app import Service, build_app
from ctllm.model.serving.engine import Engine
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.serve_config import ServeConfig

GRACE_S = 10  # chosen: answers under way may end before they are given up


class _Server(uvicorn.Server):
    """Leaves signals to `serve`: uvicorn would raise them again at the end, and the process would die of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    checkpoint: str,
    *,
    config: ServeConfig,
    host: str,
    port: int,
    model_name: str | None = None,
    api_key: str | None = None,
    device: str = "cpu",
    ready: Callable[[str, str], None] = lambda _url, _name: None,
) -> None:
    """Serves until SIGTERM or SIGINT. `ready` gets URL and name of the model once requests are accepted.

    Raises InputError without a checkpoint, ConfigError when the address cannot be listened on.
    """
    listener = _listen(host, port)
    with listener:
        writer = Writer.load(checkpoint, device=device)
        name = model_name or Path(checkpoint).resolve().name
        with Engine(writer.model, writer.tokenizer, config=config) as engine:
            service = Service(engine, model_name=name, api_key=api_key, created=int(time.time()))
            settings = uvicorn.Config(
                build_app(service),
                log_level="warning",
                access_log=False,
                timeout_graceful_shutdown=GRACE_S,
                server_header=False,
            )
            asyncio.run(_run(_Server(settings), listener, lambda: ready(_url(listener), name)))


def _listen(host: str, port: int) -> socket.socket:
    """Before the model is loaded: an address in use fails at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


async def _run(server: _Server, listener: socket.socket, ready: Callable[[], None]) -> None:
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, setattr, server, "should_exit", True)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not (server.started or running.done()):
        await asyncio.sleep(0.02)
    if server.started:
        ready()
    await running
