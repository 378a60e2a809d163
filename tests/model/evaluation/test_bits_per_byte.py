"""Bits per byte against a plain sum over single documents."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ctllm.model.evaluation.bits_per_byte import HeldOutDocument, bits_per_byte, held_out_documents
from ctllm.model.plan import Plan, make_plan
from ctllm.model.token_shards import TokenShards
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.training_config import ModelConfig, PlanConfig


def document(lane: str, length: int) -> HeldOutDocument:
    """A document of `length` tokens of three bytes each."""
    return HeldOutDocument(lane, np.array([1, *(place % 60 + 2 for place in range(length))], np.int64), 3 * length)


def plain_bits(model: Transformer, tokens: np.ndarray) -> float:
    """The oracle: one document at a time, one context window after the other, all logits."""
    inputs, labels = torch.from_numpy(tokens[:-1]), torch.from_numpy(tokens[1:])
    nats = 0.0
    for start in range(0, len(inputs), model.config.context_length):
        window = slice(start, start + model.config.context_length)
        with torch.no_grad():
            nats += F.cross_entropy(model(inputs[None, window])[0], labels[window], reduction="sum").item()
    return nats / math.log(2)


def test_packed_measurement_equals_plain(tiny: ModelConfig) -> None:
    """Packed in batches, short, long and exactly fitting documents get the bits they get alone; lanes stay apart."""
    model = new_transformer(tiny.model_copy(update={"init_std": 0.2}), seed=0).eval()
    documents = [document(lane, length) for lane in ("zh", "en") for length in (1, 5, 32, 33, 100, 31, 64)]
    measured = bits_per_byte(model, documents)
    assert set(measured) == {"zh", "en"}
    for lane, result in measured.items():
        members = [each for each in documents if each.lane == lane]
        assert result.bits == pytest.approx(sum(plain_bits(model, each.tokens) for each in members), rel=1e-5)
        assert (result.num_bytes, result.num_tokens, result.num_documents) == (3 * 266, 266, 7)
        assert result.value == result.bits / (3 * 266)


def test_a_guessing_model_needs_log_of_the_vocabulary(tiny: ModelConfig) -> None:
    """With all logits equal a token of three bytes costs log2(64) = 6 bits, 2 bits a byte."""
    model = new_transformer(tiny, seed=0).eval()
    with torch.no_grad():
        model.norm.weight.zero_()
    assert bits_per_byte(model, [document("zh", 10)])["zh"].value == pytest.approx(2.0, abs=1e-6)


def test_held_out_documents_are_whole_texts(write_shards: Callable[..., TokenShards], tmp_path: Path) -> None:
    """Each starts with an end of document and ends with its last token of text; the limit is per lane."""
    shards = write_shards([(lane, [number + 2, 9, 9]) for lane in ("zh", "en") for number in range(40)])
    make_plan(shards.directory, config=PlanConfig(held_out_share=0.3), out=str(tmp_path / "plan"))
    plan = Plan(str(tmp_path / "plan"), shards=shards)
    documents = held_out_documents(plan, shards, max_documents_per_lane=3)
    assert sorted(each.lane for each in documents) == ["en"] * 3 + ["zh"] * 3
    assert {(len(each.tokens), int(each.tokens[0]), int(each.tokens[-1]), each.num_bytes) for each in documents} == {
        (4, 1, 9, 6)
    }
