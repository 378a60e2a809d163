"""What a pretraining config needs: memory of each GPU, tokens a second, days, GPU-hours, money.

Memory is counted, and tests compare the counts with what torch holds; speed is not: it is the share of the data sheet
that a trainer reaches (`mfu`), which only a measurement gives (benchmarks/gpu.py), times what is lost between GPUs.
"""

import math
import os
from pathlib import Path

import numpy as np
import torch

from ctllm.model.block_execution import is_compiled
from ctllm.model.distributed import check_processes, local_processes, num_processes
from ctllm.model.flops import PEAK_FLOPS, peak_flops, training_flops
from ctllm.model.losses import CHUNK_POSITIONS, COMPILED_CHUNK_POSITIONS
from ctllm.model.machine import pick_device
from ctllm.model.transformer import num_parameters
from ctllm.schemas.config import Config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, PretrainConfig, Recompute
from ctllm.schemas.tuning_config import DpoConfig, SftConfig

STATE_BYTES = {"adamw": 16, "muon": 12}  # float32 weight, gradient and two moments, or one, of each parameter
SCALING = ((1, 1.0), (8, 0.98), (64, 0.93), (512, 0.80))  # GPUs and efficiency, training-reference 4: assumed
GIB = 2**30
CONTAINER_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
"""Of control groups, version 2 and 1, as a container sees its own."""


class MemoryEstimate(Config):
    """Bytes on one GPU at the peak of a step."""

    states: int
    """Weights, gradients and moments in float32, a share of them on each GPU."""
    weight_copies: int
    """Weights cast for the matrix products, kept for the backward pass; 0 in float32."""
    activations: int
    """What the backward pass reads, for one micro-batch."""
    gathered: int
    """Of several GPUs: embedding, head and two layers that are whole for a while, weights and gradients in float32."""
    loss: int
    """Logits of one chunk and their gradient, and the gradient of the hidden states."""

    @property
    def total(self) -> int:
        """The sum."""
        return self.states + self.weight_copies + self.activations + self.gathered + self.loss


class TrainingEstimate(Config):
    """The bill of a training run."""

    num_parameters: int
    tokens: int
    gpus: int
    memory: MemoryEstimate
    flop_per_token: float
    """Full attention, see flops.py."""
    tokens_per_s: float
    """All GPUs together."""
    days: float
    gpu_hours: float
    cost: float | None
    """In the currency of the price; None without a price."""


def estimate_memory(
    model: ModelConfig,
    loop: LoopConfig,
    *,
    optimizer: OptimizerConfig | None = None,
    gpus: int = 1,
    compiled: bool = False,
) -> MemoryEstimate:
    """Of one GPU. Each layer keeps, for a position, 28 d_model + 8 d_ffn bytes in bfloat16 and 40 and 16 in float32.

    Compiled it keeps 14 and 6 in bfloat16, 28 and 12 in float32: inductor computes again what only moves memory. The
    last norm adds 8 d_model. What is computed again is not kept, but once for one layer. With grouped heads it is an
    upper bound: keys and values count as wide as queries.
    """
    is_half = loop.compute_dtype == "bfloat16"
    micro_batch = loop.sequences_per_micro_batch or math.ceil(loop.sequences_per_step / gpus)
    positions = micro_batch * model.context_length
    width, per_value = model.d_model, 2 if is_half else 4
    kept, again = _kept_per_layer(model, loop.recompute, per_value=per_value, compiled=compiled)
    chunk, of_logit = (COMPILED_CHUNK_POSITIONS, 3 * per_value) if compiled else (CHUNK_POSITIONS, 4 + per_value)
    logits = min(chunk, positions) * model.vocab_size * of_logit
    parameters, members = num_parameters(model), loop.shard_processes or gpus
    embeddings = (1 if model.tied_embeddings else 2) * model.vocab_size * model.d_model
    two_layers = 2 * (parameters - embeddings) // model.num_layers
    return MemoryEstimate(
        states=math.ceil(_state_bytes(model, optimizer) / members),
        weight_copies=(2 * parameters if again == 0 else 2 * embeddings + two_layers) if is_half else 0,
        activations=positions * (model.num_layers * kept + again + 8 * width),
        gathered=8 * (embeddings + two_layers) if members > 1 else 0,
        loss=logits + positions * width * per_value,
    )


def _state_bytes(model: ModelConfig, optimizer: OptimizerConfig | None) -> int:
    """Muon keeps one moment of the layers' matrices; embedding, head and norms have AdamW's two."""
    matrices = model.num_layers * (
        2 * model.d_model * model.head_dim * (model.num_heads + model.kv_heads) + 3 * model.d_model * model.d_ffn
    )
    kind = "adamw" if optimizer is None else optimizer.kind
    return STATE_BYTES["adamw"] * (num_parameters(model) - matrices) + STATE_BYTES[kind] * matrices


def _kept_per_layer(model: ModelConfig, recompute: Recompute, *, per_value: int, compiled: bool) -> tuple[int, int]:
    """Bytes of a position that a layer keeps, and those of the one layer that is being computed again."""
    width, wide, of_heads = model.d_model, model.d_ffn, 4 * model.num_heads + 8
    everything = (28 if per_value == 2 else 40) * width + (8 if per_value == 2 else 16) * wide + of_heads
    if compiled:
        everything = per_value * (7 * width + 3 * wide) + of_heads
    if recompute == "none":
        return everything, 0
    if recompute == "full":
        return per_value * width, everything
    return per_value * ((4 if compiled else 7) * width + 2 * wide) + of_heads, everything


def estimate_training(
    config: PretrainConfig,
    *,
    gpus: int,
    gpu: str,
    mfu: float,
    tokens: int | None = None,
    price_per_gpu_hour: float | None = None,
) -> TrainingEstimate:
    """For `tokens`, or as many as the config's steps see, on `gpus` of the kind `gpu`. Raises ConfigError."""
    peak = peak_flops(gpu)
    if peak is None:
        raise ConfigError(f"--gpu {gpu}: not in the table of data sheets; known are {', '.join(PEAK_FLOPS)}")
    check_processes(config.loop, processes=gpus)
    length = config.model.context_length
    total = tokens or config.loop.steps * config.loop.sequences_per_step * length
    flops = training_flops(config.model, context_length=length).full
    sizes, shares = [math.log2(size) for size, _ in SCALING], [share for _, share in SCALING]
    efficiency = float(np.interp(math.log2(gpus), sizes, shares))
    rate = gpus * efficiency * mfu * peak / flops
    hours = total / rate / 3600
    return TrainingEstimate(
        num_parameters=num_parameters(config.model),
        tokens=total,
        gpus=gpus,
        memory=estimate_memory(
            config.model,
            config.loop,
            optimizer=config.optimizer,
            gpus=gpus,
            compiled=config.loop.compile_layers != "never",
        ),
        flop_per_token=flops,
        tokens_per_s=rate,
        days=hours / 24,
        gpu_hours=hours * gpus,
        cost=None if price_per_gpu_hour is None else hours * gpus * price_per_gpu_hour,
    )


def check_memory(
    model: ModelConfig,
    loop: LoopConfig,
    *,
    available: int,
    optimizer: OptimizerConfig | None = None,
    gpus: int = 1,
    compiled: bool = False,
) -> None:
    """Raises ConfigError when one step needs more than `available` bytes: said before an hour of loading, not after."""
    memory = estimate_memory(model, loop, optimizer=optimizer, gpus=gpus, compiled=compiled)
    if memory.total > available:
        parts = ", ".join(f"{name} {size / GIB:.1f}" for name, size in memory.model_dump().items())
        raise ConfigError(
            f"model {model.name}: a step needs {memory.total / GIB:.1f} GiB ({parts}), the device has "
            f"{available / GIB:.1f}; lower loop.sequences_per_micro_batch, set loop.recompute or take a smaller model"
        )


def check_tuning_memory(
    config: SftConfig | DpoConfig, model: ModelConfig, *, context_length: int, sequences_per_row: int
) -> None:
    """As `check_memory`, for rows of up to `context_length` tokens; with adapters (`lora`) nothing is checked."""
    if config.lora is not None:
        return
    loop, processes, device = config.loop, num_processes(), pick_device(config.loop)
    check_processes(loop, processes=processes)
    rows = loop.sequences_per_micro_batch or math.ceil(loop.sequences_per_step / processes)
    check_memory(
        model.model_copy(update={"context_length": context_length}),
        loop.model_copy(update={"sequences_per_micro_batch": rows * sequences_per_row}),
        available=available_memory(device),
        optimizer=config.optimizer,
        gpus=processes,
        compiled=is_compiled(loop, device=device),
    )


def available_memory(device: torch.device) -> int:
    """Bytes for one process: a GPU's whole memory, or its part of the machine's or container's."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([physical, *_container_limits()]) // local_processes()


def _container_limits() -> list[int]:
    """Above them the kernel ends a process; `max`, or a number beyond all memory, where there is no limit."""
    texts = [path.read_text().strip() for path in CONTAINER_LIMITS if path.is_file()]
    return [int(text) for text in texts if text.isdigit()]
