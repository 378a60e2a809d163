"""The gate of a new version: shares are shares, null is not asked for, zero is zero."""

from typing import Any

import pytest

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.train_version_config import ApprovalConfig, GateConfig, TrainVersionConfig

GIVEN = {"tokenizer": "t", "plan": "p.yaml", "pretrain": "q.yaml", "evaluate": "e.yaml"}


def read(**values: Any) -> TrainVersionConfig:
    """The config of these values."""
    return parse_config({**GIVEN, **values}, TrainVersionConfig, origin="t.yaml")


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("gate", "max_failed_share", 10),
        ("gate", "max_removed_share", -0.1),
        ("gate", "max_kept_share_drop", 1.1),
        ("gate", "max_bits_per_byte", 0),
        ("gate", "min_kept_documents", 0),
        ("approval", "max_gpu_hours", -1),
        ("approval", "timeout_hours", 0),
        ("approval", "gpus", 0),
        ("approval", "mfu", 1.01),
    ],
)
def test_a_bound_that_cannot_be_meant_is_named(group: str, key: str, value: float) -> None:
    """With file, group, key and value, before any version is looked at."""
    with pytest.raises(ConfigError, match=rf"t\.yaml, {group}\.{key}: {value}: "):
        read(**{group: {key: value}})


def test_zero_is_a_bound_and_null_is_none() -> None:
    """`max_gpu_hours: 0` asks a person for every training, null for none; no increase allowed is not any allowed."""
    strict = read(approval={"max_gpu_hours": 0, "max_tokens": 0}, gate={"max_bits_per_byte_increase": 0})
    assert (strict.approval.max_gpu_hours, strict.approval.max_tokens) == (0, 0)
    assert strict.gate.max_bits_per_byte_increase == 0
    bounds = [name for name in GateConfig.model_fields if name != "min_kept_documents"]
    loose = read(gate=dict.fromkeys(bounds), approval={"max_gpu_hours": None})
    assert {getattr(loose.gate, name) for name in bounds} == {None}
    assert loose.approval == ApprovalConfig(max_gpu_hours=None)
