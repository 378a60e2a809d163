"""Planted Chinese copies found, documents lost and speed of our dedup beside rivals'; prints one JSON line.

    python benchmarks/dedup_peers.py --peer datasketch=PYTHON --peer datatrove=PYTHON … FILE… [--documents 300]

PYTHON is that of an environment that has the tool (`pip install datasketch`, …); FILEs are JSONL(.gz, .zst) of Chinese
texts. Every sampled text has one changed copy, of the kinds of benchmarks/dedup_quality.py in turn, and its hard
negatives stand beside them. A copy is found when it or its original is removed. Every removed document beyond
one of each pair is lost without reason. Megabytes of UTF-8 a second of CPU: from texts in memory to what is removed,
all in one run; ours reads and writes files as `ctllm curate` does. `mb_per_further_cpu_s` leaves out what five texts
cost already, for ours the Beam job itself.
"""

import argparse
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from dedup_quality import CHROME, Joined, hard_negatives, rechromed, sample, zh_variants

from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.schemas.curation_config import DedupConfig

SCRIPT = Path(__file__).resolve().parent / "peers" / "near_duplicates.py"
SETTINGS = ("default", "chinese")


@dataclass(frozen=True)
class Planted:
    """Texts, and which of them are copies of which."""

    texts: list[str]
    copies: list[tuple[str, int, int]]
    """Kind, original, copy."""

    @property
    def megabytes(self) -> float:
        """Size of the texts in UTF-8."""
        return sum(len(text.encode()) for text in self.texts) / 1e6


def plant(originals: Sequence[str]) -> Planted:
    """The originals, one copy of each and the hard negatives; a copy that its change leaves as it was is left out."""
    generator = random.Random(1)
    variants = {**zh_variants(generator), "chrome": rechromed}
    del variants["word_in_every_sentence"]  # no copy any more by Jaccard 0.8
    texts = list(originals)
    copies = []
    for number, text in enumerate(originals):
        kind = list(variants)[number % len(variants)]
        if kind == "chrome":
            texts[number] = CHROME[0][0] + text + CHROME[0][1]
        changed = variants[kind](texts[number])
        if changed != texts[number]:
            copies.append((kind, number, len(texts)))
            texts.append(changed)
    texts += dict.fromkeys(text for text in hard_negatives(originals, generator) if text.strip())
    return Planted(texts, copies)


def ours(planted: Planted) -> dict[str, Any]:
    """What our recommended dedup removes when the rules keep everything, the longest copy stays."""
    config = DedupConfig()
    Joined(planted.texts[:5], ["zh"] * 5, config)  # compiles the kernels
    started = time.process_time()
    Joined(planted.texts[:5], ["zh"] * 5, config)
    fixed = time.process_time() - started
    started = time.process_time()
    pairs = Joined(planted.texts, ["zh"] * len(planted.texts), config).pairs
    keys = np.arange(len(planted.texts), dtype=np.uint64)
    lengths = pa.array([len(text) for text in planted.texts], pa.int32())
    order = pa.table({"key": keys, "source_rank": pa.array(np.zeros(len(keys), np.int32)), "num_chars": lengths})
    removed = choose_survivors(pairs, kept_keys=keys, order_columns=order, config=config)["key"].to_pylist()
    return {"cpu_s": time.process_time() - started, "fixed_cpu_s": fixed, "removed": removed}


def theirs(planted: Planted, tool: str, python: str, setting: str) -> dict[str, Any]:
    """What a rival removes, or why it did not end."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sample.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in planted.texts), encoding="utf-8")
        done = subprocess.run([python, SCRIPT, tool, setting, path], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def judged(planted: Planted, found: dict[str, Any]) -> dict[str, Any]:
    """Share of the copies of each kind that are found, documents lost beyond one of a pair, MB/s."""
    if "failed" in found:
        return found
    removed: Collection[int] = set(found["removed"])
    kinds: dict[str, list[bool]] = {}
    for kind, original, copy in planted.copies:
        kinds.setdefault(kind, []).append(bool({original, copy} & removed))
    return {
        "version": found.get("version"),
        "found": {kind: round(float(np.mean(each)), 3) for kind, each in kinds.items()},
        "lost": len(removed) - sum(map(sum, kinds.values())),
        "mb_per_cpu_s": round(planted.megabytes / found["cpu_s"], 2),
        "mb_per_further_cpu_s": round(planted.megabytes / (found["cpu_s"] - found.get("fixed_cpu_s", 0.0)), 2),
    }


def main() -> None:
    """Plants, runs every tool with both settings and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--peer", action="append", default=[], metavar="TOOL=PYTHON")
    parser.add_argument("--documents", type=int, default=300, help="texts sampled of each file")
    given = parser.parse_args()

    planted = plant(sample(given.files, number=given.documents))
    results = {"ctllm": judged(planted, ours(planted))}
    for tool, _, python in (each.partition("=") for each in given.peer):
        for setting in SETTINGS:
            results[f"{tool} {setting}"] = judged(planted, theirs(planted, tool, python, setting))
    line = {"documents": len(planted.texts), "copies": len(planted.copies), "mb": round(planted.megabytes, 1)}
    print(json.dumps({"benchmark": "dedup_peers", **line, "results": results}))


if __name__ == "__main__":
    main()
