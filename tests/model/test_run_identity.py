"""Whose directory a run directory is."""

from pathlib import Path

import pytest

from ctllm.model.run_identity import claim_run, identity_digest
from ctllm.schemas.errors import ConfigError, OutputError

IDENTITY = {"stage": "pretrain", "loop": {"steps": 5, "seed": 0}}


def test_the_same_run_may_resume(tmp_path: Path) -> None:
    """Claimed once, a directory can be resumed by the same identity, not started anew over its checkpoints."""
    claim_run(str(tmp_path), IDENTITY, resume=False)
    claim_run(str(tmp_path), IDENTITY, resume=False)
    (tmp_path / "checkpoints").mkdir()
    claim_run(str(tmp_path), IDENTITY, resume=True)
    with pytest.raises(OutputError, match="pass --resume to continue it"):
        claim_run(str(tmp_path), IDENTITY, resume=False)


def test_another_run_is_refused_by_name(tmp_path: Path) -> None:
    """The message says which setting differs, before and now."""
    claim_run(str(tmp_path), IDENTITY, resume=False)
    with pytest.raises(ConfigError, match=r"loop\.steps was 5, is 6; restore"):
        claim_run(str(tmp_path), {"stage": "pretrain", "loop": {"steps": 6, "seed": 0}}, resume=True)


def test_digest_ignores_order_only() -> None:
    """The order of keys does not matter, every value does."""
    assert identity_digest(IDENTITY) == identity_digest({"loop": {"seed": 0, "steps": 5}, "stage": "pretrain"})
    assert identity_digest(IDENTITY) != identity_digest({"stage": "pretrain", "loop": {"steps": 5, "seed": 1}})
