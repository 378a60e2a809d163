"""The chat format: messages to tokens, with a mark on what the assistant says. The only place that knows it.

    <|endofdoc|><|system|>…<|end|><|user|>…<|end|><|assistant|>…<|end|>

A conversation starts where a document starts. The assistant's `<|end|>` counts as said by it, which makes it stop.
`CHAT_TEMPLATE` is the same format for transformers, exported with the model; a test keeps the two equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.tokens import ASSISTANT, END_OF_TURN, SYSTEM, USER

Message = Mapping[str, str]
"""`role` (system, user or assistant) and `content`."""

ROLE_SYMBOLS = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '<|' + message['role'] + '|>' }}"
    "{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|end|>' }}{% endgeneration %}"
    "{% else %}{{ message['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""For transformers' `apply_chat_template`. Unlike `render_chat` it lets a symbol written in a message act as one."""


@dataclass(frozen=True)
class RenderedChat:
    """Tokens of a conversation."""

    tokens: list[int]
    is_assistant: list[bool]
    """For each token whether the assistant says it; SFT trains on these only."""


def render_chat(messages: Sequence[Message], *, tokenizer: Tokenizer, opens_answer: bool = False) -> RenderedChat:
    """The whole conversation; with `opens_answer` also the symbol after which the assistant's next answer stands.

    Symbols written out in a message stay ordinary text, so that a user cannot speak as the system.
    """
    tokens, is_assistant = [tokenizer.end_of_document_id], [False]
    for message in messages:
        tokens.append(tokenizer.symbol_id(ROLE_SYMBOLS[message["role"]]))
        said = render_answer(message["content"], tokenizer=tokenizer)
        tokens += said
        is_assistant += [False, *[message["role"] == "assistant"] * len(said)]
    if opens_answer:
        tokens.append(tokenizer.symbol_id(ASSISTANT))
        is_assistant.append(False)
    return RenderedChat(tokens, is_assistant)


def render_answer(content: str, *, tokenizer: Tokenizer) -> list[int]:
    """What stands after the symbol of the role: the content and the end of the turn."""
    return [*tokenizer.encode(content), tokenizer.symbol_id(END_OF_TURN)]


def stop_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """Tokens that end an answer."""
    return frozenset((tokenizer.end_of_document_id, tokenizer.symbol_id(END_OF_TURN)))
