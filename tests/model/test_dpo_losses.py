"""The losses of preference pairs against worked examples and against what TRL's trainer computes."""

import json
import math
from pathlib import Path
from typing import get_args

import pytest
import torch

from ctllm.model.dpo_losses import Gains, pair_losses
from ctllm.schemas.tuning_config import DpoLoss

GOLDEN = {
    "sigmoid": 0.684548,
    "hinge": 0.975000,
    "ipo": 25.066712,  # by hand; the reference prints 25.066711, which is its float32
    "sigmoid_norm": 0.693052,
    "robust": 0.681423,
    "apo_zero": 0.993759,
}  # training-reference section 12


def gains(*, chosen: list[float], rejected: list[float], lengths: tuple[list[int], list[int]]) -> Gains:
    """Gains of a batch."""
    return Gains(
        torch.tensor(chosen, dtype=torch.float64),
        torch.tensor(rejected, dtype=torch.float64),
        torch.tensor(lengths[0]),
        torch.tensor(lengths[1]),
    )


@pytest.mark.parametrize("kind", get_args(DpoLoss))
def test_golden_values(kind: DpoLoss) -> None:
    """Every loss has the value that TRL's formula gives for the reference pairs."""
    pairs = gains(chosen=[-10 + 11, -12 + 11.5], rejected=[-14 + 13, -11 + 12], lengths=([5, 6], [7, 4]))
    losses = pair_losses(kind, pairs, beta=0.1, label_smoothing=0.1 if kind == "robust" else 0.0)
    assert losses.shape == (2,)
    assert losses.mean().item() == pytest.approx(GOLDEN[kind], abs=1e-6)


@pytest.mark.parametrize("kind", get_args(DpoLoss))
def test_parity_with_trl(kind: DpoLoss) -> None:
    """Every loss of every pair is what TRL's trainer computes in float32, to 1e-6; `trl_losses.json` says how."""
    recorded = json.loads((Path(__file__).parent / "trl_losses.json").read_text())
    assert len(recorded["pairs"]) == 24
    for pair in recorded["pairs"]:
        policy_2 = torch.stack([torch.tensor(tokens).sum() for tokens in pair["tokens"]])
        chosen, rejected = policy_2 - torch.tensor(pair["reference"])
        lengths = [torch.tensor([len(tokens)]) for tokens in pair["tokens"]]
        loss = pair_losses(
            kind,
            Gains(chosen[None], rejected[None], *lengths),
            beta=pair["beta"],
            label_smoothing=0.1 if kind == "robust" else 0.0,
        )
        assert loss.item() == pytest.approx(pair["losses"][kind], abs=1e-6, rel=1e-6)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("sigmoid", math.log(2)), ("sigmoid_norm", math.log(2)), ("hinge", 1.0), ("ipo", 6.25), ("apo_zero", 1.0)],
)
def test_no_gain(kind: DpoLoss, expected: float) -> None:
    """A policy that equals its reference has the loss that its formula gives for zero, whatever the lengths."""
    losses = pair_losses(kind, gains(chosen=[0.0], rejected=[0.0], lengths=([3], [9])), beta=0.2)
    assert losses.item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("kind", get_args(DpoLoss))
def test_a_larger_margin_costs_less(kind: DpoLoss) -> None:
    """Moving the chosen answer up and the rejected one down never costs more: no sign is swapped."""
    margins = torch.linspace(-4, 2, 13).tolist()
    lengths = [4] * len(margins)
    pairs = gains(chosen=margins, rejected=[-margin for margin in margins], lengths=(lengths, lengths))
    losses = pair_losses(kind, pairs, beta=0.1, label_smoothing=0.1 if kind == "robust" else 0.0).tolist()
    assert losses == sorted(losses, reverse=True)
    assert losses[0] > losses[-1]


def test_robust_without_noise_is_sigmoid() -> None:
    """With no swapped pairs assumed the robust loss is the plain one."""
    pairs = gains(chosen=[1.0, -2.0], rejected=[0.5, 3.0], lengths=([1, 1], [1, 1]))
    assert torch.equal(pair_losses("robust", pairs, beta=0.3), pair_losses("sigmoid", pairs, beta=0.3))
