"""Cross-entropy that never holds the logits of all positions at once.

With a vocabulary of 125,696 the logits of 8 x 4096 tokens and what softmax keeps of them need 61 GiB; a chunk of 1024
tokens needs 1.9 GiB (training-reference 3.5). `cross_entropy_sum` computes the gradient of each chunk while its logits
are there, so nothing is computed twice. Losses are sums: the trainer divides by the labels of the whole optimizer step.

Suffixes: N positions with all sequences in one row, D d_model, V vocabulary, B sequences, T positions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

IGNORED = -100
"""Label of a position that has none; torch's default."""
CHUNK_POSITIONS = (
    1024  # 0.5 GiB of float32 logits at 125,696 pieces; at 4,096 pieces the fastest of 256 to 4096 (2026-11, one core)
)
COMPILED_CHUNK_POSITIONS = 2048  # 3.0 GiB at 125,696 pieces, less than 1024 take uncompiled (2026-11, H200)


@dataclass(frozen=True)
class LossOutput:
    """What a loss function gives the trainer for one micro-batch."""

    loss_sum: Tensor
    """Scalar with a gradient: the sum over labels (pretraining, SFT) or pairs (DPO)."""
    num_label_tokens: int
    """Number of terms in the sum; the trainer divides by the total over the step."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Further figures for the ledger, as sums over the same terms."""


def _softmax(logits_NV: Tensor, labels_N: Tensor, *, keep_logits: bool = False) -> tuple[Tensor, Tensor]:
    """Sum of the losses, and the probabilities in the dtype of the logits, which are overwritten if that is float32."""
    values_NV = logits_NV.to(torch.float32, copy=keep_logits)
    label_logits_N = values_NV.gather(1, labels_N[:, None]).squeeze(1)
    maxima_N = values_NV.amax(1)
    exponentials_NV = values_NV.sub_(maxima_N[:, None]).exp_()  # in place: a second copy costs 8 % of a step on a CPU
    sums_N = exponentials_NV.sum(1)
    loss_sum = (sums_N.log() + maxima_N - label_logits_N).sum()
    return loss_sum, exponentials_NV.div_(sums_N[:, None]).to(logits_NV.dtype)


@cache
def _compiler() -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(partial(_softmax, keep_logits=True))  # 2.11's inductor fails on overwriting an input


def _compiled_softmax(logits_NV: Tensor, labels_N: Tensor) -> tuple[Tensor, Tensor]:
    """Three passes over the logits instead of ten."""
    for each in (logits_NV, labels_N):
        torch._dynamo.maybe_mark_dynamic(each, 0)  # the last chunk is shorter: not worth another kernel
    return _compiler()(logits_NV, labels_N)


class _ChunkedCrossEntropy(torch.autograd.Function):
    """Sum of -log softmax(hidden · weightᵀ)[label], with both gradients made in the forward pass."""

    @staticmethod
    def forward(  # noqa: PLR0917 - as autograd calls it
        ctx: Any,  # noqa: ANN401
        hidden_ND: Tensor,
        weight_VD: Tensor,
        labels_N: Tensor,
        chunk: int,
        compiled: bool,
    ) -> Tensor:
        softmax = _compiled_softmax if compiled else _softmax
        needs_gradient = any(ctx.needs_input_grad)
        weight_cast_VD = weight_VD.to(hidden_ND.dtype)
        grad_hidden_ND = torch.empty_like(hidden_ND) if needs_gradient else None
        grad_weight_VD = torch.zeros_like(weight_VD) if needs_gradient else None
        total = hidden_ND.new_zeros((), dtype=torch.float32)
        for start in range(0, len(labels_N), chunk):
            rows = slice(start, start + chunk)
            logits_NV = F.linear(hidden_ND[rows], weight_cast_VD)
            loss_sum, gradient_NV = softmax(logits_NV, labels_N[rows])
            total += loss_sum
            if grad_hidden_ND is None or grad_weight_VD is None:
                continue
            gradient_NV[torch.arange(len(gradient_NV), device=labels_N.device), labels_N[rows]] -= 1.0
            grad_hidden_ND[rows] = gradient_NV @ weight_cast_VD
            grad_weight_VD += gradient_NV.T @ hidden_ND[rows]
        ctx.save_for_backward(grad_hidden_ND, grad_weight_VD)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        grad_hidden_ND, grad_weight_VD = ctx.saved_tensors
        scale = grad_outputs[0]
        return grad_hidden_ND * scale.to(grad_hidden_ND.dtype), grad_weight_VD * scale, None, None, None


def cross_entropy_sum(
    hidden_BTD: Tensor, weight_VD: Tensor, labels_BT: Tensor, *, chunk: int | None = None, compiled: bool = False
) -> tuple[Tensor, int]:
    """Sum of the losses in nats over positions whose label is not IGNORED, and how many those are."""
    chunk = chunk or (COMPILED_CHUNK_POSITIONS if compiled else CHUNK_POSITIONS)
    labels_N = labels_BT.flatten()
    hidden_ND = hidden_BTD.reshape(len(labels_N), -1)
    labelled_N = labels_N != IGNORED
    num_labels = int(labelled_N.sum())
    if num_labels < len(labels_N):
        hidden_ND, labels_N = hidden_ND[labelled_N], labels_N[labelled_N]
    loss_sum: Tensor = _ChunkedCrossEntropy.apply(hidden_ND, weight_VD, labels_N, chunk, compiled)  # type: ignore[no-untyped-call]
    return loss_sum, num_labels


def token_losses(hidden_BTD: Tensor, weight_VD: Tensor, labels_BT: Tensor, *, chunk: int = CHUNK_POSITIONS) -> Tensor:
    """Loss of each position in nats, (B, T), 0 where the label is IGNORED; logits are recomputed in the backward pass.

    For what needs single terms: log-probabilities of DPO (their negatives), bits per byte.
    """
    labels_N = labels_BT.flatten()
    hidden_ND = hidden_BTD.reshape(len(labels_N), -1)
    chunks = [
        checkpoint(
            _losses_of_chunk,
            hidden_ND[start : start + chunk],
            weight_VD,
            labels_N[start : start + chunk],
            use_reentrant=False,
        )
        for start in range(0, len(labels_N), chunk)
    ]
    return torch.cat(chunks).view(labels_BT.shape)


def _losses_of_chunk(hidden_ND: Tensor, weight_VD: Tensor, labels_N: Tensor) -> Tensor:
    logits_NV = F.linear(hidden_ND, weight_VD.to(hidden_ND.dtype)).float()
    return F.cross_entropy(logits_NV, labels_N, ignore_index=IGNORED, reduction="none")
