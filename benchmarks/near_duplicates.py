"""Recall and false merges of near-dedup on labelled pairs; prints one JSON line per language.

    python benchmarks/near_duplicates.py PAIRS.jsonl.zst     rows with text_a, text_b, lang and jaccard_char5

Each pair is judged on its own, by the default settings: found when both texts share their exact hash, or share a band
and the verified Jaccard reaches the threshold. Truth is the pair's Jaccard of character 5-grams.
"""

import json
import sys
from collections import Counter

import fsspec
import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.dedup.verify import Sketches, similarities
from ctllm.schemas.curation_config import DedupConfig

SAME, DIFFERENT = 0.8, 0.5


def bands(texts: list[str], lanes: list[str], config: DedupConfig) -> pa.Table:
    """Signatures of the texts, in order."""
    columns = {
        "key": pa.array(range(len(texts)), pa.uint64()),
        "url": pa.nulls(len(texts), pa.string()),
        "lane": lanes,
        "text": pa.array(texts, pa.large_string()),
    }
    return pa.Table.from_batches([Signer(config).sign(pa.record_batch(columns))])


def found_pairs(rows: list[dict[str, object]], config: DedupConfig) -> np.ndarray:
    """Whether each pair is found: bool."""
    lanes = ["code" if row["lang"] not in ("zh", "en") else str(row["lang"]) for row in rows]
    one, other = (bands([str(row[name]) for row in rows], lanes, config) for name in ("text_a", "text_b"))
    numbers = np.repeat(np.arange(len(rows))[:, None], 2, axis=1)
    jaccard, _ = similarities(Sketches.of(one), Sketches.of(other), numbers, sketch_size=config.sketch_size)
    shares = [bool(set(a) & set(b)) for a, b in zip(one["bands"].to_pylist(), other["bands"].to_pylist(), strict=True)]
    exact = np.ones(len(rows), bool)
    for name in ("exact_high", "exact_low"):
        exact &= one[name].to_numpy() == other[name].to_numpy()
    return exact | (np.array(shares) & (jaccard >= config.threshold))


def main(path: str) -> None:
    """Judges the pairs of a file and prints the lines."""
    with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as file:
        rows = [json.loads(line) for line in file]
    counts: Counter[tuple[str, str]] = Counter()
    for row, found in zip(rows, found_pairs(rows, DedupConfig()), strict=True):
        truth = float(row["jaccard_char5"])
        kind = "same" if truth >= SAME else "different" if truth < DIFFERENT else "between"
        counts[row["lang"], kind] += 1
        counts[row["lang"], f"{kind}_found"] += int(found)
    for lang in sorted({lang for lang, _ in counts}):
        own = {kind: count for (of, kind), count in sorted(counts.items()) if of == lang}
        print(json.dumps({"benchmark": "near_duplicates", "lang": lang, **own}))


if __name__ == "__main__":
    main(sys.argv[1])
