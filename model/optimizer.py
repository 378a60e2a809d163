"""AdamW in two groups, or Muon for the layers' matrices beside AdamW for the rest.

Norms are never decayed; the embedding is, as in CT-LLM's Megatron script, unless the config says otherwise. Muon
(torch's; arXiv 2502.16982) replaces each momentum by its nearest orthogonal matrix, scaled to the root mean square that
AdamW's steps have, so that one learning rate and one decay serve both.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ctllm.schemas.training_config import OptimizerConfig

EMBEDDINGS = ("embed_tokens.weight", "lm_head.weight")


class MuonAdamW(torch.optim.Optimizer):
    """Both optimizers as one: their groups, their states and their steps."""

    def __init__(self, matrices: Sequence[Tensor], rest: list[dict[str, Any]], *, config: OptimizerConfig) -> None:
        self._muon = torch.optim.Muon(
            matrices,
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
            momentum=config.muon_momentum,
            adjust_lr_fn="match_rms_adamw",
        )
        self._adamw = _adamw(rest, config)
        super().__init__([*self._muon.param_groups, *self._adamw.param_groups], {})
        self._share()

    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ANN401, ARG002
        """One step of each."""
        self._muon.step()  # type: ignore[no-untyped-call]
        self._adamw.step()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads into both."""
        super().load_state_dict(state_dict)
        self._share()

    def _share(self) -> None:
        """The two optimizers work on this one's groups and state."""
        self._muon.param_groups, self._adamw.param_groups = self.param_groups[:1], self.param_groups[1:]
        self._muon.state = self._adamw.state = self.state


def build_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The config's optimizer over the trainable weights of `model`."""
    trainable = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    embeddings = [weight for name, weight in trainable.items() if name in EMBEDDINGS]
    matrices = [weight for name, weight in trainable.items() if weight.dim() >= 2 and name not in EMBEDDINGS]
    norms = [weight for weight in trainable.values() if weight.dim() < 2]
    undecayed = {"params": norms if config.decay_embeddings else norms + embeddings, "weight_decay": 0.0}
    decayed = embeddings if config.decay_embeddings else []
    if config.kind == "muon":
        rest = [{"params": decayed, "weight_decay": config.weight_decay}] if decayed else []
        return MuonAdamW(matrices, [*rest, undecayed], config=config)
    return _adamw([{"params": decayed + matrices, "weight_decay": config.weight_decay}, undecayed], config)


def _adamw(groups: list[dict[str, Any]], config: OptimizerConfig) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        groups,
        lr=config.learning_rate,
        betas=(config.beta1, config.beta2),
        eps=config.epsilon,
        fused=True,  # 1.2 ms against 3.7 ms of foreach at 1.3 M weights on one core (2026-11)
    )
