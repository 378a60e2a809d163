"""Planted Chinese copies found, documents lost and speed of our dedup beside rivals'; prints one JSON line.

    python benchmarks/dedup_peers.py --peer datasketch=PYTHON --peer datatrove=PYTHON … FILE… [--documents 300]

PYTHON is that of an environment that has the tool (`pip install datasketch`, …); FILEs are JSONL(.gz, .zst) of Chinese
texts. Every sampled text has one changed copy, of the kinds of benchmarks/dedup_quality.py in turn, and its hard
negatives stand beside them. A copy is found when it or its original is removed. Every removed document beyond
one of each pair is lost without reason. Megabytes of UTF-8 a second of CPU: from texts in memory to what is removed,
all in one run; ours reads and writes files as `ctllm curate` does. `mb_per_further_cpu_s` leaves out what five texts
cost already, for ours the Beam job itself. `peak_mb` is the most memory of a process with all that it imports.
`broken`: what tools that read files make of one with two more lines, one cut off and one whose text is a number.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from dedup_quality import CHROME, Joined, hard_negatives, rechromed, rows_of, sample, zh_variants
from dedup_scale import peak_mb

from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.schemas.curation_config import DedupConfig

SCRIPT = Path(__file__).resolve().parent / "peers" / "near_duplicates.py"
SETTINGS = ("default", "chinese")
READERS = ("datatrove", "text_dedup", "data_juicer")
BROKEN_DOCUMENTS = 50
BROKEN = ('{"text": "cut o', '{"text": 7, "id": "51"}')
RECOMMENDED = SCRIPT.parents[2] / "configs" / "curation" / "recommended.yaml"


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


def ours(texts: Sequence[str]) -> dict[str, Any]:
    """What our recommended dedup removes when the rules keep everything, the longest copy stays."""
    config = DedupConfig()
    Joined(texts[:5], ["zh"] * 5, config)  # compiles the kernels
    started = time.process_time()
    Joined(texts[:5], ["zh"] * 5, config)
    fixed = time.process_time() - started
    started = time.process_time()
    pairs = Joined(texts, ["zh"] * len(texts), config).pairs
    keys = np.arange(len(texts), dtype=np.uint64)
    lengths = pa.array([len(text) for text in texts], pa.int32())
    order = pa.table({"key": keys, "source_rank": pa.array(np.zeros(len(keys), np.int32)), "num_chars": lengths})
    removed = choose_survivors(pairs, kept_keys=keys, order_columns=order, config=config)["key"].to_pylist()
    spent = time.process_time() - started
    return {"cpu_s": spent, "fixed_cpu_s": fixed, "peak_mb": peak_mb(), "removed": removed}


def in_a_process(lines: Sequence[str], command: Sequence[str | Path]) -> dict[str, Any]:
    """What the command prints of a file of these lines, or why it did not end."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sample.jsonl"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:], "exit_code": done.returncode}
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def lines_of(texts: Sequence[str]) -> list[str]:
    """A line for each text."""
    return [json.dumps({"text": text, "id": str(row)}) for row, text in enumerate(texts)]


def our_accounts(lines: Sequence[str]) -> dict[str, Any]:
    """Records that `ctllm curate` reads in such a file and that it counts as failed."""
    with tempfile.TemporaryDirectory() as directory:
        path, out = Path(directory, "sample.jsonl"), Path(directory, "run")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [Path(sys.executable).with_name("ctllm"), "curate", RECOMMENDED, "--input", path, "--out", out]
        subprocess.run(command, capture_output=True, check=True)
        accounts = json.loads((out / "stats" / "stats.json").read_text(encoding="utf-8"))["accounts"]
    return {name: accounts[name] for name in ("read", "failed")}


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
        "peak_mb": found["peak_mb"],
        "mb_per_cpu_s": round(planted.megabytes / found["cpu_s"], 2),
        "mb_per_further_cpu_s": round(planted.megabytes / (found["cpu_s"] - found.get("fixed_cpu_s", 0.0)), 2),
    }


def main() -> None:
    """Plants, runs every tool with both settings and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--peer", action="append", default=[], metavar="TOOL=PYTHON")
    parser.add_argument("--documents", type=int, default=300, help="texts sampled of each file")
    parser.add_argument("--ours", action="store_true", help="our own part alone, of one FILE that needs no sampling")
    given = parser.parse_args()
    if given.ours:
        print(json.dumps(ours([row["text"] for row in rows_of(given.files[0])])))
        return
    planted = plant(sample(given.files, number=given.documents))
    lines = lines_of(planted.texts)
    broken = [*lines[:BROKEN_DOCUMENTS], *BROKEN]
    results = {"ctllm": judged(planted, in_a_process(lines, [sys.executable, __file__, "--ours"]))}
    results["ctllm broken"] = our_accounts(broken)
    for tool, _, python in (each.partition("=") for each in given.peer):
        command = [python, SCRIPT, tool]
        for setting in SETTINGS:
            results[f"{tool} {setting}"] = judged(planted, in_a_process(lines, [*command, setting]))
        if tool in READERS:
            found = in_a_process(broken, [*command, "default"])
            results[f"{tool} broken"] = {"ended": True} if "failed" not in found else found
    line = {"documents": len(planted.texts), "copies": len(planted.copies), "mb": round(planted.megabytes, 1)}
    print(json.dumps({"benchmark": "dedup_peers", **line, "results": results}))


if __name__ == "__main__":
    main()
