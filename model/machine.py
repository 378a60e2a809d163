"""What a run runs on: device, attention back end, rate of matrix products; `RUN/machine.json`, measured at the start.

The back end is chosen once: a resume on the same device keeps it, so that all steps of a run are computed alike.
"""

import torch

from ctllm.model.attention import pick_backend
from ctllm.model.block_execution import is_compiled
from ctllm.model.distributed import local_rank, num_processes
from ctllm.model.flops import measured_gemm_flops, peak_flops
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import exists, join, read_json, write_json
from ctllm.schemas.training_config import LoopConfig, ModelConfig
from ctllm.schemas.training_run import MACHINE, TrainingMachine

MUCH_FASTER = 3.0  # chosen: a CPU with bfloat16 has at most 1, one without 5 to 50 (2026-11)


def pick_device(loop: LoopConfig) -> torch.device:
    """The device of the config; `auto` is CUDA where there is a GPU. Of several processes each has a GPU of its own.

    Raises ConfigError when the config wants a GPU and there is none.
    """
    kind, has_gpu = loop.device, torch.cuda.is_available()
    if kind == "auto":
        kind = "cuda" if has_gpu else "cpu"
    if kind == "cuda" and not has_gpu:
        raise ConfigError("loop.device cuda: torch finds no GPU and driver here; set loop.device auto or cpu")
    return torch.device(kind, local_rank()) if kind == "cuda" and num_processes() > 1 else torch.device(kind)


def check_attention(loop: LoopConfig, *, device: torch.device) -> None:
    """Raises ConfigError when the back end that the config names has no kernel here."""
    if loop.attention in ("flex", "varlen") and device.type != "cuda":
        raise ConfigError(
            f"loop.attention {loop.attention}: trains on a GPU only, this is {device}; set auto or documents"
        )
    if loop.attention == "documents" and is_compiled(loop, device=device):
        raise ConfigError(
            "loop.attention documents: compiled layers would be compiled again for each batch; set auto or sdpa, or "
            "loop.compile_layers never"
        )
    if loop.attention == "varlen" and loop.compute_dtype != "bfloat16":
        raise ConfigError(
            f"loop.attention varlen: has no kernel for {loop.compute_dtype}; set loop.compute_dtype bfloat16, or "
            "loop.attention auto"
        )


def open_machine(
    run: str, *, model: ModelConfig, loop: LoopConfig, packed_length: int | None, resume: bool
) -> TrainingMachine:
    """Measures the machine and writes `machine.json`; of several processes the first does, for all.

    `packed_length` is the length of sequences with several documents; None when no document is masked, and then
    nothing is probed: plain causal attention has one implementation.
    """
    device, dtype = pick_device(loop), getattr(torch, loop.compute_dtype)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    before = _read(run) if resume else None
    attention, seconds = loop.attention, dict[str, float]()
    if attention == "auto" and before is not None and before.device == name:
        attention, seconds = before.attention, before.attention_seconds
    elif attention == "auto" and packed_length is not None:
        shape = model.model_copy(update={"context_length": packed_length})
        sequences = loop.sequences_per_micro_batch or loop.sequences_per_step // num_processes()
        attention, measured = pick_backend(shape, sequences=sequences, device=device, dtype=dtype)
        seconds = dict(measured)
        if attention == "documents" and is_compiled(loop, device=device):
            attention = "sdpa"  # see `check_attention`
    has_other = device.type == "cpu" and dtype != torch.float32
    machine = TrainingMachine(
        device=name,
        processes=num_processes(),
        compute_dtype=loop.compute_dtype,
        attention="sdpa" if attention == "auto" else attention,
        attention_seconds=seconds,
        compiled=is_compiled(loop, device=device),
        peak_flops=peak_flops(name),
        gemm_flops=round(measured_gemm_flops(device, dtype)),
        float32_flops=round(measured_gemm_flops(device, torch.float32)) if has_other else None,
    )
    write_json(join(run, MACHINE), machine.model_dump(mode="json"))
    return machine


def sentence(machine: TrainingMachine) -> str:
    """The machine in one line, as shown when a run starts, with a way out where its CPU cannot do the run's dtype."""
    probed = ", ".join(f"{name} {1000 * each:.2f} ms" for name, each in machine.attention_seconds.items())
    compiled = ", layers compiled" if machine.compiled else ""
    devices = f"{machine.processes} x {machine.device}" if machine.processes > 1 else machine.device
    return (
        f"{devices}, {machine.compute_dtype}, matrix products {machine.gemm_flops / 1e12:.3g} TFLOP/s, "
        f"attention {machine.attention}{f' ({probed})' if probed else ''}{compiled}{_dtype_advice(machine)}"
    )


def _dtype_advice(machine: TrainingMachine) -> str:
    gain = (machine.float32_flops or 0.0) / machine.gemm_flops
    if gain < MUCH_FASTER:
        return ""
    return (
        f"; this CPU multiplies float32 {gain:.0f} times as fast: a new run with loop.compute_dtype float32 is quicker"
    )


def _read(run: str) -> TrainingMachine | None:
    path = join(run, MACHINE)
    return TrainingMachine.model_validate(read_json(path)) if exists(path) else None
