"""The bill before the run: counts against what torch holds, prices against the reference's table."""

import gc
import os
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from ctllm.model import estimate
from ctllm.model.block_execution import set_up_layers
from ctllm.model.estimate import GIB, available_memory, check_memory, estimate_memory, estimate_training
from ctllm.model.optimizer import build_optimizer
from ctllm.model.transformer import new_transformer
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, PretrainConfig, Recompute

SHAPE = {"vocab_size": 64, "d_model": 64, "num_layers": 3, "num_heads": 4, "d_ffn": 172, "context_length": 128}
CTLLM = PretrainConfig(
    tokens="t",
    plan="p",
    out="o",
    model=ModelConfig.model_validate("ctllm_2b"),
    loop=LoopConfig(steps=10, sequences_per_step=512, sequences_per_micro_batch=8, compute_dtype="bfloat16"),
)


def kept_for_backward(dtype: str) -> int:
    """Bytes of the storages, weights apart, that torch keeps in a forward pass over two sequences."""
    model = new_transformer(ModelConfig.model_validate(SHAPE), seed=0)
    model.compute_dtype = getattr(torch, dtype)
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        model.hidden_states(torch.zeros(2, 128, dtype=torch.long))
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_activations_are_what_torch_keeps(dtype: str) -> None:
    """Activations and cast weights are within 4 % of the bytes that autograd holds after a forward pass."""
    loop = LoopConfig.model_validate({"steps": 1, "sequences_per_step": 2, "compute_dtype": dtype})
    memory = estimate_memory(ModelConfig.model_validate(SHAPE), loop)
    assert memory.activations + memory.weight_copies == pytest.approx(kept_for_backward(dtype), rel=0.04)


def storages() -> dict[int, int]:
    """Place and bytes of every tensor that Python can reach."""
    tensors = [each for each in gc.get_objects() if type(each) is Tensor]
    return {each.untyped_storage().data_ptr(): each.untyped_storage().nbytes() for each in tensors}


@pytest.mark.parametrize("recompute", ["selective", "full"])
def test_what_is_computed_again_is_not_kept(recompute: Recompute) -> None:
    """After a forward pass the layers hold what the estimate says, the layer being computed again apart.

    Within 6 %: at this size the tables of RoPE, which no layer adds to, are 5 % of what `full` keeps.
    """
    config = ModelConfig.model_validate(SHAPE)
    loop = LoopConfig(steps=1, sequences_per_step=2, recompute=recompute)
    model = new_transformer(config, seed=0)
    set_up_layers(model, recompute=recompute, compiled=False)
    before = storages()
    hidden_BTD = model.hidden_states(torch.zeros(2, 128, dtype=torch.long))
    kept = sum(size for place, size in storages().items() if place not in before)
    everything, one_layer = (
        estimate_memory(config.model_copy(update={"num_layers": layers}), LoopConfig(steps=1, sequences_per_step=2))
        for layers in (2, 1)
    )
    again = everything.activations - one_layer.activations
    assert estimate_memory(config, loop).activations - again == pytest.approx(kept, rel=0.06)
    assert hidden_BTD.requires_grad


@pytest.mark.parametrize(
    ("preset", "recompute", "gib"),
    [
        ("ctllm_2b", "none", 91.9),
        ("ctllm_2b", "selective", 70.11),
        ("s160m", "none", 8.5),
        ("s160m", "selective", 6.49),
    ],
)
def test_compiled_steps_take_what_a_gpu_measured(preset: str, recompute: Recompute, gib: float) -> None:
    """Within 3 % of the peaks of benchmarks/gpu.py on an H200 (docs/experiments.md, 2026-11-26)."""
    loop = LoopConfig(steps=1, sequences_per_step=8, compute_dtype="bfloat16", recompute=recompute)
    memory = estimate_memory(ModelConfig.model_validate(preset), loop, compiled=True)
    assert memory.total / 2**30 == pytest.approx(gib, rel=0.03)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_states_are_what_torch_holds(kind: Literal["adamw", "muon"]) -> None:
    """Weights, gradients and moments of a real step, to the byte but for AdamW's step counters."""
    config = ModelConfig.model_validate(SHAPE)
    model = new_transformer(config, seed=0)
    settings = OptimizerConfig(kind=kind)
    optimizer = build_optimizer(model, settings)
    model(torch.zeros(1, 8, dtype=torch.long)).sum().backward()
    optimizer.step()
    held = [t for p in model.parameters() for t in (p, p.grad, *optimizer.state[p].values()) if t is not None]
    loop = LoopConfig(steps=1, sequences_per_step=2)
    alone, of_two = (estimate_memory(config, loop, optimizer=settings, gpus=gpus) for gpus in (1, 2))
    assert alone.states == sum(t.nbytes for t in held if t.dim())
    assert of_two.states == alone.states // 2
    assert (alone.gathered, of_two.gathered > 0) == (0, True)


@pytest.mark.parametrize(("gpus", "days", "price"), [(8, 54.5, 25_600), (64, 7.2, 27_000), (512, 1.04, 31_400)])
def test_the_full_run_costs_what_the_reference_says(gpus: int, days: float, price: float) -> None:
    """1.25468 T tokens at 34k tokens/s and GPU, scaled down by what is lost between GPUs (training-reference 4)."""
    bill = estimate_training(CTLLM, gpus=gpus, gpu="H200", mfu=0.498, tokens=1_254_680_000_000, price_per_gpu_hour=2.5)
    assert bill.days == pytest.approx(days, rel=0.01)
    assert bill.cost == pytest.approx(bill.gpu_hours * 2.5)
    assert bill.cost == pytest.approx(price, rel=0.03)


def test_tokens_default_to_the_steps_of_the_config() -> None:
    """Ten steps of 512 sequences of 4,096 tokens; without a price there is no cost."""
    bill = estimate_training(CTLLM, gpus=1, gpu="H200", mfu=0.4)
    assert (bill.tokens, bill.cost) == (10 * 512 * 4096, None)


def test_what_cannot_be_estimated_is_refused() -> None:
    """An unknown card and a number of GPUs that does not divide the step are named."""
    with pytest.raises(ConfigError, match="--gpu TPU: not in the table"):
        estimate_training(CTLLM, gpus=1, gpu="TPU", mfu=0.4)
    with pytest.raises(ConfigError, match="sequences_per_step 512 is no multiple of the 7 processes"):
        estimate_training(CTLLM, gpus=7, gpu="H200", mfu=0.4)


def test_too_large_a_step_is_refused() -> None:
    """A device with just enough memory will do, one with a byte less is refused with the parts of the bill."""
    total = estimate_memory(CTLLM.model, CTLLM.loop).total
    check_memory(CTLLM.model, CTLLM.loop, available=total)
    with pytest.raises(
        ConfigError, match=r"a step needs \d+\.\d GiB \(states 28\.0, .*lower loop\.sequences_per_micro"
    ):
        check_memory(CTLLM.model, CTLLM.loop, available=total - 1)


@pytest.mark.parametrize(("limit", "processes"), [("1073741824\n", 1), ("1073741824\n", 2), ("max\n", 1)])
def test_a_container_has_less_than_its_machine(
    limit: str, processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its limit counts, shared out among the processes in it; without one the machine's memory does."""
    (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(estimate, "CONTAINER_LIMITS", (tmp_path / "memory.max", tmp_path / "not there"))
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    expected = physical if limit == "max\n" else GIB // processes
    assert available_memory(torch.device("cpu")) == expected
