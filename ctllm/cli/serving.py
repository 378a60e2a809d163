"""Commands that put a trained model to use: serve it over HTTP, talk to it in the terminal."""

import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ctllm.cli.console import console
from ctllm.cli.use import Checkpoint
from ctllm.schemas.errors import ConfigError, InputError

if TYPE_CHECKING:
    from ctllm.model.serving.conversation import Conversation

Device = Annotated[str, typer.Option(help="cpu, cuda, or auto")]
Threads = Annotated[int | None, typer.Option(min=1, help="CPU threads; default: all")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (chat, serve):
        app.command()(command)


def serve(
    checkpoint: Checkpoint,
    host: Annotated[str, typer.Option(help="address to listen on; beyond this machine only with --api-key-env")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 = any free one")] = 8000,
    name: Annotated[str | None, typer.Option(help="the model's name in the API; default: the directory's")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(help="environment variable with the key that every request must carry")
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", help="a limit, for example max_rows=32; may be repeated")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Serve a checkpoint as an OpenAI-compatible API: /v1/chat/completions, /v1/completions, /v1/models."""
    from ctllm.model.serving.server import serve as run
    from ctllm.schemas.config import parse_config, parse_override
    from ctllm.schemas.serve_config import ServeConfig

    config = parse_config(dict(map(parse_override, overrides or [])), ServeConfig, origin="--set")
    key = _read_key(api_key_env)
    if key is None and not _is_loopback(host):
        raise ConfigError(
            f"--host {host}: open to others without a key; pass --api-key-env NAME of a variable with one"
        )
    run(
        checkpoint,
        config=config,
        host=host,
        port=port,
        model_name=name,
        api_key=key,
        device=_prepared(device, threads),
        ready=lambda url, model: console.print(f"{model} is served at {url}", markup=False),
    )


def chat(
    checkpoint: Checkpoint,
    system: Annotated[str | None, typer.Option(help="message of the system before the conversation")] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="tokens per answer at most")] = 512,
    temperature: Annotated[float, typer.Option(min=0, help="0 = always the likeliest token")] = 0.8,
    top_p: Annotated[float, typer.Option(min=0.001, max=1, help="drawn from the likeliest tokens of this sum")] = 0.95,
    seed: Annotated[int | None, typer.Option(min=0, help="equal seeds give equal conversations; default: any")] = None,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Talk to a checkpoint; answers appear as they are written. /clear forgets, /exit leaves."""
    from ctllm.model.generate import Writer
    from ctllm.model.serving.conversation import Conversation, random_seed
    from ctllm.model.serving.engine import Engine
    from ctllm.schemas.config import parse_config
    from ctllm.schemas.serve_config import ServeConfig
    from ctllm.schemas.tuning_config import GenerateConfig

    values = {"max_new_tokens": max_new_tokens, "temperature": temperature, "top_p": top_p}
    seed = random_seed() if seed is None else seed
    settings = parse_config({**values, "seed": seed}, GenerateConfig, origin="chat")
    writer = Writer.load(checkpoint, device=_prepared(device, threads))
    limits = ServeConfig(max_rows=1, max_tokens=max_new_tokens, timeout_s=3600)  # nobody else waits
    with Engine(writer.model, writer.tokenizer, config=limits) as engine:
        _converse(Conversation(engine, config=settings, system=system))


def _converse(conversation: "Conversation") -> None:
    while (line := _read_line()) is not None and line != "/exit":
        if line == "/clear":
            conversation.clear()
        elif line:
            forgotten = conversation.num_forgotten
            try:
                for piece in conversation.say(line):
                    console.print(piece, end="", markup=False, soft_wrap=True)
                    console.file.flush()
            except InputError as error:
                console.print(str(error), markup=False, style="red", end="")
            console.print()
            if conversation.num_forgotten > forgotten:
                console.print(f"[dim]{conversation.num_forgotten - forgotten} oldest messages no longer fit[/]")


def _read_line() -> str | None:
    """The next line, None at the end of the input."""
    if sys.stdin.isatty():
        try:
            return input("> ").strip()
        except EOFError:
            return None
    line = sys.stdin.readline()
    return line.strip() if line else None


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(f"--api-key-env {variable}: the environment variable is not set; export it first")
    return key


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _prepared(device: str, threads: int | None) -> str:
    """The device that is meant, with torch's threads set."""
    import torch

    if threads is not None:
        torch.set_num_threads(threads)
    if device not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"--device {device}: unknown; one of auto, cpu, cuda")
    return ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
