"""Our training loop beside a plain one of transformers, same shape, batches and optimizer; one JSON line.

    python benchmarks/training.py [--model ci_0m9] [--vocab 4096] [--sequences 4] [--steps 12] [--dtype float32]

Ours is `Trainer`: packed documents with masks, chunked loss, clipping, ledger, spikes. Theirs is the loop that all
write: `LlamaForCausalLM(input_ids, labels)`, backward, clip_grad_norm_, AdamW, zero_grad, without masks. Both see the
same tokens and start from the same weights; the first losses, with one document in a sequence, must agree. The two take
turns in blocks of steps, one thread; a figure is tokens per second of CPU time, the best block of each, and `ratio` is
ours over theirs. `mfu` is of a large matrix product's rate on this machine, the full square of attention counted.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
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


def batch_of(step: int, *, config: ModelConfig, sequences: int) -> Batch:
    """Random tokens, one document in each sequence."""
    shape = (sequences, config.context_length + 1)
    tokens_BT = torch.randint(0, config.vocab_size, shape, generator=torch.Generator().manual_seed(step))
    positions_BT = torch.arange(config.context_length).expand(sequences, -1)
    return Batch(tokens_BT[:, :-1], tokens_BT[:, 1:], positions_BT, torch.zeros_like(positions_BT))


class OurLoop:
    """Blocks of steps of one training run, each in a run directory of its own."""

    def __init__(self, config: ModelConfig, *, sequences: int, dtype: str) -> None:
        self.model, self.sequences, self.dtype = new_transformer(config, seed=0), sequences, dtype
        self.losses: list[float] = []

    def run(self, steps: int, first: int) -> float:
        """CPU seconds of `steps` steps: those of the ledger's lines, without set-up and checkpoint."""
        seconds: list[float] = []

        def batch(step: int) -> Batch:
            seconds.append(time.process_time())
            return batch_of(first + step, config=self.model.config, sequences=self.sequences)

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


class TheirLoop:
    """The plain loop."""

    def __init__(self, config: ModelConfig, ours: Transformer, *, sequences: int, dtype: str) -> None:
        self.config, self.sequences, self.dtype = config, sequences, getattr(torch, dtype)
        self.model = LlamaForCausalLM(
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
        ).train()
        self.model.model.load_state_dict(ours.state_dict(), strict=False)
        if ours.lm_head is not None:
            self.model.lm_head.load_state_dict(ours.lm_head.state_dict())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1
        )
        self.losses: list[float] = []

    def run(self, steps: int, first: int) -> float:
        """CPU seconds of `steps` steps after one that is not counted."""
        started = 0.0
        for step in range(steps + 1):
            started = time.process_time() if step == 1 else started
            batch = batch_of(first + step, config=self.config, sequences=self.sequences)
            with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
                loss = self.model(
                    input_ids=batch.tokens_BT, labels=batch.labels_BT, shift_labels=batch.labels_BT.contiguous()
                ).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self.losses.append(loss.item())
        return time.process_time() - started


def compare(config: ModelConfig, *, sequences: int, steps: int, rounds: int, dtype: str) -> dict[str, object]:
    """Both loops in turns; the figures of the JSON line."""
    ours = OurLoop(config, sequences=sequences, dtype=dtype)
    theirs = TheirLoop(config, ours.model, sequences=sequences, dtype=dtype)
    loops: dict[str, Callable[[int, int], float]] = {"ours": ours.run, "transformers": theirs.run}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(rounds):
        for name, run in loops.items():
            seconds[name].append(run(steps, number * steps))
    tokens = steps * sequences * config.context_length
    rates = {name: tokens / min(each) for name, each in seconds.items()}
    flops = training_flops(config, context_length=config.context_length).full
    gemm = measured_gemm_flops(CPU, getattr(torch, dtype))
    return {
        "benchmark": "training",
        "model": config.name,
        "vocab_size": config.vocab_size,
        "dtype": dtype,
        "tokens_per_step": sequences * config.context_length,
        "tokens_per_cpu_s": {name: round(rate, 1) for name, rate in rates.items()},
        "ratio": round(rates["ours"] / rates["transformers"], 3),
        "ratios_by_round": [round(b / a, 3) for a, b in zip(seconds["ours"], seconds["transformers"], strict=True)],
        "mfu": {name: round(rate * flops / gemm, 3) for name, rate in rates.items()},
        "first_losses": {"ours": ours.losses[0], "transformers": theirs.losses[0]},
        "torch": torch.__version__,
    }


def main() -> None:
    """Prints the comparison."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="ci_0m9")
    parser.add_argument("--vocab", type=int, default=4096)
    parser.add_argument("--sequences", type=int, default=4)
    parser.add_argument("--steps", type=int, default=12, help="in a block")
    parser.add_argument("--rounds", type=int, default=3, help="blocks of each loop")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = ModelConfig.model_validate({"preset": options.model, "vocab_size": options.vocab})
    print(
        json.dumps(
            compare(
                config, sequences=options.sequences, steps=options.steps, rounds=options.rounds, dtype=options.dtype
            )
        )
    )


if __name__ == "__main__":
    main()
