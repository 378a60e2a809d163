"""A conversation with a model that forgets its oldest turns when the context is full: what `ctllm chat` shows."""

import queue
import secrets
from collections.abc import Iterator

from ctllm.model.chat_template import Message, render_chat, stop_ids
from ctllm.model.serving.engine import Engine, Event, Failed, Piece, Request
from ctllm.schemas.errors import InputError, StageError
from ctllm.schemas.tuning_config import GenerateConfig


class Conversation:
    """Messages so far and the engine that answers."""

    def __init__(self, engine: Engine, *, config: GenerateConfig, system: str | None = None) -> None:
        """With `config.seed` the whole conversation can be repeated."""
        self.engine, self.config = engine, config
        self._system: list[Message] = [{"role": "system", "content": system}] if system else []
        self.turns: list[Message] = []
        """User and assistant by turns; forgotten ones are gone."""
        self.num_forgotten = 0
        """Messages that no longer fit."""

    def say(self, text: str) -> Iterator[str]:
        """The answer in pieces; it is part of the history once the iterator is exhausted.

        Raises InputError when the message alone fills the context, StageError when the engine gives up.
        """
        said: Message = {"role": "user", "content": text}
        prompt, num_kept = self._fit(said)
        self.num_forgotten += len(self.turns) - num_kept
        self.turns = [*self.turns[len(self.turns) - num_kept :], said]
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        config = self.config.model_copy(update={"seed": self.config.seed + len(self.turns)})
        self.engine.submit(Request(prompt, config, stop_ids(self.engine.tokenizer)), events.put)
        answer = ""
        while isinstance(event := events.get(), Piece):
            answer += event.text
            yield event.text
        if isinstance(event, Failed):
            raise StageError(f"no answer: {event.message}")
        self.turns.append({"role": "assistant", "content": answer})

    def clear(self) -> None:
        """Forgets everything but the system's message."""
        self.turns.clear()
        self.num_forgotten = 0

    def _fit(self, said: Message) -> tuple[list[int], int]:
        """The prompt with as many of the last turns as fit, and their number.

        A quarter of the context, or what the config asks for if that is less, is left for the answer.
        """
        context = self.engine.model.config.context_length
        room = context - min(self.config.max_new_tokens, context // 4)
        for num_kept in range(len(self.turns), -1, -2):
            chat = [*self._system, *self.turns[len(self.turns) - num_kept :], said]
            prompt = render_chat(chat, tokenizer=self.engine.tokenizer, opens_answer=True).tokens
            if len(prompt) <= room:
                return prompt, num_kept
        raise InputError(f"the message takes {len(prompt)} tokens, {room} fit; write a shorter one")


def random_seed() -> int:
    """A seed nobody chose."""
    return secrets.randbits(32)
