"""Low-rank adapters: they start at the model, only they learn, and whoever loads them gets the merged model."""

from pathlib import Path

import pytest
import torch

from ctllm.model.checkpoint import load_model, restore, save_checkpoint
from ctllm.model.lora import add_adapters, merged
from ctllm.model.optimizer import build_optimizer
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.training_config import ModelConfig, OptimizerConfig
from ctllm.schemas.training_run import TrainingState
from ctllm.schemas.tuning_config import LoraConfig

TOKENS = torch.randint(0, 64, (2, 16), generator=torch.Generator().manual_seed(0))
LORA = LoraConfig(rank=3, alpha=6)


@pytest.fixture
def model(tiny: ModelConfig) -> Transformer:
    """A model with adapters."""
    model = new_transformer(tiny, seed=0)
    add_adapters(model, LORA, seed=1)
    return model


def train(model: Transformer) -> torch.optim.Optimizer:
    """Some steps that lower the loss; returns the optimizer."""
    optimizer = build_optimizer(model, OptimizerConfig(learning_rate=1e-2))
    for _ in range(5):
        model(TOKENS).logsumexp(-1).mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return optimizer


def test_the_first_step_starts_at_the_model(tiny: ModelConfig, model: Transformer) -> None:
    """Before training the adapters add nothing, bit for bit."""
    assert torch.equal(model(TOKENS), new_transformer(tiny, seed=0)(TOKENS))


def test_only_the_adapters_learn(tiny: ModelConfig, model: Transformer) -> None:
    """Every matrix of every layer has an adapter of the rank; the weights beside it, embedding and norms stay."""
    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    assert len(trainable) == 2 * 7 * tiny.num_layers
    assert trainable["layers.1.mlp.down_proj.lora_up"].shape == (tiny.d_model, 3)
    before = new_transformer(tiny, seed=0).state_dict()
    logits = model(TOKENS)
    train(model)
    assert not torch.allclose(model(TOKENS), logits)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())
    assert all(weight.abs().sum() > 0 for weight in trainable.values())


def test_named_matrices_only(tiny: ModelConfig) -> None:
    """Where the config names some matrices, the others have no adapter."""
    model = new_transformer(tiny, seed=0)
    add_adapters(model, LoraConfig(matrices=("q_proj", "v_proj")), seed=0)
    names = {name.split(".")[3] for name, weight in model.named_parameters() if weight.requires_grad}
    assert names == {"q_proj", "v_proj"}


def test_a_checkpoint_is_loaded_merged_and_resumed_bit_by_bit(
    tiny: ModelConfig, model: Transformer, tmp_path: Path
) -> None:
    """The loaded model is a plain one with the logits of the adapted one; a resume has adapters and moments."""
    optimizer = train(model)
    tokenizer = tmp_path / "tokenizer.model"
    tokenizer.write_bytes(b"not a real model")
    state = TrainingState(step=5, label_tokens=1, run_digest="", ledger_bytes=0)
    checkpoint = save_checkpoint(
        str(tmp_path), model=model, optimizer=optimizer, state=state, tokenizer=str(tokenizer), keep=1
    )
    plain, _ = load_model(checkpoint)
    assert set(plain.state_dict()) == set(new_transformer(tiny, seed=0).state_dict())
    torch.testing.assert_close(plain(TOKENS), model(TOKENS), atol=1e-5, rtol=0)
    again = new_transformer(tiny, seed=7)
    add_adapters(again, LORA, seed=9)
    restore(checkpoint, model=again, optimizer=build_optimizer(again, OptimizerConfig(learning_rate=1e-2)))
    assert torch.equal(again(TOKENS), model(TOKENS))


def test_a_plain_model_is_left_as_it_is(tiny: ModelConfig) -> None:
    """A checkpoint without adapters is not touched."""
    weights = new_transformer(tiny, seed=0).state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in merged(weights).items())
