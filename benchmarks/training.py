"""Our training loop beside two plain ones, same shape, batches, weights and optimizer; one JSON line.

    python benchmarks/training.py [--model ci_0m9] [--vocab 4096] [--sequences 4] [--document-tokens N] [--steps 12]
                                  [--rounds 3] [--dtype float32]

Ours is `Trainer`: packed documents with masks, chunked loss, clipping, ledger, spikes. The plain ones are the loop that
all write - forward, backward, clip_grad_norm_, AdamW, zero_grad - around transformers' `LlamaForCausalLM` and around a
Llama as nanoGPT would write it (plain_llama.py), without masks. All see the same tokens and start from the same
weights; the first losses must agree where a sequence is one document, which is the default. Each loop has a process of
its own, as ours decides how its process keeps memory; they take turns in blocks of steps, one thread each. A figure is
tokens per second of CPU time, the best block of each, and `ratio` is ours over the other. `mfu` is of a large matrix
product's rate on this machine, the full square of attention counted; `page_faults` are those of the last block, a step.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from plain_llama import PlainLlama
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM

from ctllm.model.batches import Batch
from ctllm.model.flops import measured_gemm_flops, training_flops
from ctllm.model.ledger import read_ledger
from ctllm.model.pretrain import next_token_loss
from ctllm.model.trainer import Trainer
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.training_config import LoopConfig, ModelConfig, OptimizerConfig, ScheduleConfig

LEARNING_RATE = 1e-3
CPU = torch.device("cpu")


def batch_of(step: int, *, config: ModelConfig, sequences: int, document_tokens: int) -> Batch:
    """Random tokens in documents of one length."""
    shape = (sequences, config.context_length + 1)
    tokens_BT = torch.randint(0, config.vocab_size, shape, generator=torch.Generator().manual_seed(step))
    positions_BT = torch.arange(config.context_length).expand(sequences, -1)
    segments_BT = positions_BT // document_tokens
    return Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], positions_BT % document_tokens, segments_BT)


class OurLoop:
    """Blocks of steps of one training run, each in a run directory of its own."""

    def __init__(self, config: ModelConfig, batch: Callable[[int], Batch], *, sequences: int, dtype: str) -> None:
        self.model, self.batch, self.sequences, self.dtype = new_transformer(config, seed=0), batch, sequences, dtype
        self.losses: list[float] = []

    def run(self, steps: int, first: int) -> float:
        """CPU seconds of `steps` steps: those of the ledger's lines, without set-up and checkpoint."""
        seconds: list[float] = []

        def batch(step: int) -> Batch:
            seconds.append(time.process_time())
            return self.batch(first + step)

        with tempfile.TemporaryDirectory() as directory:
            tokenizer = Path(directory, "tokenizer.model")
            tokenizer.write_bytes(b"none")
            trainer = Trainer(
                stage="benchmark",
                run=f"{directory}/run",
                model=self.model,
                loop=LoopConfig.model_validate(
                    {
                        "steps": steps + 2,
                        "sequences_per_step": self.sequences,
                        "device": "cpu",
                        "compute_dtype": self.dtype,
                    }
                ),
                optimizer=OptimizerConfig(learning_rate=LEARNING_RATE),
                schedule=ScheduleConfig(kind="constant"),
                batch=batch,
                loss=next_token_loss,
                tokenizer=str(tokenizer),
                identity={},
                packed_length=self.model.config.context_length,
            )
            trainer.train(resume=False)
            self.losses += [line.loss for line in read_ledger(trainer.run)]
        return seconds[steps + 1] - seconds[1]  # from the second step, as the first makes AdamW's state


class PlainLoop:
    """The loop that all write around a model that gives the mean loss of a batch."""

    def __init__(
        self, model: torch.nn.Module, loss_of: Callable[[Batch], Tensor], batch: Callable[[int], Batch], *, dtype: str
    ) -> None:
        self.model, self.loss_of, self.batch, self.dtype = model.train(), loss_of, batch, getattr(torch, dtype)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1)
        self.losses: list[float] = []

    def run(self, steps: int, first: int) -> float:
        """CPU seconds of `steps` steps after one that is not counted."""
        started = 0.0
        for step in range(steps + 1):
            started = time.process_time() if step == 1 else started
            batch = self.batch(first + step)
            with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
                loss = self.loss_of(batch)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.losses.append(loss.item())
        return time.process_time() - started


def transformers_llama(ours: Transformer) -> LlamaForCausalLM:
    """The class of that library with our shape and weights."""
    config = ours.config
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=config.vocab_size,
            hidden_size=config.d_model,
            intermediate_size=config.d_ffn,
            num_hidden_layers=config.num_layers,
            num_attention_heads=config.num_heads,
            num_key_value_heads=config.kv_heads,
            max_position_embeddings=config.context_length,
            rms_norm_eps=config.norm_epsilon,
            rope_theta=config.rope_theta,
            tie_word_embeddings=config.tied_embeddings,
        )
    )
    model.model.load_state_dict(ours.state_dict(), strict=False)
    if ours.lm_head is not None:
        model.lm_head.load_state_dict(ours.lm_head.state_dict())
    return model


LOOPS = ("ours", "transformers", "nanogpt_style")


@dataclass(frozen=True)
class Comparison:
    """What all loops train."""

    config: ModelConfig
    sequences: int
    document_tokens: int
    dtype: str

    def loop(self, name: str) -> OurLoop | PlainLoop:
        """One of LOOPS."""
        batch = partial(batch_of, config=self.config, sequences=self.sequences, document_tokens=self.document_tokens)
        ours = OurLoop(self.config, batch, sequences=self.sequences, dtype=self.dtype)
        if name == "ours":
            return ours
        if name == "nanogpt_style":
            nano = PlainLlama(ours.model)
            return PlainLoop(nano, lambda batch: nano(batch.tokens_BT, batch.labels_BT), batch, dtype=self.dtype)
        llama = transformers_llama(ours.model)

        def loss_of(batch: Batch) -> Tensor:
            labels_BT = batch.labels_BT.contiguous()
            loss: Tensor = llama(input_ids=batch.tokens_BT, labels=labels_BT, shift_labels=labels_BT).loss
            return loss

        return PlainLoop(llama, loss_of, batch, dtype=self.dtype)


@dataclass(frozen=True)
class Block:
    """What a block of steps took."""

    seconds: float
    page_faults: int
    first_loss: float
    """Of the loop's first step."""


def take_turns(comparison: Comparison, name: str, turns: Connection) -> None:
    """The life of one loop's process: a block of steps for each (steps, first) that comes, until None comes."""
    torch.set_num_threads(1)
    loop = comparison.loop(name)
    for steps, first in iter(turns.recv, None):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        seconds = loop.run(steps, first)
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
        turns.send(Block(seconds, faults, loop.losses[0]))


def measured_blocks(comparison: Comparison, *, steps: int, rounds: int) -> dict[str, list[Block]]:
    """The blocks of each loop; only one of them runs at a time."""
    context = multiprocessing.get_context("spawn")
    turns: dict[str, Connection] = {}
    for name in LOOPS:
        turns[name], theirs = context.Pipe()
        context.Process(target=take_turns, args=(comparison, name, theirs), daemon=True).start()
    blocks: dict[str, list[Block]] = {name: [] for name in LOOPS}
    for number in range(rounds):
        for name in LOOPS:
            turns[name].send((steps, number * steps))
            blocks[name].append(turns[name].recv())
    for name in LOOPS:
        turns[name].send(None)
    return blocks


def compare(comparison: Comparison, *, steps: int, rounds: int) -> dict[str, object]:
    """All loops in turns; the figures of the JSON line."""
    blocks = measured_blocks(comparison, steps=steps, rounds=rounds)
    config, dtype, others = comparison.config, comparison.dtype, LOOPS[1:]
    tokens = steps * comparison.sequences * config.context_length
    rates = {name: tokens / min(block.seconds for block in each) for name, each in blocks.items()}
    flops = training_flops(config, context_length=config.context_length).full
    gemm = measured_gemm_flops(CPU, getattr(torch, dtype))
    return {
        "benchmark": "training",
        "model": config.name,
        "vocab_size": config.vocab_size,
        "dtype": dtype,
        "tokens_per_step": comparison.sequences * config.context_length,
        "document_tokens": comparison.document_tokens,
        "tokens_per_cpu_s": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": {name: round(rates["ours"] / rates[name], 3) for name in others},
        "ratios_by_round": {
            name: [round(b.seconds / a.seconds, 3) for a, b in zip(blocks["ours"], blocks[name], strict=True)]
            for name in others
        },
        "mfu": {name: round(rate * flops / gemm, 3) for name, rate in rates.items()},
        "page_faults": {name: each[-1].page_faults // steps for name, each in blocks.items()},
        "first_losses": {name: each[0].first_loss for name, each in blocks.items()},
        "torch": torch.__version__,
    }


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ci_0m9")
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--document-tokens", type=int, help="default: a sequence is one document")
    parser.add_argument("--steps", type=int, default=12, help="in a block")
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each loop")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = ModelConfig.model_validate({"preset": options.model, "vocab_size": options.vocab})
    comparison = Comparison(config, options.sequences, options.document_tokens or config.context_length, options.dtype)
    print(json.dumps(compare(comparison, steps=options.steps, rounds=options.rounds)))


if __name__ == "__main__":
    main()
