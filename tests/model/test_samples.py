"""Samples during training: the same beginnings, by the same draws, as far as the document goes."""

from collections.abc import Callable

import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.samples import Sampler
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import ConfigError

PROMPTS = ("中国的", "今天早上，")


def test_equal_weights_write_equal_samples(make_checkpoint: Callable[..., str], tokenizer_directory: str) -> None:
    """Each beginning has its continuation; another model writes another; no prompts, no samples, no tokenizer."""
    sampler = Sampler(tokenizer_directory, PROMPTS, num_tokens=8, context_length=128)
    model, _ = load_model(make_checkpoint())
    other, _ = load_model(make_checkpoint(d_ffn=96))
    assert sampler(model) == sampler(model) != sampler(other)
    assert tuple(sampler(model)) == PROMPTS
    assert all(sampler(model).values())
    assert Sampler("nowhere", (), num_tokens=8, context_length=128)(model) == {}


def test_a_sample_ends_with_its_document(make_checkpoint: Callable[..., str], tokenizer_directory: str) -> None:
    """A model that knows only the end of a document writes nothing; one that knows only padding rows neither."""
    sampler = Sampler(tokenizer_directory, PROMPTS[:1], num_tokens=4, context_length=128)
    model, config = load_model(make_checkpoint())
    tokenizer = Tokenizer(tokenizer_directory)
    assert config.vocab_size > tokenizer.vocab_size
    for row in (tokenizer.end_of_document_id, config.vocab_size - 1):
        assert sampler(_only(model, row)) == {PROMPTS[0]: ""}


def test_a_beginning_must_leave_room(tokenizer_directory: str) -> None:
    """One as long as the context is refused before anything is trained."""
    with pytest.raises(ConfigError, match=r"sample_prompts: '早早早早' is \d+ tokens long, .*context_length is 2"):
        Sampler(tokenizer_directory, ["早早早早"], num_tokens=4, context_length=2)


def _only(model: Transformer, row: int) -> Transformer:
    """The model, which now writes only the token `row`."""
    plain = type(model).forward

    def forward(*arguments: object, **options: object) -> torch.Tensor:
        logits_BTV = plain(model, *arguments, **options)  # type: ignore[arg-type]
        logits_BTV.fill_(-1e9)[..., row] = 0.0
        return logits_BTV

    model.forward = forward  # type: ignore[method-assign]
    return model
