"""The authors' 312 groups of copies, reproduced by the command itself; prints one JSON line.

    python benchmarks/ctllm_dedup.py [SHARED]     directory with data/ and golden/; default: ../shared

Runs `ctllm curate` with `dedup.preset=ctllm` over the two files that the golden clusters are of. `same_clusters`: what
`pairs/` connects are those clusters, id by id. `same_removed`: `duplicates/` is what follows from them and from the
rules, which this program applies to the golden clusters itself: of the documents that the rules keep the first stays.
"""

import gzip
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.dedup.clusters import components
from ctllm.schemas.verdict import COPIES

FILES = ("web_zh_wet", "zh_corpus_samples")
CONFIG = Path(__file__).resolve().parent.parent / "configs" / "curation" / "recommended.yaml"
SETTINGS = ("dedup.preset=ctllm", "sources.repair_mojibake=false", "guard.max_removed_share=1")


def main(shared: Path) -> None:
    """Curates, compares and prints the line."""
    with gzip.open(shared / "golden" / "ctllm_minhash_clusters.jsonl.gz", "rt", encoding="utf-8") as file:
        golden = [json.loads(line) for line in file]
    with tempfile.TemporaryDirectory() as directory:
        run = Path(directory) / "run"
        inputs = [part for name in FILES for part in ("--input", shared / "data" / "restricted" / f"{name}.jsonl.zst")]
        settings = [part for each in SETTINGS for part in ("--set", each)]
        started = time.monotonic()
        command = [sys.executable, "-m", "ctllm.cli.main", "curate", CONFIG, *inputs, "--out", run, *settings]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        documents = pq.read_table(run / "documents", columns=["key", "id"])
        names = dict(zip(documents["key"].to_pylist(), documents["id"].to_pylist(), strict=True))
        found = clusters(pq.read_table(run / "pairs"), names)
        removed = {names[row["key"]]: names[row["kept_key"]] for row in pq.read_table(run / "duplicates").to_pylist()}
        kept = {
            names[row["key"]]
            for row in pq.read_table(run / "verdicts").to_pylist()
            if row["kept"] or row["reasons"][0]["reason"] in COPIES.values()
        }
    line = {
        "documents": len(names),
        "clusters": len(found),
        "removed_of_all": sum(len(each) - 1 for each in found),
        "same_clusters": sorted(found) == sorted(golden),
        "kept_by_the_rules": len(kept),
        "removed": len(removed),
        "same_removed": removed == expected(golden, kept),
        "wall_s": round(seconds, 1),
    }
    print(json.dumps({"benchmark": "ctllm_dedup", **line}))


def clusters(pairs: pa.Table, names: dict[int, str]) -> list[list[str]]:
    """Ids of the documents that pairs connect, in file order."""
    ends = np.column_stack([pairs["key_a"].to_numpy(), pairs["key_b"].to_numpy()])
    keys, flat = np.unique(ends, return_inverse=True)
    labels = components(flat.reshape(-1, 2).astype(np.int64), num_nodes=len(keys))
    grouped: dict[int, list[str]] = {}
    for key, label in zip(keys.tolist(), labels.tolist(), strict=True):
        grouped.setdefault(label, []).append(names[key])
    return list(grouped.values())


def expected(golden: list[list[str]], kept: set[str]) -> dict[str, str]:
    """Id of each removed copy to the id that stays."""
    left = [[name for name in cluster if name in kept] for cluster in golden]
    return {name: cluster[0] for cluster in left for name in cluster[1:]}


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared"))
