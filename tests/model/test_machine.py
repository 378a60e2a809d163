"""What a run runs on: chosen and measured at its start."""

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch

from ctllm.model import machine
from ctllm.model.flops import measured_gemm_flops
from ctllm.model.machine import check_attention, open_machine, pick_device, sentence
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import read_json, write_json
from ctllm.schemas.training_config import Backend, LoopConfig, ModelConfig
from ctllm.schemas.training_run import MACHINE, TrainingMachine

LOOP = LoopConfig(steps=1, sequences_per_step=4, sequences_per_micro_batch=2, device="cpu")


def opened(run: Path, tiny: ModelConfig, *, resume: bool = False, loop: LoopConfig = LOOP) -> TrainingMachine:
    """The machine of a run over packed sequences of 16."""
    return open_machine(str(run), model=tiny, loop=loop, packed_length=16, resume=resume)


def test_a_cpu_is_measured_and_written_down(tiny: ModelConfig, tmp_path: Path) -> None:
    """On a CPU attention is by document, no data sheet is known, and the rate of matrix products is that of now."""
    found = opened(tmp_path, tiny)
    assert (found.device, found.attention, found.peak_flops) == ("cpu", "documents", None)
    assert found.gemm_flops == pytest.approx(measured_gemm_flops(torch.device("cpu"), torch.float32), rel=0.9)
    assert read_json(str(tmp_path / MACHINE)) == found.model_dump(mode="json")
    assert sentence(found).startswith("cpu, float32, matrix products 0.")
    assert sentence(found).endswith("TFLOP/s, attention documents")


@pytest.mark.parametrize(("float32", "advice"), [(None, ""), (2.9e9, ""), (3e9, "float32 3 times as fast: a new run")])
def test_a_cpu_without_bfloat16_is_said(tiny: ModelConfig, tmp_path: Path, float32: float | None, advice: str) -> None:
    """Where float32 is three times as fast the first line of a run names the setting; float32 compares nothing."""
    half = opened(tmp_path, tiny, loop=LOOP.model_copy(update={"compute_dtype": "bfloat16"}))
    assert half.float32_flops is not None
    assert opened(tmp_path, tiny).float32_flops is None
    told = sentence(half.model_copy(update={"gemm_flops": 1e9, "float32_flops": float32}))
    assert told.endswith("attention documents") if not advice else f"; this CPU multiplies {advice}" in told


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by the config it is an error with a way out; `auto` takes the CPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert pick_device(LOOP.model_copy(update={"device": "auto"})) == torch.device("cpu")
    with pytest.raises(ConfigError, match=r"loop\.device cuda: torch finds no GPU .*set loop\.device auto or cpu"):
        pick_device(LOOP.model_copy(update={"device": "cuda"}))


def test_compiled_layers_see_no_lengths(tiny: ModelConfig, tmp_path: Path) -> None:
    """Lengths of documents differ from batch to batch, and a graph with them in it would be compiled for each."""
    found = opened(tmp_path, tiny, loop=LOOP.model_copy(update={"compile_layers": "always"}))
    assert (found.attention, found.compiled) == ("sdpa", True)


def test_the_probe_has_the_shape_of_a_micro_batch(
    tiny: ModelConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`auto` asks the probe for the micro-batch's sequences at the packed length; a named back end asks nothing."""
    asked: list[tuple[int, int]] = []

    def probe(config: ModelConfig, *, sequences: int, **_rest: object) -> tuple[Backend, dict[str, float]]:
        asked.append((sequences, config.context_length))
        return "flex", {"sdpa": 0.002, "flex": 0.001}

    monkeypatch.setattr(machine, "pick_backend", probe)  # a CPU has nothing to choose from
    found = opened(tmp_path, tiny)
    assert (found.attention, asked) == ("flex", [(2, 16)])
    assert sentence(found).endswith("attention flex (sdpa 2.00 ms, flex 1.00 ms)")
    assert opened(tmp_path, tiny, loop=LOOP.model_copy(update={"attention": "sdpa"})).attention == "sdpa"
    unmasked = open_machine(str(tmp_path), model=tiny, loop=LOOP, packed_length=None, resume=False)
    assert (unmasked.attention, len(asked)) == ("sdpa", 1)


def test_a_resume_keeps_the_back_end_of_its_device(tiny: ModelConfig, tmp_path: Path) -> None:
    """Chosen once for a device; another device chooses anew, and so does a new run."""
    first = opened(tmp_path, tiny).model_copy(update={"attention": "flex", "attention_seconds": {"flex": 0.5}})

    def resumed(device: str, *, resume: bool = True) -> tuple[str, dict[str, float]]:
        write_json(str(tmp_path / MACHINE), first.model_copy(update={"device": device}).model_dump(mode="json"))
        found = opened(tmp_path, tiny, resume=resume)
        return found.attention, found.attention_seconds

    assert resumed("cpu") == ("flex", {"flex": 0.5})
    assert resumed("NVIDIA H200") == ("documents", {})
    assert resumed("cpu", resume=False) == ("documents", {})


@pytest.mark.parametrize(
    ("attention", "dtype", "device", "message"),
    [
        ("flex", "bfloat16", "cpu", "flex: trains on a GPU only, this is cpu; set auto or documents"),
        ("varlen", "bfloat16", "cpu", "varlen: trains on a GPU only, this is cpu; set auto or documents"),
        ("varlen", "float32", "cuda", "varlen: has no kernel for float32; set"),
        ("varlen", "bfloat16", "cuda", None),
        ("flex", "float32", "cuda", None),
        ("documents", "float32", "cuda", "documents: compiled layers would be compiled again for each batch"),
        ("documents", "float32", "cpu", None),
        ("sdpa", "float32", "cpu", None),
    ],
)
def test_a_back_end_without_a_kernel_is_refused(attention: str, dtype: str, device: str, message: str | None) -> None:
    """For the device or for the dtype; what has a kernel passes."""
    loop = LOOP.model_copy(update={"attention": attention, "compute_dtype": dtype})
    with pytest.raises(ConfigError, match=f"loop.attention {message}") if message else nullcontext():
        check_attention(loop, device=torch.device(device))
