"""Generation: the cache changes nothing, seeds repeat, batches do not mix, and what ends a text."""

from collections.abc import Callable

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.generate import Writer, draw, generate
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.tuning_config import GenerateConfig

PROMPTS = [[1, 40, 50, 60], [1, 7], [1, 99, 98, 97, 96, 95, 94]]
GREEDY = GenerateConfig(max_new_tokens=12, temperature=0)
NO_STOPS: frozenset[int] = frozenset()


@pytest.fixture(scope="module")
def model(make_checkpoint: Callable[..., str]) -> Transformer:
    """Untrained, with weights large enough to have opinions."""
    return load_model(make_checkpoint(init_std=0.3))[0]


def test_cached_greedy_equals_recomputing(model: Transformer) -> None:
    """Prompts of three lengths in one batch give what feeding each whole text again and again gives."""
    for prompt, result in zip(PROMPTS, generate(model, PROMPTS, config=GREEDY, stops=NO_STOPS), strict=True):
        tokens = list(prompt)
        for _ in range(12):
            with torch.no_grad():
                tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
        assert (result.tokens, result.ended_by) == (tokens[len(prompt) :], "length")


def test_equal_seeds_give_equal_texts(model: Transformer) -> None:
    """Sampling depends on model, prompt and seed only, not on the other prompts; another seed gives another text."""
    config = GenerateConfig(max_new_tokens=10, temperature=1.5, top_p=1.0, seed=4)
    together = generate(model, PROMPTS, config=config, stops=NO_STOPS)
    assert together == generate(model, PROMPTS, config=config, stops=NO_STOPS)
    assert together[:1] == generate(model, PROMPTS[:1], config=config, stops=NO_STOPS)
    other = generate(model, PROMPTS, config=config.model_copy(update={"seed": 5}), stops=NO_STOPS)
    assert together != other


def test_a_stop_ends_one_text_only(model: Transformer) -> None:
    """A stop token ends its own text and is not part of it; the others go on."""
    free = generate(model, PROMPTS, config=GREEDY, stops=NO_STOPS)
    stop = next(token for token in free[0].tokens if all(token not in other.tokens for other in free[1:]))
    stopped = generate(model, PROMPTS, config=GREEDY, stops=frozenset([stop]))
    assert stopped[0].ended_by == "stop"
    assert stopped[0].tokens == free[0].tokens[: free[0].tokens.index(stop)]
    assert stopped[1:] == free[1:]


def test_padding_of_the_vocabulary_is_never_drawn(model: Transformer) -> None:
    """Rows of the model beyond the tokenizer's ids have logits, but no text."""
    config = GREEDY.model_copy(update={"temperature": 50.0, "top_p": 1.0})
    for vocab_size in (3, None):
        (result,) = generate(model, [[1]], config=config, stops=NO_STOPS, vocab_size=vocab_size)
        assert (max(result.tokens) < 3) is (vocab_size == 3)


def test_the_context_ends_every_text(model: Transformer) -> None:
    """A text stops when the context is full; a prompt that fills it, or is empty, is refused."""
    config = GenerateConfig(max_new_tokens=1000, temperature=0)
    (result,) = generate(model, [[1] * 120], config=config, stops=NO_STOPS)
    assert (len(result.tokens), result.ended_by) == (8, "length")
    for prompt in ([], [1] * 128):
        with pytest.raises(ConfigError, match="must have 1 to 127"):
            generate(model, [prompt], config=config, stops=NO_STOPS)


def test_top_p_keeps_the_likeliest() -> None:
    """Of 0.5, 0.3 and 0.2 a top_p of 0.5 leaves the first, 0.51 the first two, 1 all; temperature 0 takes the first."""
    logits = torch.tensor([0.2, 0.5, 0.3]).log()
    generator = torch.Generator().manual_seed(0)
    for top_p, kept in ((0.5, {1}), (0.51, {1, 2}), (1.0, {0, 1, 2})):
        config = GenerateConfig(temperature=1, top_p=top_p)
        assert {draw(logits, config=config, generator=generator) for _ in range(200)} == kept
    assert draw(logits, config=GREEDY, generator=generator) == 1
    half = GenerateConfig(temperature=1, top_p=0.5)
    assert {draw(torch.zeros(4), config=half, generator=generator) for _ in range(200)} == {0, 1}


def test_a_checkpoint_writes_and_answers(checkpoint: str) -> None:
    """A loaded checkpoint continues texts and answers chats, one result per prompt."""
    writer = Writer.load(checkpoint)
    texts = writer.complete(["春天", "def f("], config=GREEDY)
    answers = writer.answer([[{"role": "user", "content": "你好"}]], config=GREEDY)
    assert ([type(text) for text in texts], len(answers)) == ([str, str], 1)
