"""Operations of training: formula against torch's own counter."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ctllm.model.flops import measured_gemm_flops, peak_flops, training_flops
from ctllm.model.transformer import new_transformer
from ctllm.schemas.training_config import ModelConfig


@pytest.mark.parametrize("change", [{}, {"num_kv_heads": 2, "tied_embeddings": False}], ids=["MHA tied", "GQA untied"])
def test_formula_equals_the_counter_of_torch(change: dict[str, object]) -> None:
    """Three times the operations that torch counts in a forward pass: nothing is left out, nothing counted twice."""
    config = ModelConfig.model_validate({"preset": "ci_0m9", **change})
    model = new_transformer(config, seed=0)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(2, 256, dtype=torch.long))
    assert 3 * counter.get_total_flops() / 512 == training_flops(config, context_length=256).full


def test_figures_of_ctllm() -> None:
    """The 2B model costs 14.480 GFLOP a token, 12.869 with causal attention (training-reference 3.2)."""
    flops = training_flops(ModelConfig.model_validate("ctllm_2b"), context_length=4096)
    assert (round(flops.full / 1e9, 3), round(flops.causal / 1e9, 3)) == (14.480, 12.869)


def test_peaks_are_found_by_name() -> None:
    """A card is known by part of its name, the longer name first; what is not in the table has no peak."""
    assert peak_flops("NVIDIA H200") == peak_flops("NVIDIA H100 80GB HBM3") == 989e12
    assert peak_flops("NVIDIA H100 PCIe") == 756e12
    assert peak_flops("AMD EPYC") is None


def test_the_probe_measures_something() -> None:
    """A CPU core multiplies at more than a hundred million and less than ten million million operations a second."""
    assert 1e8 < measured_gemm_flops(torch.device("cpu"), torch.float32) < 1e13
