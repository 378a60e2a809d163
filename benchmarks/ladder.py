"""What size, length and curation buy on a CPU: small models on curated and on raw text; one JSON line.

    python benchmarks/ladder.py FILE… --out DIR [--rungs ci_0m9:3 ci_0m9:10 m3:3 m3:10] [--arms curated raw] [--seeds 3]

Run it again to continue. All through our own commands, one thread each: the files are curated twice, by
configs/curation/recommended.yaml and *raw*, by the same config with every rule, near dedup, cuts of lines and privacy
off; copies that hash alike go in both. One tokenizer of 8,192 pieces, trained on the curated text, serves both; plans
have CT-LLM's shares of languages and equal tokens. RUNG is MODEL:MINUTES of CPU time, by the tokens a CPU second that
are measured here once (TOKENS_PER_CPU_S); so steps and tokens are the same everywhere, and `cpu_s` says how long they
took. A seed decides initial weights, choice and order of the text. A model is measured in bits per byte on documents
that no arm trains on: `clean`, those that curation keeps, and `raw`, those of the raw arm, with what curation would
remove. Of both, documents with a verified copy anywhere in the input are left out: the raw arm may have seen the copy.
"""

import argparse
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from ctllm.model.checkpoint import load_model
from ctllm.model.evaluation.bits_per_byte import HeldOutDocument, bits_per_byte
from ctllm.model.plan import Plan
from ctllm.model.token_shards import TokenShards
from ctllm.schemas.files import list_files, read_parquet
from ctllm.schemas.rules import RulesConfig

ROOT = Path(__file__).resolve().parent.parent
COMMAND = [sys.executable, "-m", "ctllm.cli.main"]
CONTEXT_LENGTH, SEQUENCES_PER_STEP = 256, 4  # small steps learn more of few tokens (configs/pretrain/demo.yaml)
TOKENS_PER_CPU_S = {"ci_0m9": 4096, "m3": 2731}  # float32, one core of an EPYC with AVX-512 (2026-11-26), rounded
LEARNING_RATES = {"ci_0m9": 3e-3, "m3": 2e-3}  # of configs/pretrain/demo.yaml and m3.yaml
MAX_DOCUMENTS = 20  # of a lane and a held-out set: seconds to measure
OFF = ("dedup.near=false", "lines.within_document=off", "lines.across_site=null")
PRIVACY = ("secret", "id_card", "bank_card", "mobile", "landline", "email", "qq", "wechat", "passport", "plate", "ip")
HELD_OUT = {"clean": "curated", "raw": "raw"}
"""Held-out set to the arm whose plan holds it out."""


def raw_overrides() -> list[str]:
    """The settings that take every rule and every cut out of the recommended config."""
    rules = RulesConfig()
    bounds = [f"rules.{lane}.{rule.name}=null" for lane, each in rules.by_lane().items() for rule in each.rules()]
    return [*bounds, *OFF, *(f"privacy.{kind}=off" for kind in PRIVACY)]


class Ladder:
    """All stages below one directory."""

    def __init__(self, files: Sequence[str], out: Path) -> None:
        self.files, self.out = files, out

    def prepare(self, arms: Sequence[str]) -> None:
        """Curates both ways, trains the tokenizer, tokenizes, plans what is held out of either."""
        for arm in dict.fromkeys(["curated", *arms]):
            settings = _set(raw_overrides() if arm == "raw" else [])
            inputs = [part for file in self.files for part in ("--input", file)]
            config = str(ROOT / "configs/curation/recommended.yaml")
            self._run("curate", config, *inputs, "--out", self._at(arm), *settings)
            if arm == "curated":
                recipe = str(ROOT / "configs/tokenizer/m3.yaml")
                self._run("tokenizer", "train", self._at(arm), "--config", recipe, "--out", self._at("tokenizer"))
            model = self._at("tokenizer", "tokenizer.model")
            self._run("tokenize", self._at(arm), "--tokenizer", model, "--out", self._at(arm, "tokens"))
            self.plan(arm, 0)

    def plan(self, arm: str, seed: int) -> str:
        """The plan of one seed; all of one arm hold out the same documents."""
        out = self._at(arm, f"plan{seed}")
        settings = _set([f"context_length={CONTEXT_LENGTH}", f"seed={seed}"])
        config = str(ROOT / "configs/plan/m3.yaml")
        self._run("plan", self._at(arm, "tokens"), "--config", config, "--out", out, *settings)
        return out

    def train(self, rung: str, arm: str, seed: int) -> dict[str, float]:
        """One run: its figures, measured once and kept beside it."""
        model, minutes = rung.split(":")
        steps = round(60 * float(minutes) * TOKENS_PER_CPU_S[model] / (CONTEXT_LENGTH * SEQUENCES_PER_STEP))
        run = self._at("runs", f"{model}_{minutes}min_{arm}_seed{seed}")
        done = Path(run, "figures.json")
        if done.exists():
            found: dict[str, float] = json.loads(done.read_text())
            return found
        settings = {
            "tokens": self._at(arm, "tokens"),
            "plan": self.plan(arm, seed),
            "out": run,
            "model": json.dumps({"preset": model, "vocab_size": 8192, "context_length": CONTEXT_LENGTH}),
            "loop.steps": steps,
            "loop.sequences_per_step": SEQUENCES_PER_STEP,
            "loop.compute_dtype": "float32",
            "loop.evaluate_every_steps": steps,
            "loop.seed": seed,
            "optimizer.learning_rate": LEARNING_RATES[model],
            "schedule.warmup_steps": 20,
            "sample_prompts": "[]",
        }
        config = str(ROOT / "configs/pretrain/m3.yaml")
        self._run("pretrain", config, *_set([f"{key}={value}" for key, value in settings.items()]), timed=run)
        figures = self._measure(run)
        done.write_text(json.dumps(figures))
        return figures

    def _measure(self, run: str) -> dict[str, float]:
        summary = json.loads(Path(run, "summary.json").read_text())
        model, _ = load_model(summary["checkpoint"])
        bits = {
            f"bpb_{name}_{lane}": each.value
            for name, arm in HELD_OUT.items()
            if Path(self._at(arm, "plan0")).exists()
            for lane, each in bits_per_byte(model, self.held_out(arm)).items()
        }
        own = {"loss": summary["last_loss"], "tokens": summary["label_tokens"], "params": summary["num_parameters"]}
        return own | {"cpu_s": float(Path(run, "cpu_seconds").read_text())} | bits

    def held_out(self, arm: str) -> list[HeldOutDocument]:
        """What the arm's plans hold out, but for documents with a copy."""
        shards = TokenShards(self._at(arm, "tokens"))
        table = Plan(self._at(arm, "plan0"), shards=shards).held_out
        pairs = [read_parquet(path) for path in list_files(self._at("curated", "pairs"), suffix=".parquet")]
        copies = np.concatenate([pairs_of[name].to_numpy() for pairs_of in pairs for name in ("key_a", "key_b")])
        table = table.filter(pc.invert(pc.is_in(table["key"], pc.cast(np.unique(copies), table["key"].type))))
        documents, taken = [], dict[str, int]()
        for row in table.to_pylist():
            lane = row["lane"]
            taken[lane] = taken.get(lane, 0) + 1
            if taken[lane] <= MAX_DOCUMENTS:
                tokens = shards.tokens(row["shard"], row["offset"] - 1, row["num_tokens"])
                documents.append(HeldOutDocument(lane, tokens, row["num_bytes"]))
        return documents

    def _at(self, *parts: str) -> str:
        return str(self.out.joinpath(*parts))

    def _run(self, *arguments: str, timed: str | None = None) -> None:
        """Runs a command on one thread; adds its CPU seconds to RUN/cpu_seconds."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with Path(self.out, "log.txt").open("ab") as log:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            subprocess.run([*COMMAND, *arguments], check=True, cwd=ROOT, env=environment, stdout=log, stderr=log)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if timed is not None:
            spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            file = Path(timed, "cpu_seconds")
            file.write_text(str(round((float(file.read_text()) if file.exists() else 0) + spent, 1)))


def _set(settings: Sequence[str]) -> list[str]:
    return [part for setting in settings for part in ("--set", setting)]


def summary_of(runs: Sequence[dict[str, float]]) -> dict[str, list[float]]:
    """Figure to its mean and, over several seeds, its standard deviation."""
    values = {name: [run[name] for run in runs if name in run] for name in runs[0]}
    return {
        name: [round(figure, 4) for figure in (statistics.fmean(each), *([statistics.stdev(each)] if each[1:] else []))]
        for name, each in values.items()
    }


def main() -> None:
    """Trains what is missing and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rungs", nargs="+", default=["ci_0m9:3", "ci_0m9:10", "m3:3", "m3:10"])
    parser.add_argument("--arms", nargs="+", default=["curated", "raw"], choices=["curated", "raw"])
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    ladder = Ladder([str(Path(file).resolve()) for file in options.files], options.out.resolve())
    ladder.prepare(options.arms)
    runs: dict[str, list[dict[str, float]]] = {}
    for seed, rung, arm in itertools.product(range(options.seeds), options.rungs, options.arms):
        runs.setdefault(f"{rung} {arm}", []).append(ladder.train(rung, arm, seed))
    results = {name: summary_of(each) for name, each in runs.items()}
    print(json.dumps({"benchmark": "ladder", "seeds": options.seeds, "results": results}))


if __name__ == "__main__":
    main()
