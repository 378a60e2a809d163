"""Operations of training: formula against torch's own counter."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ctllm.model.flops import measured_gemm_flops, median_speed, peak_flops, step_speed, training_flops
from ctllm.model.transformer import new_transformer
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.training_run import StepSpeed, TrainingMachine


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


def test_three_shares_of_a_step() -> None:
    """At the reference's goal, 34k tokens/s of the 2B on an H200: 50 % full, 44 % causal, 63 % of GEMM."""
    machine = TrainingMachine(
        device="NVIDIA H200", compute_dtype="bfloat16", attention="varlen", peak_flops=989e12, gemm_flops=790e12
    )
    config = ModelConfig.model_validate("ctllm_2b")
    speed = step_speed(config, positions=68_312, context_length=4096, seconds=2.0, machine=machine)
    assert speed.positions_per_s == 34_156
    assert speed.flops_per_s == pytest.approx(34_156 * 14.480e9, rel=1e-4)
    assert (speed.mfu, speed.mfu_causal) == (pytest.approx(0.500, abs=1e-3), pytest.approx(0.444, abs=1e-3))
    assert speed.gemm_share == pytest.approx(0.626, abs=1e-3)
    unknown = machine.model_copy(update={"device": "cpu", "peak_flops": None})
    on_cpu = step_speed(config, positions=68_312, context_length=4096, seconds=2.0, machine=unknown)
    assert (on_cpu.mfu, on_cpu.mfu_causal, on_cpu.gemm_share) == (None, None, speed.gemm_share)


def test_median_of_steps() -> None:
    """Figure by figure; steps on another machine, which lack a figure, do not count for it; no step has no median."""
    speeds = [StepSpeed(positions_per_s=n, flops_per_s=10 * n, gemm_share=n / 10) for n in (1, 5, 2)]
    speeds.append(StepSpeed(positions_per_s=3, flops_per_s=30, gemm_share=0.9, mfu=0.4, mfu_causal=0.3))
    expected = StepSpeed(positions_per_s=2.5, flops_per_s=25, gemm_share=0.35, mfu=0.4, mfu_causal=0.3)
    assert median_speed(speeds) == expected
    assert median_speed([]) is None
