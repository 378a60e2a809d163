"""Cycles of curate → tokenize → plan → pretrain with random kills: nothing may be lost, doubled or different.

    python benchmarks/soak.py --minutes 30 --out soak      # log: soak/log.jsonl; exit code 1 when a cycle differed

The first cycle runs undisturbed and is the reference. In the others every command is killed a random number of times
after a random part of the time it took undisturbed: SIGKILL or SIGTERM, to the whole process group. The last try is
left alone. Then the cycle must hold exactly what the reference holds:

    documents   read = kept + removed + failed, and the sha256 of every published file
    tokens      the sha256 of every shard, the digest of the plan
    batches     one ledger line for each step, in order, with the reference's batch; the sha256 of the weights
    runs        each version published once, none half registered
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from ctllm.examples.corpus.build import build_corpus
from ctllm.model.ledger import read_ledger
from ctllm.schemas.contents import fingerprint_of
from ctllm.schemas.files import remove_tree
from ctllm.schemas.manifest import StageManifest
from ctllm.schemas.registry import Registry

ROOT = Path(__file__).resolve().parents[1]
STAGES = ("curate", "tokenize", "plan", "pretrain")
MAX_KILLS = 3
LOOP = {"steps": 12, "sequences_per_step": 2, "checkpoint_every_steps": 3, "evaluate_every_steps": 12}


class Soak:
    """One soak below a directory of its own."""

    def __init__(self, out: Path, *, seed: int) -> None:
        """Builds the corpus and a tokenizer, which all cycles share."""
        self.out, self.dice = out.absolute(), random.Random(seed)
        self.out.mkdir(parents=True, exist_ok=True)
        self.registry = Registry(self.out / "registry")
        self.seconds: dict[str, float] = {}
        self.kills: Counter[str] = Counter()
        build_corpus(self.out / "corpus")
        values = yaml.safe_load((ROOT / "configs/pretrain/demo.yaml").read_text(encoding="utf-8"))
        (self.out / "pretrain.yaml").write_text(yaml.safe_dump(values | {"loop": LOOP}))
        self.run("curate", self.command("curate", "base"))
        self.run("tokenizer", ("tokenizer", "train", "data@base", "--out", "tok@base"))

    def command(self, stage: str, number: int | str) -> tuple[str, ...]:
        """The arguments of `ctllm` for a stage of a cycle."""
        return {
            "curate": ("curate", "configs/curation/demo.yaml", "--input", "corpus", "--out", f"data@{number}"),
            "tokenize": ("tokenize", f"data@{number}", "--tokenizer", "tok@base", "--out", f"tokens@{number}"),
            "plan": ("plan", f"tokens@{number}", "--config", "configs/plan/demo.yaml", "--out", f"plan@{number}"),
            "pretrain": (
                "pretrain", "pretrain.yaml", "--set", f"tokens=tokens@{number}", "--set", f"plan=plan@{number}",
                "--set", f"out=model@{number}",
            ),
        }[stage]  # fmt: skip

    def run(self, stage: str, arguments: tuple[str, ...], *, kill_after: float | None = None) -> int:
        """The exit code of `ctllm <arguments>`, killed with all its processes after so many seconds."""
        started = time.monotonic()
        with (self.out / "output.log").open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-m", "ctllm.cli.main", *arguments],
                cwd=self.out,
                env={**os.environ, "CTLLM_REGISTRY": str(self.registry.root), "NO_COLOR": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            try:
                code = child.wait(timeout=kill_after)
            except subprocess.TimeoutExpired:
                number = self.dice.choice([signal.SIGKILL, signal.SIGTERM])
                os.killpg(child.pid, number)
                code = child.wait()
                self.kills[f"{stage} {number.name}"] += 1
        if kill_after is None and code != 0:
            raise SystemExit(f"{' '.join(arguments)}: exit code {code}; see {self.out}/output.log")
        self.seconds.setdefault(stage, time.monotonic() - started)
        return code

    def cycle(self, number: int, *, disturbed: bool) -> dict[str, Any]:
        """Makes everything anew and says what it holds."""
        for stage in STAGES:
            for _ in range(self.dice.randint(1, MAX_KILLS) if disturbed else 0):
                arguments = self.command(stage, number)
                if self.run(stage, arguments, kill_after=self.dice.uniform(0, 1.2) * self.seconds[stage]) == 0:
                    break  # it was quicker than the kill
            self.run(stage, self.command(stage, number))
        held = self.holds(number)
        for name in ("data", "tokens", "plan", "model"):
            remove_tree(self.registry.place_of(f"{name}@{number}"))
            self.registry.set_state(f"{name}@{number}", "deleted", reasons=["soak"])
        return held

    def holds(self, number: int) -> dict[str, Any]:
        """What must be equal in every cycle."""
        data, model = (self.registry.place_of(f"{name}@{number}") for name in ("data", "model"))
        published = StageManifest.model_validate_json(Path(data, "curated", "_SUCCESS").read_text())
        counts = published.counts
        assert counts["read"] == counts["kept"] + counts["removed"] + counts["failed"], counts
        lines = read_ledger(model)
        assert [line.step for line in lines] == list(range(LOOP["steps"])), [line.step for line in lines]
        versions = [each for each in self.registry.versions() if each.version == str(number)]
        return {
            "counts": counts,
            "files": published.files,
            "batches": [line.batch for line in lines],
            "fingerprints": {each.reference.partition("@")[0]: each.contents.fingerprint for each in versions},
            "on_disk": {
                name: fingerprint_of(self.registry.place_of(f"{name}@{number}"))
                for name in ("data", "tokens", "plan", "model")
            },
            "runs": sorted(each.reference.partition("@")[0] for each in versions),
        }

    def log(self, **event: Any) -> None:  # noqa: ANN401 - whatever JSON holds
        """Writes and prints one line."""
        line = json.dumps(event)
        with (self.out / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)


def main() -> int:
    """Cycles until the time is over; 1 when one differed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--out", type=Path, required=True, help="a new directory")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    soak = Soak(arguments.out, seed=arguments.seed)
    reference = soak.cycle(0, disturbed=False)
    soak.log(cycle=0, undisturbed_seconds={name: round(each, 1) for name, each in soak.seconds.items()})
    differing, number = 0, 0
    while time.monotonic() < end:
        number += 1
        before = soak.kills.total()
        held = soak.cycle(number, disturbed=True)
        differs = [name for name in reference if held[name] != reference[name]]
        differing += bool(differs)
        soak.log(cycle=number, kills=soak.kills.total() - before, differs=differs)
    soak.log(cycles=number, kills=dict(sorted(soak.kills.items())), cycles_that_differed=differing, seed=arguments.seed)
    return 1 if differing or number == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
