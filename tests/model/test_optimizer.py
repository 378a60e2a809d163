"""Which weights decay, and which get orthogonal steps."""

import torch

from ctllm.model.checkpoint import weights_digest
from ctllm.model.optimizer import build_optimizer
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.training_config import ModelConfig, OptimizerConfig


def test_norms_do_not_decay(tiny: ModelConfig) -> None:
    """Every weight is in exactly one group: matrices with the configured decay, the five norms with none."""
    model = new_transformer(tiny, seed=0)
    matrices, norms = build_optimizer(model, OptimizerConfig(weight_decay=0.3)).param_groups
    assert (matrices["weight_decay"], norms["weight_decay"]) == (0.3, 0.0)
    assert {parameter.dim() for parameter in matrices["params"]} == {2}
    assert len(norms["params"]) == 5
    assert len(matrices["params"]) + len(norms["params"]) == len(list(model.parameters()))


def test_frozen_weights_are_left_out(tiny: ModelConfig) -> None:
    """A weight that needs no gradient has no moments."""
    model = new_transformer(tiny, seed=0)
    model.embed_tokens.weight.requires_grad_(False)
    groups = build_optimizer(model, OptimizerConfig()).param_groups
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters())) - 1


def test_embeddings_need_not_decay(tiny: ModelConfig) -> None:
    """With decay_embeddings off, embedding and head stand with the norms."""
    model = new_transformer(tiny.model_copy(update={"tied_embeddings": False}), seed=0)
    matrices, norms = build_optimizer(model, OptimizerConfig(decay_embeddings=False)).param_groups
    assert len(norms["params"]) == 5 + 2
    assert len(matrices["params"]) == 2 * 7


def test_muon_steps_are_orthogonal_and_as_long_as_adamw(tiny: ModelConfig) -> None:
    """A matrix of a layer moves along U V^T of its gradient's SVD times 0.2 sqrt(width); the rest by AdamW."""
    tiny = tiny.model_copy(update={"d_model": 256})
    model, twin = new_transformer(tiny, seed=0), new_transformer(tiny, seed=0)
    config = OptimizerConfig(kind="muon", learning_rate=0.1, weight_decay=0.0)
    muon, adamw = build_optimizer(model, config), build_optimizer(twin, config.model_copy(update={"kind": "adamw"}))
    tokens_BT = torch.randint(0, 64, (4, 32), generator=torch.Generator().manual_seed(0))
    for each in (model, twin):
        torch.nn.functional.cross_entropy(each(tokens_BT).flatten(0, 1), tokens_BT.roll(-1, 1).flatten()).backward()
    before, weight = new_transformer(tiny, seed=0), model.layers[0].self_attn.q_proj.weight
    assert weight.grad is not None
    u, s, v = torch.linalg.svd(weight.grad)
    muon.step()
    adamw.step()
    moved = before.layers[0].self_attn.q_proj.weight - weight
    assert torch.equal(model.embed_tokens.weight, twin.embed_tokens.weight)
    assert torch.equal(model.norm.weight, twin.norm.weight)
    assert not torch.equal(weight, twin.layers[0].self_attn.q_proj.weight)
    large = s > s.max() / 3
    along = torch.diagonal(u.T @ moved @ v.T)[large] / (0.1 * 0.2 * 256**0.5)
    assert ((along > 0.5) & (along < 1.5)).all()


def test_muon_resumes_bit_by_bit(tiny: ModelConfig) -> None:
    """Two steps, or one step, its state into a new optimizer and another: equal weights."""
    config = OptimizerConfig(kind="muon", learning_rate=0.01)
    tokens_BT = torch.randint(0, 64, (2, 32), generator=torch.Generator().manual_seed(0))

    def step(model: Transformer, optimizer: torch.optim.Optimizer) -> None:
        model.zero_grad()
        model(tokens_BT).square().mean().backward()
        optimizer.step()

    whole, parts, other = (new_transformer(tiny, seed=seed) for seed in (0, 0, 1))
    optimizers = [build_optimizer(each, config) for each in (whole, parts, other)]
    for _ in range(2):
        step(whole, optimizers[0])
    step(parts, optimizers[1])
    other.load_state_dict(parts.state_dict())
    optimizers[2].load_state_dict(optimizers[1].state_dict())
    step(other, optimizers[2])
    assert weights_digest(other) == weights_digest(whole)
