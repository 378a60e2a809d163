"""Floating-point operations of training, and what share of a machine they use.

Per token (training-reference 3.2): 6 for each weight of a matrix product - 2 forward, 4 backward - where the head
counts once, tied or not, and the embedding, a look-up, not at all; and 12 · layers · width · context for attention,
half of that if the empty half of the causal mask is not counted. "full" is what others quote, "causal" what the model
really needs.
"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.training_run import StepSpeed, TrainingMachine

PEAK_FLOPS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "B200": 2250e12,
    "A100": 312e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
}
"""Part of a device's name to its dense bfloat16 rate by NVIDIA's data sheets, the longer name first."""
GEMM_SIDE = {"cuda": 8192, "cpu": 256}  # a GPU has levelled off; a CPU core takes 3 ms, 0.1 s in bfloat16


@dataclass(frozen=True)
class TrainingFlops:
    """Operations for one token of training, forward and backward."""

    matmul: float
    attention: float
    """Every position with every other; causal attention needs half."""

    @property
    def full(self) -> float:
        """With the whole square of attention."""
        return self.matmul + self.attention

    @property
    def causal(self) -> float:
        """With its causal half."""
        return self.matmul + self.attention / 2


def training_flops(config: ModelConfig, *, context_length: int) -> TrainingFlops:
    """For one token in sequences of `context_length`."""
    heads = config.num_heads * config.head_dim
    attention_weights = config.d_model * config.head_dim * 2 * (config.num_heads + config.kv_heads)
    weights = config.num_layers * (attention_weights + 3 * config.d_model * config.d_ffn)
    weights += config.vocab_size * config.d_model
    return TrainingFlops(6.0 * weights, 12.0 * config.num_layers * heads * context_length)


def peak_flops(device_name: str) -> float | None:
    """Dense bfloat16 operations a second by the data sheet, None for a device that is not in the table."""
    return next((peak for name, peak in PEAK_FLOPS.items() if name in device_name), None)


def measured_gemm_flops(device: torch.device, dtype: torch.dtype, *, repeats: int = 3) -> float:
    """Operations a second of a large square matrix product, the best of `repeats`: what this machine gives today."""
    side = GEMM_SIDE.get(device.type, GEMM_SIDE["cpu"])
    generator = torch.Generator(device).manual_seed(0)
    left, right = (torch.randn(side, side, device=device, generator=generator).to(dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        product = left @ right
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - started)
    del product
    return 2.0 * side**3 / min(seconds[1:])


def step_speed(
    config: ModelConfig, *, positions: int, context_length: int, seconds: float, machine: TrainingMachine
) -> StepSpeed:
    """Of a step that took `seconds` for `positions`, of all processes, in sequences of `context_length`."""
    flops = training_flops(config, context_length=context_length)
    rate, gemm = positions / seconds, machine.gemm_flops * machine.processes
    peak = None if machine.peak_flops is None else machine.peak_flops * machine.processes
    return StepSpeed(
        positions_per_s=round(rate, 1),
        flops_per_s=round(flops.full * rate),
        mfu=None if peak is None else round(flops.full * rate / peak, 6),
        mfu_causal=None if peak is None else round(flops.causal * rate / peak, 6),
        gemm_share=round(flops.full * rate / gemm, 6),
    )


def median_speed(speeds: Sequence[StepSpeed]) -> StepSpeed | None:
    """Figure by figure, over the steps that have it; None without steps."""
    figures = {
        name: [value for speed in speeds if (value := getattr(speed, name)) is not None]
        for name in StepSpeed.model_fields
    }
    medians = {name: statistics.median(values) for name, values in figures.items() if values}
    return StepSpeed.model_validate(medians) if medians else None
