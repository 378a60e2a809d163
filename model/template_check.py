"""Whether a chat template may stand for ours in an export: it marks what the assistant says, and speaks our format."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ctllm.model.chat_template import CHAT_TEMPLATE, Message
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.tokens import END_OF_DOCUMENT

_START, _END = "\ue000", "\ue001"  # private use: stand in no template
_SYSTEM, _USER = {"role": "system", "content": "简短。"}, {"role": "user", "content": "你好 <b>\n"}
_ASSISTANT = {"role": "assistant", "content": "  Hi. "}
SAMPLES: tuple[tuple[Sequence[Message], bool], ...] = (
    ((_USER, _ASSISTANT), False),
    ((_SYSTEM, _USER, _ASSISTANT, _USER, _ASSISTANT), False),
    ((_SYSTEM, _USER), True),
)
"""Conversations, and whether the next answer is opened."""


class _GenerationTag(Extension):
    """transformers' `{% generation %}` block, which marks what the assistant says."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The block's body between two marks."""
        next(parser.stream)
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return [_mark(_START), *body, _mark(_END)]


def _mark(sign: str) -> nodes.Node:
    return nodes.Output([nodes.TemplateData(sign)])


def read_template(path: str) -> str:
    """The Jinja template in a file. Raises ConfigError when it cannot stand for ours, saying why."""
    try:
        template = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--chat-template {path}: cannot be read ({error})") from error
    for chat, opens_answer in SAMPLES:
        wanted = _rendered(CHAT_TEMPLATE, chat, opens_answer=opens_answer)
        try:
            found = _rendered(template, chat, opens_answer=opens_answer)
        except jinja2.TemplateError as error:
            raise ConfigError(f"--chat-template {path}: {type(error).__name__}: {error}") from error
        if _START in wanted and _START not in found:
            raise ConfigError(
                f"--chat-template {path}: no {{% generation %}} markers, so nothing tells what the assistant says; "
                "put them around each of its messages and the <|end|> after it"
            )
        if found != wanted:
            raise ConfigError(
                f"--chat-template {path}: renders {_legible(found)!r} where the model has learnt "
                f"{_legible(wanted)!r}; it would not know its own format"
            )
    return template


def _legible(rendered: str) -> str:
    return rendered.replace(_START, "{generation}").replace(_END, "{endgeneration}")


def _rendered(template: str, chat: Sequence[Message], *, opens_answer: bool) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag])
    environment.globals["raise_exception"] = _refuse
    values: dict[str, Any] = {"messages": [dict(message) for message in chat], "bos_token": END_OF_DOCUMENT}
    return environment.from_string(template).render(
        **values, eos_token=END_OF_DOCUMENT, add_generation_prompt=opens_answer
    )


def _refuse(message: str) -> None:
    """What templates call for conversations that they do not take."""
    raise jinja2.TemplateError(message)
