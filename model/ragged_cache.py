"""A key-value cache whose sequences have different lengths: for serving many requests, for prompts with common starts.

`feed` gives every row its own next tokens, padded at the right. What was written for padding lies beyond the row's
length: no position looks at it, and the next tokens overwrite it.

Suffixes: B rows   T new positions   S positions of the cache   L layers   K key and value heads   E width of a head
    D width of the model
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from ctllm.model.attention import Mask
from ctllm.model.transformer import KeyValueCache, Transformer
from ctllm.schemas.training_config import ModelConfig


@dataclass
class RaggedCache(KeyValueCache):
    """As its parent, but every row has a length of its own; `length` stays 0."""

    lengths_B: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.int64))
    """int64, positions seen by each row."""

    @classmethod
    def empty(cls, config: ModelConfig, *, num_sequences: int, num_positions: int, like: Tensor) -> "RaggedCache":
        """Room for `num_positions`, padding included."""
        plain = KeyValueCache.empty(config, num_sequences=num_sequences, num_positions=num_positions, like=like)
        lengths_B = torch.zeros(num_sequences, dtype=torch.int64, device=like.device)
        return cls(plain.keys_LBKSE, plain.values_LBKSE, lengths_B=lengths_B)

    def extend(self, layer: int, keys_BKTE: Tensor, values_BKTE: Tensor) -> tuple[Tensor, Tensor]:
        """Stores each row's new positions after its own last one; (B, K, S, E) twice, S up to the longest row."""
        places_BT = self._places_BT(keys_BKTE.shape[2])
        rows_B1 = torch.arange(len(self.lengths_B), device=places_BT.device).unsqueeze(1)
        for store_LBKSE, new_BKTE in ((self.keys_LBKSE, keys_BKTE), (self.values_LBKSE, values_BKTE)):
            store_LBKSE[layer].transpose(1, 2)[rows_B1, places_BT] = new_BKTE.transpose(1, 2)
        end = int(places_BT.max()) + 1
        return self.keys_LBKSE[layer, :, :, :end], self.values_LBKSE[layer, :, :, :end]

    def advance(self, num_new: int) -> None:
        """Nothing: only `feed` knows how many of the new positions are not padding."""

    def positions_BT(self, num_new: int) -> Tensor:
        """Positions of each row's next tokens."""
        return self._places_BT(num_new)

    def mask(self, num_new: int) -> Mask:
        """A new token of a row sees the row's positions up to its own."""
        places_BT = self._places_BT(num_new)
        seen_S = torch.arange(int(places_BT.max()) + 1, device=places_BT.device)
        return Mask(visible_BTS=seen_S <= places_BT.unsqueeze(2))

    def rows(self, num_rows: int) -> "RaggedCache":
        """The first rows, sharing memory."""
        keys_LBKSE, values_LBKSE = self.keys_LBKSE[:, :num_rows], self.values_LBKSE[:, :num_rows]
        return RaggedCache(keys_LBKSE, values_LBKSE, lengths_B=self.lengths_B[:num_rows])

    def repeated(self, counts: Sequence[int]) -> "RaggedCache":
        """Each row as often as its count says, in order; memory of its own."""
        counts_B = torch.tensor(counts, device=self.lengths_B.device)
        keys_LBKSE, values_LBKSE = (
            each.repeat_interleave(counts_B, dim=1) for each in (self.keys_LBKSE, self.values_LBKSE)
        )
        return RaggedCache(keys_LBKSE, values_LBKSE, lengths_B=self.lengths_B.repeat_interleave(counts_B))

    def widened(self, num_positions: int) -> "RaggedCache":
        """The same with room for so many positions more; memory of its own."""
        keys_LBKSE, values_LBKSE = (
            functional.pad(each, (0, 0, 0, num_positions)) for each in (self.keys_LBKSE, self.values_LBKSE)
        )
        return RaggedCache(keys_LBKSE, values_LBKSE, lengths_B=self.lengths_B)

    def copy_row(self, source: "RaggedCache", *, source_row: int, row: int) -> None:
        """Puts a row of another cache (or of this one) in place of row `row`."""
        length = int(source.lengths_B[source_row])
        self.keys_LBKSE[:, row, :, :length] = source.keys_LBKSE[:, source_row, :, :length]
        self.values_LBKSE[:, row, :, :length] = source.values_LBKSE[:, source_row, :, :length]
        self.lengths_B[row] = length

    def _places_BT(self, num_new: int) -> Tensor:
        return self.lengths_B.unsqueeze(1) + torch.arange(num_new, device=self.lengths_B.device)


def feed(model: Transformer, cache: RaggedCache, rows: Sequence[Sequence[int]]) -> Tensor:
    """Hidden states (B, T, D) of each row's new tokens; those after a row's own last token mean nothing.

    The cache must have room for every row and the longest list of new tokens.
    """
    counts = [len(row) for row in rows]
    tokens_BT = torch.zeros(len(rows), max(counts), dtype=torch.int64)
    for number, row in enumerate(rows):
        tokens_BT[number, : len(row)] = torch.tensor(row, dtype=torch.int64)
    device = cache.lengths_B.device
    last_position = model.config.context_length - 1
    positions_BT = cache.positions_BT(tokens_BT.shape[1]).clamp(max=last_position)  # padding may lie beyond the context
    hidden_BTD = model.hidden_states(tokens_BT.to(device), positions_BT=positions_BT, cache=cache)
    cache.lengths_B += torch.tensor(counts, device=device)
    return hidden_BTD
