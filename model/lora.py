"""Low-rank adapters (LoRA, arXiv 2106.09685): the weights stay, beside each matrix of the layers two thin ones learn.

    y = W x + (alpha / rank) · B A x        A (rank, inputs) random, B (outputs, rank) zero: the first step starts at W

A checkpoint of such a run holds both; whoever loads it gets the merged model, so that evaluation, chat, export and the
next stage know nothing of adapters. Only the adapters have moments: a run on the 2B model needs 4 instead of 12 bytes a
weight.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctllm.model.transformer import Linear, Transformer
from ctllm.schemas.tuning_config import LoraConfig

_DOWN, _UP, _SCALE = ".lora_down", ".lora_up", ".lora_scale"


class AdaptedLinear(Linear):
    """A frozen linear map with an adapter beside it; keeps the name of its weight."""

    lora_scale: Tensor

    def __init__(self, base: Linear, config: LoraConfig, *, generator: torch.Generator) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = base.in_features, base.out_features
        self.register_parameter("bias", None)
        self.weight = base.weight
        device = base.weight.device
        down = torch.empty(config.rank, base.in_features).uniform_(-1, 1, generator=generator)
        self.lora_down = nn.Parameter(
            (down / math.sqrt(base.in_features)).to(device)
        )  # variance 1/(3 n), as nn.Linear's
        self.lora_up = nn.Parameter(torch.zeros(base.out_features, config.rank, device=device))
        self.register_buffer("lora_scale", torch.tensor(config.alpha / config.rank, device=device))

    def forward(self, x: Tensor) -> Tensor:
        """(…, inputs) to (…, outputs)."""
        low = F.linear(x, self.lora_down.to(x.dtype))
        return super().forward(x) + F.linear(low, self.lora_up.to(x.dtype)) * self.lora_scale.to(x.dtype)


def add_adapters(model: Transformer, config: LoraConfig, *, seed: int) -> None:
    """Freezes `model` and gives every matrix named in the config an adapter, drawn on the CPU from the seed."""
    model.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    for path, module in list(model.layers.named_modules()):
        parent, _, name = path.rpartition(".")
        if isinstance(module, Linear) and name in config.matrices:
            setattr(model.layers.get_submodule(parent), name, AdaptedLinear(module, config, generator=generator))


def merged(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict of the plain model; one without adapters is returned as it is."""
    plain = {name: tensor for name, tensor in weights.items() if ".lora_" not in name}
    for name, down in weights.items():
        if name.endswith(_DOWN):
            base = name.removesuffix(_DOWN)
            weight = plain[f"{base}.weight"]
            change = weights[base + _UP].double() @ down.double() * weights[base + _SCALE].double()
            plain[f"{base}.weight"] = (weight.double() + change).to(weight.dtype)
    return plain
