"""Which weights decay."""

from ctllm.model.optimizer import build_optimizer
from ctllm.model.transformer import new_transformer
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
