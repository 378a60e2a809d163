"""NEFTune's noise: as large as the paper says, the same after a resume, gone outside training."""

import math

import torch

from ctllm.model.batches import Batch
from ctllm.model.embedding_noise import noise_of, noisy_embeddings, with_seeds
from ctllm.model.transformer import new_transformer
from ctllm.schemas.training_config import ModelConfig

SEGMENTS = torch.tensor([[0] * 10 + [1] * 2 + [2] * 4, [0] * 16])
BATCH = Batch(torch.zeros(2, 16, dtype=torch.int64), torch.zeros(2, 16, dtype=torch.int64), SEGMENTS, SEGMENTS)


def test_noise_is_larger_in_shorter_documents() -> None:
    """Every value lies within alpha / sqrt(length x width) of its own document, and comes near that bound."""
    noise = noise_of(with_seeds(BATCH, step=3, seed=0), width=64, alpha=5.0)
    for row, places, length in (
        (0, slice(0, 10), 10),
        (0, slice(10, 12), 2),
        (0, slice(12, 16), 4),
        (1, slice(0, 16), 16),
    ):
        largest, bound = noise[row, places].abs().max().item(), 5 / math.sqrt(length * 64)
        assert 0.9 * bound < largest <= bound


def test_noise_follows_from_the_step() -> None:
    """The same step has the same noise in micro-batches too; the next step, and the other sequence, have others."""
    batch = with_seeds(BATCH, step=3, seed=0)
    whole = noise_of(batch, width=8, alpha=1.0)
    parts = [noise_of(part, width=8, alpha=1.0) for part in batch.split(1)]
    assert torch.equal(torch.cat(parts), whole)
    assert not torch.equal(noise_of(with_seeds(BATCH, step=4, seed=0), width=8, alpha=1.0), whole)
    one_document = noise_of(with_seeds(Batch(*[SEGMENTS * 0] * 4), step=3, seed=0), width=8, alpha=1.0)
    assert not torch.equal(one_document[0], one_document[1])


def test_the_model_is_itself_again_afterwards(tiny: ModelConfig) -> None:
    """Inside the block the embedding is noisy, after it the model gives what it gave before, bit for bit."""
    model = new_transformer(tiny, seed=0)
    tokens = torch.arange(16)[None]
    before = model(tokens)
    with noisy_embeddings(model, torch.full((1, 16, tiny.d_model), 0.5)):
        assert not torch.allclose(model(tokens), before)
    assert torch.equal(model(tokens), before)
