"""Losses of preference pairs, each (B,) from the gains of the two answers over the reference. Formulas follow TRL.

A gain is the policy's log-probability of an answer minus the reference's, summed over the answer's tokens, in nats.
Suffix: B pairs.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ctllm.schemas.tuning_config import DpoLoss


@dataclass(frozen=True)
class Gains:
    """What the policy has gained over the reference on each pair."""

    chosen_B: Tensor
    rejected_B: Tensor
    chosen_tokens_B: Tensor
    """Tokens of the chosen answer, its end of turn included."""
    rejected_tokens_B: Tensor

    @property
    def margin_B(self) -> Tensor:
        """How much more the chosen answer has gained."""
        return self.chosen_B - self.rejected_B

    @property
    def margin_per_token_B(self) -> Tensor:
        """The same with each gain divided by its answer's length."""
        return self.chosen_B / self.chosen_tokens_B - self.rejected_B / self.rejected_tokens_B


def sigmoid_loss(gains: Gains, *, beta: float) -> Tensor:
    """DPO (arXiv 2305.18290, equation 7); ln 2 where nothing is gained."""
    return -F.logsigmoid(beta * gains.margin_B)


def sigmoid_norm_loss(gains: Gains, *, beta: float) -> Tensor:
    """DPO on gains per token, so that length earns nothing."""
    return -F.logsigmoid(beta * gains.margin_per_token_B)


def robust_loss(gains: Gains, *, beta: float, label_smoothing: float) -> Tensor:
    """Unbiased when a share `label_smoothing` of the pairs is swapped (arXiv 2403.00409)."""
    kept, swapped = F.logsigmoid(beta * gains.margin_B), F.logsigmoid(-beta * gains.margin_B)
    return (label_smoothing * swapped - (1 - label_smoothing) * kept) / (1 - 2 * label_smoothing)


def hinge_loss(gains: Gains, *, beta: float) -> Tensor:
    """SLiC's margin (arXiv 2305.10425): 0 once the rewards are 1 apart."""
    return F.relu(1 - beta * gains.margin_B)


def ipo_loss(gains: Gains, *, beta: float) -> Tensor:
    """IPO (arXiv 2310.12036, equation 17) on gains per token, as TRL agreed with its authors; rests at 1/(2 beta)."""
    return (gains.margin_per_token_B - 1 / (2 * beta)) ** 2


def apo_zero_loss(gains: Gains, *, beta: float) -> Tensor:
    """APO-zero (arXiv 2408.06266): the chosen answer must rise and the rejected one fall, not only move apart."""
    return 1 - F.sigmoid(beta * gains.chosen_B) + F.sigmoid(beta * gains.rejected_B)


def pair_losses(kind: DpoLoss, gains: Gains, *, beta: float, label_smoothing: float = 0.0) -> Tensor:
    """The loss of the config, (B,)."""
    if kind == "robust":
        return robust_loss(gains, beta=beta, label_smoothing=label_smoothing)
    plain = {
        "sigmoid": sigmoid_loss,
        "sigmoid_norm": sigmoid_norm_loss,
        "hinge": hinge_loss,
        "ipo": ipo_loss,
        "apo_zero": apo_zero_loss,
    }
    return plain[kind](gains, beta=beta)
