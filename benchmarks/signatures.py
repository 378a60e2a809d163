"""Speed of dedup signatures against datasketch on the same text in the same run; prints one JSON line.

    python benchmarks/signatures.py [FILE.jsonl.zst...]     rows with text; default: the example corpus's Chinese texts

`recommended` and `plain` are `Signer.sign` whole, with the default settings and with `form: verbatim`: decode, tokens,
shingles, 128 permutations, bands, sketch, exact hashes. `alone` is of plain what the others call a signature: decode,
distinct character 5-grams, 128 permutations. Datasketch: `MinHash.bulk` over the same 5-grams, whose shingling in
Python is not counted against it. MB are 10^6 bytes of UTF-8; CPU time, best of three.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
from datasketch import MinHash

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.minhash import permutations, signatures
from ctllm.pipelines.dedup.shingles import distinct_shingles
from ctllm.pipelines.dedup.signature import SLICE_CHARS, Signer
from ctllm.pipelines.dedup.verbatim import verbatim_tokens
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.memory import keep_freed_memory

BASE = Path(__file__).resolve().parent.parent / "examples" / "corpus" / "base" / "zh"
MIN_BYTES = 20_000_000  # enough for a stable figure; short inputs are repeated
BATCH_DOCUMENTS = 512  # some megabytes, as the measure stage has them
DATASKETCH_SHARE = 0.02  # datasketch sees this part of the text, or it would take minutes
NUM_CHARS, NUM_PERMUTATIONS = 5, 128


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, the best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def read_texts(paths: Sequence[str]) -> list[str]:
    """The texts of JSON Lines, or of the example corpus."""
    if not paths:
        return [path.read_text(encoding="utf-8") for path in sorted(BASE.glob("*.txt"))]
    texts = []
    for path in paths:
        with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as file:
            texts += [json.loads(line)["text"] for line in file]
    return texts


def documents(texts: Sequence[str]) -> pa.RecordBatch:
    """What `Signer` takes, all Chinese."""
    return pa.record_batch(
        {
            "key": pa.array(range(len(texts)), pa.uint64()),
            "url": pa.nulls(len(texts), pa.string()),
            "lane": ["zh"] * len(texts),
            "text": pa.array(texts, pa.large_string()),
        }
    )


def sign_alone(batch: pa.RecordBatch) -> list[np.ndarray]:
    """(D, P), uint32, a slice of the batch each."""
    factors, summands = permutations(NUM_PERMUTATIONS)
    decoded, found = TextBatch.of(batch.column("text")), []
    for start, stop in decoded.slices(SLICE_CHARS):
        texts = decoded.slice(start, stop)
        tokens = verbatim_tokens(texts.codepoints)
        shingles = distinct_shingles(tokens, texts.offsets, num_chars=NUM_CHARS, num_words=NUM_CHARS, min_shingles=1)
        found.append(signatures(*shingles, factors=factors, summands=summands))
    return found


def main(paths: Sequence[str]) -> None:
    """Measures all and prints the line."""
    keep_freed_memory()  # as the stage does
    texts = read_texts(paths)
    size = sum(len(text.encode()) for text in texts)
    texts *= -(-MIN_BYTES // size)
    total = sum(len(text.encode()) for text in texts)
    batches = [documents(texts[at : at + BATCH_DOCUMENTS]) for at in range(0, len(texts), BATCH_DOCUMENTS)]
    ways: dict[str, Callable[[pa.RecordBatch], object]] = {
        "recommended": Signer(DedupConfig()).sign,
        "plain": Signer(DedupConfig(form="verbatim")).sign,
        "alone": sign_alone,
    }
    rates = {}
    for name, sign in ways.items():
        sign(batches[0].slice(0, 10))  # compiles the kernels
        rates[name] = total / cpu_seconds(lambda: [sign(batch) for batch in batches])  # noqa: B023 - called at once
    few = texts[: max(1, int(len(texts) * DATASKETCH_SHARE))]
    shingles = [[text[at : at + NUM_CHARS].encode() for at in range(len(text) - NUM_CHARS + 1)] for text in few]
    theirs = sum(len(text.encode()) for text in few) / cpu_seconds(
        lambda: MinHash.bulk(shingles, num_perm=NUM_PERMUTATIONS, scheme="affine32")
    )
    line = {"benchmark": "signatures", "documents": len(texts), "mb": round(total / 1e6, 1)}
    line |= {f"{name}_mb_per_s": round(rate / 1e6, 1) for name, rate in rates.items()}
    line |= {"datasketch_mb_per_s": round(theirs / 1e6, 2)}
    line |= {f"{name}_by_datasketch": round(rate / theirs, 1) for name, rate in rates.items()}
    print(json.dumps(line))


if __name__ == "__main__":
    main(sys.argv[1:])
