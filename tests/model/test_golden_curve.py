"""Fifty steps of training give the losses that they gave when they were written down."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ctllm.model.batches import Batch
from ctllm.model.ledger import read_ledger
from ctllm.model.pretrain import next_token_loss
from ctllm.model.trainer import Trainer
from ctllm.model.transformer import new_transformer
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, ScheduleConfig

SHAPES = {
    "tied": {"num_kv_heads": None},
    "untied": {"num_kv_heads": 2, "tied_embeddings": False, "qk_norm": True},
}
# fmt: off
CURVES: dict[str, list[float]] = {
    "tied": [
        4.193246, 4.109519, 4.036497, 3.800490, 3.666073, 3.615674, 3.437993, 3.300007, 3.348165,
        3.040944, 3.166317, 3.246541, 2.929142, 2.808653, 3.104028, 2.764256, 2.898178, 2.649444,
        3.011409, 2.883423, 2.854465, 2.429460, 2.985012, 2.760778, 2.291539,
    ],
    "untied": [
        4.167200, 4.067885, 4.031274, 3.815083, 3.667675, 3.735402, 3.556499, 3.294083, 3.476486,
        3.174946, 3.139255, 3.100480, 2.984928, 2.705138, 2.812397, 2.639095, 2.714461, 2.583399,
        2.782875, 2.703013, 2.709032, 2.328197, 2.902919, 2.602435, 2.173860,
    ],
}
# fmt: on
"""Loss of every second step, from 0; torch 2.13 on an x86 CPU, one thread, 2026-11-26; `curve` makes them."""

TOLERANCE = 1e-3  # relative; other CPUs and versions of torch sum in another order (training-reference 12)
MAX_DRIFT = 2e-4  # of the mean: rounding scatters about zero, a changed formula pulls to one side; chosen


def counting_batch(step: int) -> Batch:
    """Four sequences, each two documents that count in steps of their own, with a tenth of noise."""
    generator = torch.Generator().manual_seed(step)
    strides_BS, starts_BS = (torch.randint(1, 64, (4, 2), generator=generator) for _ in range(2))
    segments_BT = (torch.arange(17) >= 9).long().expand(4, 17)
    positions_BT = torch.where(segments_BT == 1, torch.arange(17) - 9, torch.arange(17))
    tokens_BT = starts_BS.gather(1, segments_BT) + (1 + strides_BS.gather(1, segments_BT) % 3) * positions_BT
    is_noise_BT = torch.rand(4, 17, generator=generator) < 0.1
    tokens_BT = torch.where(is_noise_BT, torch.randint(0, 64, (4, 17), generator=generator), tokens_BT % 64)
    return Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], positions_BT[:, :-1], segments_BT[:, :-1])


def curve(tiny: ModelConfig, run: Path, **shape: object) -> list[float]:
    """Losses of every second of fifty steps."""
    tokenizer = run.parent / "tokenizer.model"
    tokenizer.write_bytes(b"abc")
    trainer = Trainer(
        stage="golden",
        run=str(run),
        model=new_transformer(tiny.model_copy(update=shape), seed=0),
        loop=LoopConfig(steps=50, sequences_per_step=4, sequences_per_micro_batch=3, device="cpu"),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        schedule=ScheduleConfig(warmup_steps=5),
        batch=counting_batch,
        loss=next_token_loss,
        tokenizer=str(tokenizer),
        identity={},
        packed_length=16,
    )
    trainer.train(resume=False)
    return [line.loss for line in read_ledger(str(run))][::2]


@pytest.mark.parametrize("name", CURVES)
def test_the_curve_is_the_golden_one(tiny: ModelConfig, tmp_path: Path, name: str) -> None:
    """Each loss within a thousandth, their mean within a fifth of that: slow drift and one-sided change are seen."""
    found, golden = np.array(curve(tiny, tmp_path / "run", **SHAPES[name])), np.array(CURVES[name])
    residuals = (found - golden) / golden
    assert np.abs(residuals).max() < TOLERANCE
    assert abs(residuals.mean()) < MAX_DRIFT
    assert golden[-1] < 0.8 * golden[0]


def test_a_changed_setting_would_show(tiny: ModelConfig, tmp_path: Path) -> None:
    """Negative control: an epsilon of the norms ten times as large leaves the band."""
    found = np.array(curve(tiny, tmp_path / "run", **SHAPES["tied"], norm_epsilon=1e-4))
    assert np.abs(found / np.array(CURVES["tied"]) - 1).max() > TOLERANCE
