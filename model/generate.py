"""Text from a model: sampling with a key-value cache, for a batch of prompts of any lengths.

All sequences start at position 0 and move one token a step; while one still has prompt left, its own next token is fed
instead of a drawn one. So nothing is padded or masked, and a result does not depend on the other prompts of the batch
beyond rounding. Suffixes: B sequences, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from ctllm.model.chat_template import Message, render_chat, stop_ids
from ctllm.model.checkpoint import find_checkpoint, load_model
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import KeyValueCache, Transformer
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.tuning_config import GenerateConfig


@dataclass(frozen=True)
class Generated:
    """What the model wrote after one prompt."""

    tokens: list[int]
    """Without the token that ended it."""
    ended_by: Literal["stop", "length"]
    """`length`: max_new_tokens or the context is used up."""


@torch.no_grad()
def generate(
    model: Transformer,
    prompts: Sequence[Sequence[int]],
    *,
    config: GenerateConfig,
    stops: frozenset[int],
    vocab_size: int | None = None,
) -> list[Generated]:
    """Continues every prompt. Equal model, prompts and seed give equal tokens; prompt i draws from seed + i.

    `vocab_size`: ids from there on only pad the model's vocabulary, and are never drawn.
    Raises ConfigError when a prompt is empty or fills the context.
    """
    context_length = model.config.context_length
    for prompt in prompts:
        if not 0 < len(prompt) < context_length:
            raise ConfigError(f"a prompt of {len(prompt)} tokens; it must have 1 to {context_length - 1}")
    rows = [list(prompt) for prompt in prompts]
    limits = [min(len(prompt) + config.max_new_tokens, context_length) for prompt in prompts]
    is_stopped = [False] * len(rows)
    samplers = [torch.Generator().manual_seed(config.seed + row) for row in range(len(rows))]
    like = torch.empty((), dtype=model.compute_dtype, device=next(model.parameters()).device)
    cache = KeyValueCache.empty(model.config, num_sequences=len(rows), num_positions=max(limits), like=like)
    start, end = 0, min(map(len, rows))
    while end < max(limits) and not all(map(_is_done, rows, limits, is_stopped)):
        fed_BT = torch.tensor([_slice(row, start, end) for row in rows], device=like.device)
        logits_BV = model(fed_BT, cache=cache)[:, -1, :vocab_size].cpu()
        for row, tokens in enumerate(rows):
            if len(tokens) == end and not _is_done(tokens, limits[row], is_stopped[row]):
                token = draw(logits_BV[row], config=config, generator=samplers[row])
                is_stopped[row] = token in stops
                tokens.extend([] if is_stopped[row] else [token])
        start, end = end, end + 1
    return [
        Generated(tokens[len(prompt) :], "stop" if stopped else "length")
        for tokens, prompt, stopped in zip(rows, prompts, is_stopped, strict=True)
    ]


def _is_done(tokens: list[int], limit: int, is_stopped: bool) -> bool:
    return is_stopped or len(tokens) >= limit


def _slice(tokens: list[int], start: int, end: int) -> list[int]:
    """Tokens to feed; a row that is done is fed its last one again, whose result nobody reads."""
    part = tokens[start:end]
    return part + tokens[-1:] * (end - start - len(part))


def draw(logits_V: Tensor, *, config: GenerateConfig, generator: torch.Generator) -> int:
    """One token by temperature and top-p."""
    if config.temperature == 0:
        return int(logits_V.argmax())
    probabilities_V = torch.softmax(logits_V.double() / config.temperature, 0)
    sorted_V, tokens_V = probabilities_V.sort(descending=True, stable=True)
    before_V = sorted_V.cumsum(0) - sorted_V
    kept_V = sorted_V * (before_V < config.top_p)
    return int(tokens_V[torch.multinomial(kept_V, 1, generator=generator)])


class Writer:
    """A loaded checkpoint that continues texts and answers in chats."""

    def __init__(self, model: Transformer, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer

    @classmethod
    def load(cls, checkpoint: str, *, device: torch.device | str = "cpu") -> "Writer":
        """From a checkpoint or a run directory. Raises InputError."""
        directory = find_checkpoint(checkpoint)
        model, _ = load_model(directory, device=device)
        return cls(model, Tokenizer(directory))

    def complete(self, texts: Sequence[str], *, config: GenerateConfig) -> list[str]:
        """The continuation of each text, as if it were the beginning of a document."""
        start = [self.tokenizer.end_of_document_id]
        return self._write([start + self.tokenizer.encode(text) for text in texts], config)

    def answer(self, chats: Sequence[Sequence[Message]], *, config: GenerateConfig) -> list[str]:
        """The assistant's next message in each chat."""
        rendered = (render_chat(chat, tokenizer=self.tokenizer, opens_answer=True) for chat in chats)
        return self._write([chat.tokens for chat in rendered], config)

    def _write(self, prompts: list[list[int]], config: GenerateConfig) -> list[str]:
        stops, vocab_size = stop_ids(self.tokenizer), self.tokenizer.vocab_size
        results = generate(self.model, prompts, config=config, stops=stops, vocab_size=vocab_size)
        return [self.tokenizer.decode(result.tokens) for result in results]
