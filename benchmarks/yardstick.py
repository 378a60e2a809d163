"""How fast this machine is, by work that is none of ours; prints one JSON line.

    python benchmarks/yardstick.py CORPUS.jsonl.zst...     files of {"text": ...} lines

The aims in MB/s were set on another machine (a core of an AMD EPYC of the Zen 4 generation). The same plain kernel
and the same library calls ran there, so `share` says what part of that machine's speed a core of this one has; an aim
in MB/s times the share is the same aim here. CPU time, best of five; MB are 10^6 bytes of UTF-8 text.

`two_threads` is how much faster two threads do twice the MinHash, which shares no memory and holds no lock, than one
does it: by the clock, so on a quiet machine; what cores that share their units can gain at most.
"""

import hashlib
import io
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait

import numba as nb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

REFERENCE_MB_PER_S = {"minhash": 531, "parquet_read": 793, "parquet_write": 348, "blake2b": 850}
"""On the machine of the aims, Chinese text: MinHash of 128 permutations for every five characters, their hashes given;
Parquet with zstd-1 read and written by pyarrow on one thread; blake2b of every document."""

NUM_PERMUTATIONS = 128
MEGABYTES = 40  # of text; longer corpora are cut


@nb.njit(nogil=True, error_model="numpy")
def minhash(hashes: np.ndarray, factors: np.ndarray, addends: np.ndarray, out: np.ndarray) -> None:
    """The smallest of each permutation, four at a time; `min()` instead of a comparison keeps it off vectors."""
    for k in range(0, factors.shape[0], 4):
        a0, a1, a2, a3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        b0, b1, b2, b3 = addends[k], addends[k + 1], addends[k + 2], addends[k + 3]
        m0 = m1 = m2 = m3 = np.uint32(0xFFFFFFFF)
        for i in range(hashes.shape[0]):
            x = hashes[i]
            w0, w1 = np.uint32(x * a0 + b0), np.uint32(x * a1 + b1)
            w2, w3 = np.uint32(x * a2 + b2), np.uint32(x * a3 + b3)
            m0 = w0 if w0 < m0 else m0
            m1 = w1 if w1 < m1 else m1
            m2 = w2 if w2 < m2 else m2
            m3 = w3 if w3 < m3 else m3
        out[k], out[k + 1], out[k + 2], out[k + 3] = m0, m1, m2, m3


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, the best of five."""
    times = []
    for _ in range(5):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def seconds_of(work: Callable[[], object], *, num_threads: int) -> float:
    """Time by the clock until each of the threads has done the work once, the best of five."""
    times = []
    with ThreadPoolExecutor(num_threads) as threads:
        for _ in range(5):
            started = time.perf_counter()
            wait([threads.submit(work) for _ in range(num_threads)])
            times.append(time.perf_counter() - started)
    return min(times)


def read_texts(paths: Sequence[str]) -> list[str]:
    """The first texts of the corpora, in turn, up to `MEGABYTES`."""
    texts: list[str] = []
    for path in paths:
        size = 0
        with zstandard.open(path, "rb") as file:
            for line in io.TextIOWrapper(file, encoding="utf-8"):
                texts.append(json.loads(line)["text"])
                size += len(texts[-1].encode())
                if size > MEGABYTES * 1e6 / len(paths):
                    break
    return texts


def signer(texts: list[str]) -> Callable[[], None]:
    """What signs all texts, from hashes that are there: random ones, for the values do not change the time."""
    random = np.random.default_rng(0)
    hashes = [random.integers(0, 1 << 32, max(len(text) - 4, 0), np.uint32) for text in texts]
    factors, addends = random.integers(1, 1 << 32, (2, NUM_PERMUTATIONS), np.uint32)

    def sign() -> None:
        signature = np.empty(NUM_PERMUTATIONS, np.uint32)
        for each in hashes:
            minhash(each, factors, addends, signature)

    return sign


def measure(texts: list[str]) -> dict[str, float]:
    """CPU seconds of each piece of work over all texts."""
    sign = signer(texts)
    encoded = [text.encode() for text in texts]
    table = pa.table({"text": pa.array(texts, pa.large_string())})

    def write() -> pa.Buffer:
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=False)
        return sink.getvalue()

    written = write()
    return {
        "minhash": cpu_seconds(sign),
        "parquet_write": cpu_seconds(write),
        "parquet_read": cpu_seconds(lambda: pq.read_table(pa.BufferReader(written), use_threads=False)),
        "blake2b": cpu_seconds(lambda: [hashlib.blake2b(each, digest_size=16) for each in encoded]),
    }


def main(paths: Sequence[str]) -> None:
    """Measures and prints the line."""
    pa.set_cpu_count(1)
    texts = read_texts(paths)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    speeds = {name: megabytes / seconds for name, seconds in measure(texts).items()}
    shares = {name: round(speed / REFERENCE_MB_PER_S[name], 2) for name, speed in speeds.items()}
    sign = signer(texts)
    two_threads = 2 * seconds_of(sign, num_threads=1) / seconds_of(sign, num_threads=2)
    rounded = {name: round(speed) for name, speed in speeds.items()}
    line = {"mb": round(megabytes, 1), "mb_per_s": rounded, "share": shares, "two_threads": round(two_threads, 2)}
    print(json.dumps({"benchmark": "yardstick", **line}))


if __name__ == "__main__":
    main(sys.argv[1:])
