"""DPO losses of TRL's own trainer for random log-probabilities, as JSON: the data of `tests/model/test_dpo_losses.py`.

In an environment that has TRL (it is no dependency of ours):

    pip install trl==1.16.0 && python benchmarks/trl_losses.py > tests/model/trl_losses.json

`trl.DPOTrainer._compute_loss` is called as it is, one pair at a time in float32, with a model that returns the given
log-probabilities of tokens and with precomputed references.
"""

import json
import random
from collections import defaultdict
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import torch
import trl

LOSSES = ("sigmoid", "hinge", "ipo", "robust", "sigmoid_norm", "apo_zero")
NUM_PAIRS = 24


def random_pairs() -> list[dict[str, Any]]:
    """Pairs of answers from one token to thirty, gains from none to large, two values of beta."""
    draw = random.Random(20261126)
    pairs = []
    for number in range(NUM_PAIRS):
        tokens = [[round(-draw.expovariate(0.5), 3) for _ in range(draw.randint(1, 30))] for _ in range(2)]
        shift = draw.choice([0.0, 0.1, 3.0, 30.0])
        reference = [round(sum(each) + draw.uniform(-shift, shift), 3) for each in tokens]
        pairs.append({"tokens": tokens, "reference": reference, "beta": (0.1, 0.5)[number % 2]})
    return pairs


def trl_loss(pair: dict[str, Any], loss: str, *, smoothing: float) -> float:
    """What TRL computes for one pair."""
    length = max(map(len, pair["tokens"]))
    log_probs = torch.tensor([each + [0.0] * (length - len(each)) for each in pair["tokens"]])
    mask = torch.tensor([[0] + [1] * len(each) + [0] * (length - len(each)) for each in pair["tokens"]])
    trainer = MagicMock()
    trainer.configure_mock(
        aux_loss_enabled=False, ld_alpha=None, precompute_ref_logps=True, f_divergence_type="reverse_kl",
        loss_types=[loss], loss_weights=[1.0], beta=pair["beta"], label_smoothing=smoothing, use_weighting=False,
        _metrics=defaultdict(lambda: defaultdict(list)),
    )  # fmt: skip
    trainer.accelerator.device = torch.device("cpu")
    trainer.accelerator.gather_for_metrics = trainer.accelerator.gather = lambda tensor: tensor
    output = SimpleNamespace(
        log_probs=log_probs, loss=None, aux_loss=None, entropy=log_probs, mean_logits=log_probs, is_top1=mask[:, 1:] > 0
    )
    inputs = {
        "input_ids": torch.ones_like(mask), "attention_mask": torch.ones_like(mask), "completion_mask": mask,
        "ref_chosen_logps": torch.tensor(pair["reference"][:1]),
        "ref_rejected_logps": torch.tensor(pair["reference"][1:]),
    }  # fmt: skip
    return float(trl.DPOTrainer._compute_loss(trainer, lambda **_: output, inputs, False))


def main() -> None:
    """Prints the pairs with their losses."""
    pairs = random_pairs()
    for pair in pairs:
        pair["losses"] = {loss: trl_loss(pair, loss, smoothing=0.1 if loss == "robust" else 0.0) for loss in LOSSES}
    made = {"trl": trl.__version__, "torch": torch.__version__, "command": "python benchmarks/trl_losses.py"}
    print(json.dumps(made)[:-1] + ', "pairs": [')
    print(",\n".join(map(json.dumps, pairs)) + "]}")


if __name__ == "__main__":
    main()
