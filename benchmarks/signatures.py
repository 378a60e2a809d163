"""Speed of dedup signatures against datasketch on the same text in the same run; prints one JSON line.

    python benchmarks/signatures.py [FILE...]     text files; default: the Chinese base texts of the example corpus

Ours: `Signer.sign` whole (decode, hashing form, shingles, 128 permutations, bands, sketch, exact hash). Datasketch:
`MinHash.bulk` over character 5-grams, whose shingling in Python is not counted against it. CPU time, best of three.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
from datasketch import MinHash

from ctllm.pipelines.dedup.signature import Signer
from ctllm.schemas.curation_config import DedupConfig

BASE = Path(__file__).resolve().parent.parent / "examples" / "corpus" / "base" / "zh"
MIN_BYTES = 20_000_000  # enough for a stable figure; short inputs are repeated
DATASKETCH_SHARE = 0.02  # datasketch sees this part of the text, or it would take minutes


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, the best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def main(paths: Sequence[str]) -> None:
    """Measures both and prints the line."""
    files = [Path(path) for path in paths] or sorted(BASE.glob("*.txt"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    size = sum(len(text.encode()) for text in texts)
    texts *= -(-MIN_BYTES // size)
    total = sum(len(text.encode()) for text in texts)
    batch = pa.record_batch(
        {
            "key": pa.array(range(len(texts)), pa.uint64()),
            "url": pa.nulls(len(texts), pa.string()),
            "lane": ["zh"] * len(texts),
            "text": pa.array(texts, pa.large_string()),
        }
    )
    signer = Signer(DedupConfig())
    signer.sign(batch.slice(0, 10))  # compiles the kernels
    ours = total / cpu_seconds(lambda: signer.sign(batch))
    few = texts[: max(1, int(len(texts) * DATASKETCH_SHARE))]
    shingles = [[text[at : at + 5].encode() for at in range(len(text) - 4)] for text in few]
    theirs = sum(len(text.encode()) for text in few) / cpu_seconds(
        lambda: MinHash.bulk(shingles, num_perm=128, scheme="affine32")
    )
    figures = {"ours_mb_per_s": ours / 1e6, "datasketch_mb_per_s": theirs / 1e6, "ratio": ours / theirs}
    print(json.dumps({"benchmark": "signatures", "mb": total / 1e6, **{k: round(v, 2) for k, v in figures.items()}}))


if __name__ == "__main__":
    main(sys.argv[1:])
