"""`ctllm setup` compiles what the first run would stop to compile."""

import re

import numba as nb
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from ctllm.cli import kernels, operations
from ctllm.pipelines.dedup import verify
from ctllm.pipelines.signals import repetition


def test_setup_calls_the_kernels_of_every_stage() -> None:
    """Setup says how many kernels it compiled, and afterwards those of measuring and of deciding are there."""
    app = typer.Typer()
    operations.register(app)
    result = CliRunner().invoke(app, ["setup"])
    assert result.exception is None
    assert re.search(r"kernels: \d+ compiled, \d+ s", result.output)
    for module in (repetition, verify):
        called = [each for each in vars(module).values() if hasattr(each, "signatures") and each.signatures]
        assert called, module.__name__


def test_a_kernel_that_the_cache_lacked_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what numba had to compile counts as compiled, not what it found or what was never called."""
    before = kernels._count_kernels()
    fresh = nb.njit(lambda values: values + 1)
    monkeypatch.setattr(kernels, "fresh", fresh, raising=False)
    assert kernels._count_kernels() == before
    fresh(np.arange(3))
    assert kernels._count_kernels() == before + 1
