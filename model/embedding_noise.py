"""NEFTune (arXiv 2310.05914): uniform noise on the embeddings while SFT learns, larger in shorter conversations.

The noise of a sequence follows from a seed in the batch, so a resumed run, or one with other micro-batches, has the
same. Suffixes: B sequences, T positions, D d_model.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ctllm.model.batches import Batch
from ctllm.model.transformer import Transformer


@dataclass(frozen=True)
class NoisyBatch(Batch):
    """A batch whose sequences have a seed each."""

    seeds_B: Tensor


def with_seeds(batch: Batch, *, step: int, seed: int) -> NoisyBatch:
    """The batch with seeds that follow from run, step and place."""
    seeds = np.random.default_rng([seed, step]).integers(0, 1 << 62, size=batch.num_sequences)
    return NoisyBatch(
        batch.tokens_BT,
        batch.labels_BT,
        batch.positions_BT,
        batch.segments_BT,
        torch.from_numpy(seeds.astype(np.int64)),
    )


def noise_of(batch: NoisyBatch, *, width: int, alpha: float) -> Tensor:
    """(B, T, D), float32, on the CPU: uniform in ±alpha / sqrt(length · D), the length that of the token's document."""
    segments_BT = batch.segments_BT.cpu()
    counts_BS = torch.zeros(len(segments_BT), int(segments_BT.max()) + 1, dtype=torch.int64)
    counts_BS.scatter_add_(1, segments_BT, torch.ones_like(segments_BT))
    bounds_BT = alpha / torch.sqrt(counts_BS.gather(1, segments_BT).float() * width)
    shape = (segments_BT.shape[1], width)
    rows = [
        torch.empty(shape).uniform_(-1, 1, generator=torch.Generator().manual_seed(seed))
        for seed in batch.seeds_B.tolist()
    ]
    return torch.stack(rows) * bounds_BT.unsqueeze(-1)


@contextmanager
def noisy_embeddings(model: Transformer, noise_BTD: Tensor) -> Iterator[None]:
    """Adds the noise to what the embedding gives inside the block."""

    def add(_module: object, _inputs: object, embedded_BTD: Tensor) -> Tensor:
        return embedded_BTD + noise_BTD.to(embedded_BTD)

    handle = model.embed_tokens.register_forward_hook(add)
    try:
        yield
    finally:
        handle.remove()
