"""Rows of different lengths in one cache compute what each would compute alone."""

import pytest
import torch

from ctllm.model.ragged_cache import RaggedCache, feed
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.training_config import ModelConfig

TEXTS = [[1, 40, 50, 60, 3], [1, 7], [1, 9, 8, 33, 6, 5, 4, 44]]


@pytest.fixture
def model(tiny: ModelConfig) -> Transformer:
    """Untrained, with weights large enough to have opinions."""
    return new_transformer(tiny.model_copy(update={"init_std": 0.3}), seed=0).eval()


def alone(model: Transformer, tokens: list[int]) -> torch.Tensor:
    """The oracle: hidden states of a text without a cache."""
    with torch.no_grad():
        return model.hidden_states(torch.tensor([tokens]))[0]


def empty(model: Transformer, rows: int, positions: int = 32) -> RaggedCache:
    """A cache with nothing in it."""
    return RaggedCache.empty(model.config, num_sequences=rows, num_positions=positions, like=model.cos_SE)


@torch.no_grad()
def test_rows_of_any_length_are_computed_as_alone(model: Transformer) -> None:
    """Texts fed in uneven pieces, padded beside each other, get the states that they get whole and alone."""
    cache = empty(model, len(TEXTS))
    for start, ends in ((0, (2, 1, 3)), (None, (3, 2, 7)), (None, (5, 2, 8))):
        begins = [0] * len(TEXTS) if start == 0 else cache.lengths_B.tolist()
        pieces = [text[begin:end] for text, begin, end in zip(TEXTS, begins, ends, strict=True)]
        hidden_BTD = feed(model, cache, pieces)
        for text, piece, begin, states in zip(TEXTS, pieces, begins, hidden_BTD, strict=True):
            expected = alone(model, text)[begin : begin + len(piece)]
            torch.testing.assert_close(states[: len(piece)], expected, atol=2e-5, rtol=1e-4)
    assert cache.lengths_B.tolist() == [5, 2, 8]


@torch.no_grad()
def test_rows_are_repeated_and_moved_whole(model: Transformer) -> None:
    """A common beginning is computed once and continued in several ways; a row moved to another place goes on there."""
    begun = empty(model, 1)
    feed(model, begun, [TEXTS[2][:5]])
    cache = begun.repeated([3])
    hidden_BTD = feed(model, cache, [[6, 2], [5, 4, 44], [9]])
    torch.testing.assert_close(hidden_BTD[1], alone(model, [*TEXTS[2][:5], 5, 4, 44])[5:], atol=2e-5, rtol=1e-4)
    cache.copy_row(cache, source_row=1, row=0)
    (moved_1D,) = feed(model, cache.rows(1), [[11]])
    torch.testing.assert_close(moved_1D[0], alone(model, [*TEXTS[2][:5], 5, 4, 44, 11])[-1], atol=2e-5, rtol=1e-4)
    assert cache.lengths_B.tolist() == [9, 8, 6]


@torch.no_grad()
def test_the_last_position_of_the_context_is_used(model: Transformer) -> None:
    """A row may end at the context's last position while a shorter one is padded beyond it."""
    cache = empty(model, 2, positions=31 + 4)
    long = [1 + token for token in range(32)]
    feed(model, cache, [long[:31], long[:20]])
    hidden_BTD = feed(model, cache, [long[31:], long[20:24]])
    torch.testing.assert_close(hidden_BTD[0, 0], alone(model, long)[-1], atol=2e-5, rtol=1e-4)
