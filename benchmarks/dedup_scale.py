"""How dedup grows: join, survivors and components over synthetic signatures; prints one JSON line.

    python benchmarks/dedup_scale.py --documents 100000,1000000 --work DIR [--shuffle files] [--cluster 1000000]
        [--edges 1000000,200000000] [--steps join,survivors,components]

Documents have random band keys (as many as the default settings give) and a sketch of 32 values, a tenth of a real
one's, so that 10^7 fit a disk; one in ten is a near copy of one before it. --cluster adds that many near copies of one
more document, a hot bucket in every band. Each step and size is a process of its own: cpu_s is its CPU time, wall_s
its time, peak_mb its most memory, base_mb what it had before the work. Exponents are of the last two sizes.

join        bands to verified pairs                   survivors   pairs to duplicates, in memory
components  pairs to labels, by Beam rounds           unite       --edges random edges on as many nodes, union-find;
by_lookups is its time by that of looking up both ends of every edge once, in a table as large: what memory itself takes
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numba as nb
import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.clusters import components
from ctllm.pipelines.dedup.components import label_components
from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.dedup.minhash import banding
from ctllm.pipelines.judgement import RANKED, duplicates_among
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig, DedupConfig
from ctllm.schemas.document import document_keys
from ctllm.schemas.duplicates import BANDS
from ctllm.schemas.files import list_files, read_parquet, write_parquet

STEPS = ("join", "survivors", "components")
CONFIG = DedupConfig(sketch_size=32)
SPLIT_DOCUMENTS = 20_000  # as many as 64 MiB of Chinese web text
COPY_SHARE = 0.1
SKETCH = 32
CHANGED = 3  # of a copy's sketch: Jaccard 29/35


def main(argv: Sequence[str] | None = None) -> None:
    """Measures the steps for all sizes and prints the line."""
    parser = argparse.ArgumentParser(description="growth of dedup")
    parser.add_argument("--documents", default="100000,1000000", help="sizes, ascending")
    parser.add_argument("--work", type=Path, required=True, help="directory for the synthetic files")
    parser.add_argument("--steps", default=",".join(STEPS))
    parser.add_argument("--shuffle", default="files", choices=["gbk", "files"])
    parser.add_argument("--cluster", type=int, default=0)
    parser.add_argument("--edges", default="")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--measure", nargs=2, metavar=("STEP", "SIZE"), help="one step in this process")
    options = parser.parse_args(argv)
    if options.measure:
        print(json.dumps(measure(options.measure[0], int(options.measure[1]), options)))
        return
    line: dict[str, Any] = {"benchmark": "dedup_scale", "shuffle": options.shuffle, "cluster": options.cluster}
    sizes = [int(size) for size in options.documents.split(",") if size]
    for size in sizes:
        write_bands(options.work / str(size), size, cluster=options.cluster)
    for step in options.steps.split(",") if sizes else ():
        line[step] = {size: in_a_process(step, size, argv) for size in sizes}
    if options.edges:
        line["unite"] = {int(size): in_a_process("unite", int(size), argv) for size in options.edges.split(",")}
    for step, found in list(line.items()):
        if isinstance(found, dict) and len(found) > 1:
            (small, one), (large, other) = list(found.items())[-2:]
            line[f"{step}_exponents"] = {
                name: round(math.log(other[name] / one[name]) / math.log(large / small), 3)
                for name in ("cpu_s", "peak_mb")
            }
    print(json.dumps(line))


def in_a_process(step: str, size: int, argv: Sequence[str] | None) -> dict[str, Any]:
    """What `measure` says there."""
    arguments = [*(argv or sys.argv[1:]), "--measure", step, str(size)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(step: str, size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Runs one step over one size; kernels are compiled and files read once before the clock starts."""
    components(np.zeros((1, 2), np.int64), num_nodes=1)
    work = {"join": join, "survivors": survivors, "components": contract, "unite": unite}[step]
    base = peak_mb()
    cpu, wall = time.process_time(), time.monotonic()
    found = work(options.work / str(size), size, options)
    return {
        "cpu_s": round(time.process_time() - cpu, 2),
        "wall_s": round(time.monotonic() - wall, 2),
        "peak_mb": peak_mb(),
        "base_mb": base,
        **found,
    }


def peak_mb() -> int:
    """Most memory this process has had; ru_maxrss would begin with what its parent had."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def join(directory: Path, _size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Bands to pairs."""
    return find_pairs(
        list_files(str(directory / "bands"), suffix=".parquet"),
        out=str(directory / "pairs"),
        config=CONFIG,
        options=RunnerOptions(workers=options.workers, shuffle=options.shuffle),
    )


def survivors(directory: Path, _size: int, _options: argparse.Namespace) -> dict[str, Any]:
    """Pairs to duplicates, every document kept by the rules."""
    pairs = pa.concat_tables(map(read_parquet, list_files(str(directory / "pairs"), suffix=".parquet")))
    keys = np.unique(np.concatenate([pairs["key_a"].to_numpy(), pairs["key_b"].to_numpy()]))
    ranked = np.zeros(len(keys), RANKED)
    ranked["key"] = keys
    found = duplicates_among(pairs, ranked, config=CurationConfig(dedup=CONFIG))
    return {"pairs": len(pairs), "documents": len(keys), "removed": len(found)}


def contract(directory: Path, _size: int, options: argparse.Namespace) -> dict[str, Any]:
    """Pairs to labels."""
    files = list_files(str(directory / "pairs"), suffix=".parquet")
    num_pairs = sum(read_parquet(path, columns=["key_a"]).num_rows for path in files)
    labels = label_components(
        files,
        scratch=str(directory / "components"),
        bits=(num_pairs * 32 >> 24).bit_length(),
        options=RunnerOptions(workers=options.workers, shuffle=options.shuffle),
    )
    return {"pairs": num_pairs, "rounds": int(Path(labels[0]).parent.name.removeprefix("round-")) + 1}


def unite(_directory: Path, size: int, _options: argparse.Namespace) -> dict[str, Any]:
    """Union-find over `size` random edges on as many nodes."""
    rng = np.random.default_rng(0)
    edges = np.empty((size, 2), np.int64)
    for start in range(0, size, 1 << 22):  # in pieces: the generator's own arrays would count
        edges[start : start + (1 << 22)] = rng.integers(0, size, (min(1 << 22, size - start), 2))
    lookups = ends_seconds(edges, num_nodes=size)
    cpu = time.process_time()
    labels = components(edges, num_nodes=size)
    spent = time.process_time() - cpu
    return {
        "unite_s": round(spent, 2),
        "ns_per_edge": round(spent / size * 1e9, 1),
        "lookups_ns_per_edge": round(lookups / size * 1e9, 1),
        "by_lookups": round(spent / lookups, 1),
        "largest_label": int(labels.max()),
    }


def ends_seconds(edges: np.ndarray, *, num_nodes: int) -> float:
    """CPU time of reading an int32 of each edge's two nodes, once."""
    table = np.arange(num_nodes, dtype=np.int32)
    _sum_of_ends(edges[:1], table)
    cpu = time.process_time()
    _sum_of_ends(edges, table)
    return time.process_time() - cpu


@nb.njit(boundscheck=False, error_model="numpy")
def _sum_of_ends(edges: np.ndarray, table: np.ndarray) -> np.int64:
    found = 0
    for i in range(edges.shape[0]):
        found += table[np.uint64(edges[i, 0])] + table[np.uint64(edges[i, 1])]
    return found


def write_bands(directory: Path, size: int, *, cluster: int) -> None:
    """Band files of `size` documents, and of `cluster` more that are near copies of one; kept if they are there."""
    num_bands, _ = banding(CONFIG)
    total = size + cluster
    if len(list_files(str(directory / "bands"), suffix=".parquet")) == -(-total // SPLIT_DOCUMENTS):
        return
    for split in range(-(-total // SPLIT_DOCUMENTS)):
        first = split * SPLIT_DOCUMENTS
        numbers = np.arange(first, min(first + SPLIT_DOCUMENTS, total))
        keys = document_keys(snapshot=0, split=split, first_row=0, num_rows=len(numbers))
        write_parquet(str(directory / "bands" / f"part-{split:05d}.parquet"), signed(numbers, keys, size, num_bands))


def signed(numbers: np.ndarray, keys: np.ndarray, size: int, num_bands: int) -> pa.Table:
    """BANDS of the documents with these numbers; a copy shares bands and sketch with the document 10,007 before it."""
    is_copy = (mixed(numbers, 1) % 10_000 < COPY_SHARE * 10_000) & (numbers >= 10_007)
    origins = np.where(numbers >= size, size, np.where(is_copy, numbers - 10_007, numbers)).astype(np.uint64)
    bands = mixed(origins[:, None] * np.uint64(num_bands) + np.arange(num_bands, dtype=np.uint64), 2)
    bands[is_copy, ::3] = mixed(numbers[is_copy, None] * np.arange(1, len(range(0, num_bands, 3)) + 1), 3)
    sketch = mixed(origins[:, None] * np.uint64(SKETCH) + np.arange(SKETCH, dtype=np.uint64), 4) >> np.uint64(32)
    sketch[is_copy, :CHANGED] = mixed(numbers[is_copy, None] + np.arange(CHANGED) * size, 5) >> np.uint64(32)
    rows = np.sort(sketch.astype("<u4"), axis=1)
    return pa.table(
        [
            pa.array(keys),
            *(pa.array(mixed(numbers, 6 + half)) for half in range(4)),
            *[pa.array(np.zeros(len(keys), np.uint64))] * 2,
            pa.array(np.full(len(keys), SKETCH, np.int32)),
            pa.ListArray.from_arrays(pa.array(np.arange(len(keys) + 1) * num_bands, pa.int32()), bands.ravel()),
            pa.array([row.tobytes() for row in rows], pa.binary()),
        ],
        schema=BANDS,
    )


def mixed(numbers: np.ndarray, seed: int) -> np.ndarray:
    """64 bits that look random for each number: uint64."""
    values = numbers.astype(np.uint64) + np.uint64(seed << 56)
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        values = (values ^ (values >> np.uint64(33))) * np.uint64(factor)
    return np.asarray(values ^ (values >> np.uint64(33)))


if __name__ == "__main__":
    main()
