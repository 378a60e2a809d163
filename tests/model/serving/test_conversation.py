"""A conversation keeps its history and forgets the oldest of it when it must."""

from collections.abc import Iterator

import pytest

from ctllm.model.generate import Writer
from ctllm.model.serving.conversation import Conversation
from ctllm.model.serving.engine import Engine
from ctllm.schemas.errors import InputError
from ctllm.schemas.serve_config import ServeConfig
from ctllm.schemas.tuning_config import GenerateConfig

GREEDY = GenerateConfig(max_new_tokens=8, temperature=0)


@pytest.fixture
def engine(opinionated: str) -> Iterator[Engine]:
    """On a context of 128 tokens."""
    writer = Writer.load(opinionated)
    with Engine(writer.model, writer.tokenizer, config=ServeConfig(max_rows=1)) as running:
        yield running


def test_an_answer_depends_on_what_was_said(engine: Engine) -> None:
    """The second answer is the one that the whole history gets; after `clear` the first comes again."""
    writer, conversation = Writer(engine.model, engine.tokenizer), Conversation(engine, config=GREEDY, system="好")
    first = "".join(conversation.say("春天"))
    history = [{"role": "system", "content": "好"}, {"role": "user", "content": "春天"}]
    assert [first] == writer.answer([history], config=GREEDY)
    second = "".join(conversation.say("秋天"))
    history += [{"role": "assistant", "content": first}, {"role": "user", "content": "秋天"}]
    assert [second] == writer.answer([history], config=GREEDY)
    conversation.clear()
    assert "".join(conversation.say("春天")) == first


def test_the_oldest_turns_are_forgotten(engine: Engine) -> None:
    """A conversation longer than the context goes on without its beginning; a message that fills it is refused."""
    conversation = Conversation(engine, config=GREEDY)
    for number in range(12):
        list(conversation.say(f"第{number}句：春天来了"))
    assert conversation.num_forgotten > 0
    assert len(conversation.turns) + conversation.num_forgotten == 24
    assert conversation.turns[-2]["content"] == "第11句：春天来了"
    with pytest.raises(InputError, match="write a shorter one"):
        list(conversation.say("好" * 300))
    assert conversation.turns[-1]["role"] == "assistant"
