"""Chunked cross-entropy against torch's whole one."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ctllm.model import losses
from ctllm.model.losses import IGNORED, cross_entropy_sum, token_losses


def problem() -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states (2, 10, 8), a head for 30 pieces, labels with gaps."""
    generator = torch.Generator().manual_seed(0)
    hidden_BTD = torch.randn(2, 10, 8, generator=generator, requires_grad=True)
    weight_VD = torch.randn(30, 8, generator=generator, requires_grad=True)
    labels_BT = torch.randint(0, 30, (2, 10), generator=generator)
    labels_BT[0, :3] = labels_BT[1, 4] = IGNORED
    return hidden_BTD, weight_VD, labels_BT


def whole(hidden_BTD: Tensor, weight_VD: Tensor, labels_BT: Tensor) -> Tensor:
    """The oracle: all logits at once."""
    logits_NV = (hidden_BTD @ weight_VD.T).flatten(0, 1)
    return F.cross_entropy(logits_NV, labels_BT.flatten(), ignore_index=IGNORED, reduction="sum")


@pytest.mark.parametrize("compiled", [False, True], ids=["plain", "compiled"])
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_chunked_equals_whole(chunk: int, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss, number of labels and both gradients are those of the whole logits, whatever the chunk and its factor.

    Compiled by torch's own reference back end, for inductor takes a minute.
    """
    monkeypatch.setattr(losses, "_compiler", lambda: torch.compile(losses._softmax, backend="aot_eager"))
    hidden_BTD, weight_VD, labels_BT = problem()
    expected = whole(hidden_BTD, weight_VD, labels_BT)
    expected_gradients = torch.autograd.grad(expected * 0.3, (hidden_BTD, weight_VD))
    loss_sum, num_labels = cross_entropy_sum(hidden_BTD, weight_VD, labels_BT, chunk=chunk, compiled=compiled)
    gradients = torch.autograd.grad(loss_sum * 0.3, (hidden_BTD, weight_VD))
    assert num_labels == 16
    torch.testing.assert_close(loss_sum, expected, atol=1e-6, rtol=1e-6)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("chunk", [7, 1000])
def test_token_losses_are_the_terms_of_the_sum(chunk: int) -> None:
    """Single losses stand at their positions, 0 where there is no label, and can be weighted in the backward pass."""
    hidden_BTD, weight_VD, labels_BT = problem()
    losses_BT = token_losses(hidden_BTD, weight_VD, labels_BT, chunk=chunk)
    torch.testing.assert_close(losses_BT.sum(), whole(hidden_BTD, weight_VD, labels_BT), atol=1e-6, rtol=1e-6)
    assert torch.equal(losses_BT == 0, labels_BT == IGNORED)
    only_second = torch.autograd.grad(losses_BT[1].sum(), hidden_BTD)[0]
    assert only_second[0].abs().max() == 0
    assert only_second[1].abs().max() > 0


def test_no_label_gives_zero() -> None:
    """A micro-batch without labels adds nothing and its gradient is zero, not NaN."""
    hidden_BTD, weight_VD, labels_BT = problem()
    loss_sum, num_labels = cross_entropy_sum(hidden_BTD, weight_VD, torch.full_like(labels_BT, IGNORED))
    gradient = torch.autograd.grad(loss_sum, hidden_BTD)[0]
    assert (loss_sum.item(), num_labels, gradient.abs().max().item()) == (0.0, 0, 0.0)


def test_large_logits_stay_finite() -> None:
    """Logits of thousands do not overflow."""
    hidden_BTD, weight_VD, labels_BT = problem()
    loss_sum, _ = cross_entropy_sum(hidden_BTD * 1000, weight_VD, labels_BT)
    torch.testing.assert_close(loss_sum, whole(hidden_BTD * 1000, weight_VD, labels_BT), rtol=1e-6, atol=1e-6)
