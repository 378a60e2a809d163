"""Batches: what stands where, and that batch k depends on nothing but the plan and k."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ctllm.model.batches import Batch, PlanBatches, Segment, collate
from ctllm.model.losses import IGNORED
from ctllm.model.plan import Plan, make_plan
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import AccountingError
from ctllm.schemas.training_config import PlanConfig


def segment(*tokens: int) -> Segment:
    """Predicts `tokens` from the end of document (1) and each other."""
    return np.array([1, *tokens[:-1]], np.int64), np.array(tokens, np.int64)


def test_collate_lays_documents_side_by_side() -> None:
    """Positions count from 0 in each document, documents are numbered, padding has its own number and no labels."""
    batch = collate([[segment(5, 6, 1), segment(7, 1)], [segment(8)]], context_length=6, padding_id=1)
    assert batch.tokens_BT.tolist() == [[1, 5, 6, 1, 7, 1], [1, 1, 1, 1, 1, 1]]
    assert batch.labels_BT.tolist() == [[5, 6, 1, 7, 1, IGNORED], [8, *[IGNORED] * 5]]
    assert batch.positions_BT.tolist() == [[0, 1, 2, 0, 1, 0], [0, 0, 1, 2, 3, 4]]
    assert batch.segments_BT.tolist() == [[0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 1, 1]]


def test_collate_refuses_an_overfull_row() -> None:
    """A row that does not fit is an error, never cut."""
    with pytest.raises(ValueError, match="sequence 0 needs 3 positions or more, context_length is 2"):
        collate([[segment(5, 6, 1)]], context_length=2, padding_id=1)


def test_micro_batches_are_slices() -> None:
    """Split into micro-batches a batch keeps its sequences in order; the last may be shorter."""
    batch = collate([[segment(token)] for token in range(5)], context_length=2, padding_id=1)
    parts = list(batch.split(2))
    assert [part.num_sequences for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([part.labels_BT for part in parts]), batch.labels_BT)
    assert len({part.digest() for part in [batch, *parts]}) == 4


@pytest.fixture
def batches(write_shards: Callable[..., TokenShards], tmp_path: Path) -> PlanBatches:
    """Batches of six sequences over a plan of about twenty."""
    shards = write_shards([("zh", list(range(2, 2 + length))) for length in range(3, 36)])
    make_plan(shards.directory, config=PlanConfig(context_length=32, held_out_share=0), out=str(tmp_path / "plan"))
    return PlanBatches(Plan(str(tmp_path / "plan"), shards=shards), shards, sequences_per_step=6)


def test_a_batch_follows_from_its_number(batches: PlanBatches) -> None:
    """Asked in any order, over several passes, batch k is the same, and the passes cover the plan evenly."""
    digests = {step: batches.batch(step).digest() for step in range(12)}
    assert {step: batches.batch(step).digest() for step in (11, 3, 7, 0)} == {k: digests[k] for k in (11, 3, 7, 0)}
    assert len(set(digests.values())) == 12


@pytest.mark.parametrize("size", [1, 2, 3])
def test_processes_share_the_same_batch(batches: PlanBatches, size: int) -> None:
    """Together the processes of a run train on exactly the sequences of the batch, each on as many."""
    whole = batches.batch(5)
    parts = [whole.share(rank, size) for rank in range(size)]
    assert [part.num_sequences for part in parts] == [6 // size] * size
    for name in ("tokens_BT", "labels_BT", "positions_BT", "segments_BT"):
        merged = torch.stack([getattr(part, name) for part in parts], dim=1).flatten(0, 1)
        assert torch.equal(merged, getattr(whole, name))


def test_digest_sees_every_tensor() -> None:
    """Changing one label, or one position, changes the digest."""
    batch = collate([[segment(5, 6)]], context_length=2, padding_id=1)
    changed = [
        Batch(batch.tokens_BT, batch.labels_BT + 1, batch.positions_BT, batch.segments_BT),
        Batch(batch.tokens_BT, batch.labels_BT, batch.positions_BT + 1, batch.segments_BT),
    ]
    assert len({each.digest() for each in [batch, *changed]}) == 3


def test_a_damaged_shard_is_named(batches: PlanBatches) -> None:
    """A token that no tokenizer of this vocabulary gives, in a shard of the right length, is not looked up."""
    shard = batches.shards.manifest.shards[0]
    path = Path(batches.shards.directory, "tokens", f"{shard.name}.bin")
    changed = np.fromfile(path, "<u2")
    changed[1:] = 60_000
    changed.tofile(path)
    damaged = PlanBatches(batches.plan, TokenShards(batches.shards.directory), sequences_per_step=6)
    with pytest.raises(
        AccountingError, match=rf"{shard.name}\.bin: token 60000 within .*, above the vocabulary of 64: "
    ):
        damaged.batch(0)
