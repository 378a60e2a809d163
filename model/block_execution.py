"""How the layers run while they are trained: compiled, and with activations computed again instead of kept.

    recompute   none       everything that the backward pass reads is kept
                selective  results of matrix products and attention are kept, the cheap rest is computed again
                full       only the input of each layer is kept: a third more work for an order less memory

Each layer is compiled, not the model: the layers are alike, so one is compiled for all, and of the loss, whose shapes
change with the labels, only the softmax is (losses.py). Without gradients (evaluation, samples) layers run as they are
written: texts have many lengths, and each would be compiled for.
"""

import os
import shutil
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from ctllm.model.transformer import AttentionContext, Transformer
from ctllm.schemas.errors import MissingPartError
from ctllm.schemas.training_config import LoopConfig, Recompute

Forward = Callable[[Tensor, AttentionContext], Tensor]


def is_compiled(loop: LoopConfig, *, device: torch.device) -> bool:
    """Whether layers are compiled here: `auto` is on a GPU, where there is a compiler.

    Raises MissingPartError when the config wants it and there is no C++ compiler, which torch.compile calls.
    """
    compiler = os.environ.get("CXX", "g++")  # torch's own choice
    is_there = shutil.which(compiler) is not None
    if loop.compile_layers == "always" and not is_there:
        raise MissingPartError(
            f"loop.compile_layers always: torch.compile needs a C++ compiler and there is no {compiler}; install g++, "
            "name yours in CXX, or set loop.compile_layers never"
        )
    return loop.compile_layers == "always" or (loop.compile_layers == "auto" and device.type == "cuda" and is_there)


def set_up_layers(model: Transformer, *, recompute: Recompute, compiled: bool) -> None:
    """Lets the layers of `model` run so when there are gradients. Called once, before the model is shared out."""
    model.is_compiled = compiled
    if recompute == "none" and not compiled:
        return
    for layer in model.layers:
        layer.forward = _trained(layer.forward, recompute=recompute, compiled=compiled)


def _trained(plain: Forward, *, recompute: Recompute, compiled: bool) -> Forward:
    trained = plain if recompute == "none" else _recomputed(plain, is_selective=recompute == "selective")
    if compiled:
        trained = torch.compile(trained)

    def forward(x_BTD: Tensor, context: AttentionContext) -> Tensor:
        return (trained if torch.is_grad_enabled() else plain)(x_BTD, context)

    return forward


def _recomputed(plain: Forward, *, is_selective: bool) -> Forward:
    options: dict[str, Any] = {"use_reentrant": False, "preserve_rng_state": False}  # there is no dropout
    if is_selective:
        options["context_fn"] = partial(create_selective_checkpoint_contexts, _kept())

    def forward(x_BTD: Tensor, context: AttentionContext) -> Tensor:
        y_BTD: Tensor = checkpoint(plain, x_BTD, context, **options)
        return y_BTD

    return forward


def _kept() -> list[Any]:
    """Operators whose results are kept: the layer's matrix products, and attention by any of its kernels."""
    aten = torch.ops.aten
    return [
        aten.mm.default,
        aten._scaled_dot_product_flash_attention.default,
        aten._scaled_dot_product_efficient_attention.default,
        aten._scaled_dot_product_cudnn_attention.default,
        aten._scaled_dot_product_flash_attention_for_cpu.default,
        torch.ops.torch_attn._varlen_attn.default,
        torch.ops.higher_order.flex_attention,
    ]
