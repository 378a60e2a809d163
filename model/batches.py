"""Batches: packed sequences with labels, positions and document numbers; batch k follows from the plan and k alone.

Suffixes: B sequences, T positions.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from ctllm.model.losses import IGNORED
from ctllm.model.plan import Plan
from ctllm.model.token_shards import TokenShards

TokenArray = np.ndarray[tuple[int], np.dtype[np.int64]]
Segment = tuple[TokenArray, TokenArray]
"""Inputs and labels of one document (or a piece of one), equally long."""


@dataclass(frozen=True)
class TensorBatch:
    """Base of what one optimizer step trains on: a frozen dataclass of tensors whose first axis counts sequences.

    The first tensor holds the tokens, positions along its last axis.
    """

    @property
    def num_sequences(self) -> int:
        """Length of the first axis."""
        return int(self._tensors()[0].shape[0])

    @property
    def num_positions(self) -> int:
        """Of all sequences, padding included."""
        return self._tensors()[0].numel()

    @property
    def context_length(self) -> int:
        """Positions in one sequence."""
        return int(self._tensors()[0].shape[-1])

    def split(self, size: int) -> Iterator[Self]:
        """Micro-batches of at most `size` sequences, in order."""
        for start in range(0, self.num_sequences, size):
            parts = {field.name: getattr(self, field.name)[start : start + size] for field in fields(self)}
            yield replace(self, **parts)

    def share(self, rank: int, size: int) -> Self:
        """Every `size`-th sequence, from `rank`: what one of `size` processes trains on."""
        return replace(self, **{field.name: getattr(self, field.name)[rank::size] for field in fields(self)})

    def to(self, device: torch.device | str) -> Self:
        """The same batch on `device`."""
        return replace(self, **{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def digest(self) -> str:
        """16 hex digits of the bytes of all tensors."""
        digest = hashlib.sha256()
        for tensor in self._tensors():
            digest.update(tensor.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _tensors(self) -> list[Tensor]:
        return [getattr(self, field.name) for field in fields(self)]


@dataclass(frozen=True)
class Batch(TensorBatch):
    """Sequences of packed documents, all int64."""

    tokens_BT: Tensor
    labels_BT: Tensor
    """The token to be predicted at each position; IGNORED where there is none."""
    positions_BT: Tensor
    """From 0 in each document."""
    segments_BT: Tensor
    """Number of the document within its sequence, from 0; padding has a number of its own."""


def collate(rows: Sequence[Sequence[Segment]], *, context_length: int, padding_id: int) -> Batch:
    """One sequence per row: its segments one after the other, padded to `context_length` with unlabelled positions.

    Raises ValueError when a row is longer.
    """
    shape = (len(rows), context_length)
    tokens_BT, labels_BT = np.full(shape, padding_id, np.int64), np.full(shape, IGNORED, np.int64)
    positions_BT, segments_BT = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, segments in enumerate(rows):
        start = 0
        for number, (inputs, labels) in enumerate(segments):
            end = start + len(inputs)
            if end > context_length:
                raise ValueError(f"sequence {row} needs {end} positions or more, context_length is {context_length}")
            tokens_BT[row, start:end], labels_BT[row, start:end] = inputs, labels
            positions_BT[row, start:end], segments_BT[row, start:end] = np.arange(len(inputs)), number
            start = end
        positions_BT[row, start:], segments_BT[row, start:] = np.arange(context_length - start), len(segments)
    return Batch(*(torch.from_numpy(array) for array in (tokens_BT, labels_BT, positions_BT, segments_BT)))


class PlanBatches:
    """The batches of a plan: `batch(k)` is a pure function of plan and k, in any order."""

    def __init__(self, plan: Plan, shards: TokenShards, *, sequences_per_step: int) -> None:
        self.plan, self.shards, self.sequences_per_step = plan, shards, sequences_per_step

    def batch(self, step: int) -> Batch:
        """The whole batch of optimizer step `step`.

        After its last sequence the plan begins again in another order, which follows from its seed and the pass.
        """
        first = step * self.sequences_per_step
        numbers = range(first, first + self.sequences_per_step)
        rows = [self._row(self.plan.sequence(number)) for number in numbers]
        return collate(rows, context_length=self.plan.context_length, padding_id=self.shards.end_of_document_id)

    def _row(self, segments: np.ndarray) -> list[Segment]:
        return [self.shards.segment(int(shard), int(offset), int(length)) for shard, offset, length in segments]
