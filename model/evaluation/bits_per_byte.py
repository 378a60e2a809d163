"""Bits per byte of held-out text: the loss of record, comparable between models with different tokenizers.

bits per byte = (sum over the text's tokens of -log2 p) / (bytes of UTF-8 text). Every token of the text counts, the
first one predicted from `<|endofdoc|>`; the end of the document does not, as it has no bytes. Documents longer than the
context are measured in pieces that do not see each other, so a model with a longer context has that advantage too.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ctllm.model.batches import Segment, collate
from ctllm.model.losses import token_losses
from ctllm.model.plan import Plan, pack_best_fit
from ctllm.model.shared_work import ALONE, SharedWork
from ctllm.model.token_shards import TokenShards
from ctllm.model.transformer import Transformer

MAX_DOCUMENTS_PER_LANE = 200  # chosen: a fair sample by key hash; 200 web pages are about 300 kB
SEQUENCES_PER_BATCH = 16  # chosen: memory of one forward pass without gradients


@dataclass(frozen=True)
class HeldOutDocument:
    """One text to be measured."""

    lane: str
    tokens: np.ndarray
    """int64: `<|endofdoc|>`, then the tokens of the text."""
    num_bytes: int


@dataclass(frozen=True)
class BitsPerByte:
    """What was measured over the documents of one lane."""

    bits: float
    num_bytes: int
    num_tokens: int
    num_documents: int

    @property
    def value(self) -> float:
        """Bits per byte."""
        return self.bits / max(self.num_bytes, 1)


def held_out_documents(
    plan: Plan, shards: TokenShards, *, max_documents_per_lane: int = MAX_DOCUMENTS_PER_LANE
) -> list[HeldOutDocument]:
    """The plan's held-out documents, the first of each lane in the order of their key hashes."""
    documents = []
    num_taken: dict[str, int] = {}
    for row in plan.held_out.to_pylist():
        lane = row["lane"]
        num_taken[lane] = num_taken.get(lane, 0) + 1
        if num_taken[lane] <= max_documents_per_lane:
            tokens = shards.tokens(row["shard"], row["offset"] - 1, row["num_tokens"])
            documents.append(HeldOutDocument(lane, tokens, row["num_bytes"]))
    return documents


@torch.no_grad()
def bits_per_byte(
    model: Transformer, documents: Sequence[HeldOutDocument], *, work: SharedWork = ALONE
) -> dict[str, BitsPerByte]:
    """Lane to bits per byte. Documents are packed and masked, so the cost is that of their tokens."""
    pieces = [(number, piece) for number, document in enumerate(documents) for piece in _pieces(document, model)]
    lengths = np.array([len(inputs) for _, (inputs, _) in pieces], np.int64)
    nats = np.zeros(len(documents))
    rows = pack_best_fit(lengths, capacity=model.config.context_length)
    batches = [rows[start : start + SEQUENCES_PER_BATCH] for start in range(0, len(rows), SEQUENCES_PER_BATCH)]

    def batch_losses(number: int) -> np.ndarray:
        with torch.no_grad():
            return _losses(model, [[pieces[piece][1] for piece in row] for row in batches[number]])

    for members, losses_BT in zip(batches, work.each(len(batches), batch_losses), strict=True):
        for row, losses_T in zip(members, losses_BT, strict=True):
            ends = np.cumsum(lengths[row])
            for piece, part in zip(row, np.split(losses_T, ends)[:-1], strict=True):
                nats[pieces[piece][0]] += part.sum()
    return {lane: _sum(documents, nats, lane) for lane in sorted({document.lane for document in documents})}


def _pieces(document: HeldOutDocument, model: Transformer) -> list[Segment]:
    inputs, labels = document.tokens[:-1], document.tokens[1:]
    length = model.config.context_length
    return [(inputs[at : at + length], labels[at : at + length]) for at in range(0, len(inputs), length)]


def _losses(model: Transformer, rows: Sequence[Sequence[Segment]]) -> np.ndarray:
    """Losses in nats, (sequences, positions), float64; padding has 0."""
    longest = max(sum(len(inputs) for inputs, _ in row) for row in rows)
    batch = collate(rows, context_length=longest, padding_id=0).to(model.head_weight_VD.device)
    hidden_BTD = model.hidden_states(batch.tokens_BT, positions_BT=batch.positions_BT, segments_BT=batch.segments_BT)
    return token_losses(hidden_BTD, model.head_weight_VD, batch.labels_BT).double().cpu().numpy()


def _sum(documents: Sequence[HeldOutDocument], nats: np.ndarray, lane: str) -> BitsPerByte:
    members = [number for number, document in enumerate(documents) if document.lane == lane]
    return BitsPerByte(
        bits=float(nats[members].sum()) / math.log(2),
        num_bytes=sum(documents[number].num_bytes for number in members),
        num_tokens=sum(len(documents[number].tokens) - 1 for number in members),
        num_documents=len(members),
    )
