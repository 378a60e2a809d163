"""What one CUDA machine gives: products, attention, memory of the loss, speed of steps; one JSON line.

    python benchmarks/gpu.py [--out gpu.json] [--models s160m ctllm_2b] [--sequences 8] [--steps 8] [--max-seconds 450]
    python benchmarks/gpu.py --rehearse          every part at a tiny size on a CPU: the figures mean nothing

Parts, in this order; each is written to --out when it is done, and the same command again makes those that are missing:

    gemm        rate of a large bfloat16 matrix product, and of the data sheet
    parity      loss of one fixed batch on CPU and GPU in float32, and in bfloat16 on the GPU
    loss        peak memory and seconds of the chunked cross-entropy, its softmax compiled, forward and backward, at the
                largest model's width and vocabulary and `sequences` x context positions (aim: at most 4 GiB)
    attention   seconds of forward and backward of one layer for each back end, at each model's heads, packed documents
    MODEL …     tokens a second, MFU three ways and peak memory of whole steps (forward, backward, clipping, AdamW) with
                the fastest back end: layers compiled, plain, and recomputed selectively; and what `estimate` says

A part that fails (out of memory, no kernel) says so in its place; the rest is measured all the same.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ctllm.model.attention import pick_backend
from ctllm.model.batches import Batch
from ctllm.model.block_execution import set_up_layers
from ctllm.model.estimate import GIB, estimate_memory
from ctllm.model.flops import measured_gemm_flops, peak_flops, training_flops
from ctllm.model.losses import cross_entropy_sum
from ctllm.model.optimizer import build_optimizer
from ctllm.model.pretrain import next_token_loss
from ctllm.model.transformer import empty_transformer, new_transformer
from ctllm.schemas.training_config import Backend, LoopConfig, ModelConfig, OptimizerConfig, Recompute

DOCUMENT_TOKENS = 512  # as the probe of attention: the order of a web page
WAYS: dict[str, tuple[bool, Recompute]] = {
    "compiled": (True, "none"),
    "plain": (False, "none"),
    "compiled_selective": (True, "selective"),
}
"""Name to whether layers are compiled, and what is computed again."""


def synchronise(device: torch.device) -> None:
    """Waits for the GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_gib(device: torch.device) -> float:
    """Most memory held since it was last asked for."""
    if device.type != "cuda":
        return 0.0
    peak = torch.cuda.max_memory_allocated(device) / GIB
    torch.cuda.reset_peak_memory_stats(device)
    return round(peak, 2)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Of one call."""
    synchronise(device)
    started = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - started


def packed_batch(config: ModelConfig, *, sequences: int, seed: int = 0) -> Batch:
    """Random tokens in documents of `DOCUMENT_TOKENS`."""
    length = config.context_length
    generator = torch.Generator().manual_seed(seed)
    tokens_BT = torch.randint(0, config.vocab_size, (sequences, length + 1), generator=generator)
    places_BT = torch.arange(length).expand(sequences, length)
    return Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], places_BT % DOCUMENT_TOKENS, places_BT // DOCUMENT_TOKENS)


def device_name(device: torch.device) -> str:
    """The GPU's, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def gemm(device: torch.device) -> dict[str, Any]:
    """Operations a second."""
    name = device_name(device)
    peak, measured = peak_flops(name), measured_gemm_flops(device, torch.bfloat16)
    return {"device": name, "measured": round(measured), "data_sheet": peak}


def parity(device: torch.device) -> dict[str, Any]:
    """Loss per token of the smallest preset's first weights."""
    config = ModelConfig.model_validate("ci_0m9")
    batch, losses = packed_batch(config, sequences=4), {}
    for name, place, dtype in (
        ("cpu", torch.device("cpu"), torch.float32),
        ("gpu", device, torch.float32),
        ("gpu_bfloat16", device, torch.bfloat16),
    ):
        model = new_transformer(config, seed=0, device=place)
        model.compute_dtype = dtype
        with torch.no_grad():
            output = next_token_loss(model, batch.to(place))
        losses[name] = float(output.loss_sum) / output.num_label_tokens
    return losses


def loss_memory(config: ModelConfig, device: torch.device, *, sequences: int) -> dict[str, Any]:
    """Beyond the hidden states and the head's weight, which the model holds anyway."""
    positions = sequences * config.context_length
    hidden_ND = torch.randn(positions, config.d_model, device=device, dtype=torch.bfloat16, requires_grad=True)
    weight_VD = torch.randn(config.vocab_size, config.d_model, device=device, requires_grad=True)
    labels_N = torch.randint(0, config.vocab_size, (positions,), device=device)
    peak_gib(device)
    before = torch.cuda.memory_allocated(device) / GIB if device.type == "cuda" else 0.0

    def both_ways() -> None:
        hidden_ND.grad = weight_VD.grad = None
        cross_entropy_sum(hidden_ND, weight_VD, labels_N, compiled=device.type == "cuda")[0].backward()  # type: ignore[no-untyped-call]

    both_ways()
    seconds = min(seconds_of(both_ways, device) for _ in range(3))
    extra = round(peak_gib(device) - before, 2)
    return {"positions": positions, "vocab_size": config.vocab_size, "peak_gib": extra, "seconds": round(seconds, 4)}


def attention(config: ModelConfig, device: torch.device, *, sequences: int) -> dict[str, Any]:
    """The fastest back end, and what each took."""
    fastest, seconds = pick_backend(config, sequences=sequences, device=device, dtype=torch.bfloat16)
    return {"fastest": fastest, "seconds": dict(seconds)}


def steps(
    config: ModelConfig,
    device: torch.device,
    *,
    sequences: int,
    num_steps: int,
    way: str,
    backend: Backend,
    gemm_flops: float,
) -> dict[str, Any]:
    """Whole optimizer steps; the median, after two that compile and make the optimizer's state."""
    compiled, recompute = WAYS[way]
    model = empty_transformer(config, device=device)
    with torch.no_grad():
        for weight in model.parameters():
            _ = weight.fill_(1.0) if weight.dim() == 1 else weight.normal_(0.0, config.init_std)
    model.compute_dtype, model.attention_backend = torch.bfloat16, backend
    set_up_layers(model, recompute=recompute, compiled=compiled)
    optimizer = build_optimizer(model, OptimizerConfig())
    batches = [packed_batch(config, sequences=sequences, seed=seed).to(device) for seed in range(2)]

    def step(number: int) -> None:
        output = next_token_loss(model, batches[number % 2])
        (output.loss_sum / output.num_label_tokens).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    peak_gib(device)
    warm_up = sum(seconds_of(lambda number=number: step(number), device) for number in range(2))  # type: ignore[misc]
    times = sorted(seconds_of(lambda number=number: step(number), device) for number in range(num_steps))  # type: ignore[misc]
    rate = sequences * config.context_length / times[len(times) // 2]
    flops, peak = training_flops(config, context_length=config.context_length), peak_flops(device_name(device))
    loop = LoopConfig(steps=1, sequences_per_step=sequences, compute_dtype="bfloat16", recompute=recompute)
    return {
        "tokens_per_s": round(rate),
        "mfu": peak and round(flops.full * rate / peak, 4),
        "mfu_causal": peak and round(flops.causal * rate / peak, 4),
        "gemm_share": round(flops.full * rate / gemm_flops, 4),
        "peak_gib": peak_gib(device),
        "estimated_gib": round(estimate_memory(config, loop, compiled=compiled).total / GIB, 2),
        "warm_up_s": round(warm_up, 1),
    }


class Report:
    """The parts that are done, in a file."""

    def __init__(self, path: Path, *, max_seconds: float) -> None:
        self.path, self._ends = path, time.monotonic() + max_seconds
        self.parts: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, name: str, measure: Callable[[], dict[str, Any]]) -> None:
        """Measures a part unless it is there or time is up; an error is its result, and is tried again next time."""
        if name in self.parts and "error" not in self.parts[name]:
            return
        if time.monotonic() > self._ends:
            self.parts[name] = {"error": "no time left; run the same command again"}
            return
        try:
            self.parts[name] = measure()
        except (RuntimeError, ImportError) as error:  # out of memory, no kernel, no compiler
            self.parts[name] = {"error": str(error).splitlines()[0]}
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        self.path.write_text(json.dumps(self.parts, indent=1) + "\n")
        print(f"{name}: {json.dumps(self.parts[name])}", flush=True)


def measure_all(
    report: Report, models: list[ModelConfig], device: torch.device, *, sequences: int, num_steps: int
) -> None:
    """All parts, the short ones first."""
    largest = max(models, key=lambda each: each.vocab_size * each.d_model)
    report.add("gemm", lambda: gemm(device))
    report.add("parity", lambda: parity(device))
    report.add("loss", lambda: loss_memory(largest, device, sequences=sequences))
    for config in models:
        report.add(f"attention {config.name}", lambda config=config: attention(config, device, sequences=sequences))  # type: ignore[misc]
    rate = report.parts["gemm"].get("measured", float("nan"))
    for config in models:
        backend = report.parts[f"attention {config.name}"].get("fastest", "sdpa")
        for way in WAYS:

            def measure(config: ModelConfig = config, way: str = way, backend: Backend = backend) -> dict[str, Any]:
                return steps(
                    config, device, sequences=sequences, num_steps=num_steps, way=way, backend=backend, gemm_flops=rate
                )

            report.add(f"{config.name} {way}", measure)


def main() -> None:
    """Measures what is missing and prints everything as one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--models", nargs="+", default=["s160m", "ctllm_2b"])
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--max-seconds", type=float, default=450, help="no part begins after it")
    parser.add_argument("--rehearse", action="store_true", help="tiny sizes on a CPU")
    options = parser.parse_args()
    if not torch.cuda.is_available() and not options.rehearse:
        raise SystemExit("benchmarks/gpu.py measures a CUDA GPU and torch sees none here; --rehearse tries it on a CPU")
    device = torch.device("cpu" if options.rehearse else "cuda")
    models = [ModelConfig.model_validate(name) for name in (["ci_0m9"] if options.rehearse else options.models)]
    sequences = 2 if options.rehearse else options.sequences
    report = Report(options.out, max_seconds=options.max_seconds)
    measure_all(report, models, device, sequences=sequences, num_steps=options.steps)
    print(json.dumps({"benchmark": "gpu", "sequences": sequences, "torch": torch.__version__, **report.parts}))


if __name__ == "__main__":
    main()
