"""Dedup of real text through Beam, Parquet to Parquet: speed, memory, two threads against one; prints one JSON line.

    python benchmarks/dedup_speed.py FILE... --megabytes 500,5000 --work DIR [--workers 1,2] [--rounds 3]
        [--set dedup.form=verbatim] [--shuffle files]

FILEs are JSON Lines with `text`, repeated until there are enough megabytes of UTF-8; a row with `path` is code, one
whose `lang` is `en` English, all others Chinese. In every copy one character of eight is another one of its text, so
that it is a document of its own; one copy in ten changes a single character and is a near duplicate. Each measurement
is a process of its own in which the workers are threads, so its memory is all there is; kernels are compiled before the
clock starts, and of the rounds the one with the least CPU time counts.

found    read + sign + join + cluster, no pair is compared
kept     read + sign + join + verify + cluster + rewrite of the text that stays
mb_per_cpu_s and mb_per_wall_s are of the whole, `steps` CPU seconds and the most memory during each. `speedup` is the
wall time of one worker by that of two, `growth` the memory of the last size by that of the first, at the first number
of workers.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.judgement import RANKED, duplicates_among
from ctllm.pipelines.measure import GROUP_ROWS, GroupedWriter
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.config import overridden, parse_override
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import document_keys
from ctllm.schemas.duplicates import BANDS
from ctllm.schemas.files import list_files, read_parquet, written_whole
from ctllm.schemas.memory import keep_freed_memory

WAYS = ("found", "kept")
FILE_BYTES = 32 << 20
CHANGED_SHARE, NEAR_SHARE = 1 / 8, 0.1  # 5-grams left as they were: (7/8)^5, a Jaccard of .34 with the original
TEXTS = pa.schema([("key", pa.uint64()), ("lane", pa.string()), ("url", pa.string()), ("text", pa.large_string())])


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the corpora, measures each way over each and prints the line."""
    parser = argparse.ArgumentParser(description="speed and memory of dedup")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", default="500", help="sizes, ascending")
    parser.add_argument("--work", type=Path, required=True, help="directory for corpora and what is made of them")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--shuffle", default="auto", choices=["auto", "gbk", "files"])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--measure", nargs=3, metavar=("WAY", "SIZE", "WORKERS"), help="one of them, in this process")
    given = parser.parse_args(argv)
    if given.measure:
        way, size, workers = given.measure
        print(json.dumps(measure(way, given.work / size, workers=int(workers), given=given)))
        return
    sizes, workers = given.megabytes.split(","), given.workers.split(",")
    for size in ("1", *sizes):
        build_corpus(given.files, given.work / size / "texts", num_bytes=int(float(size) * 1e6))
    line: dict[str, Any] = {"benchmark": "dedup_speed", "set": given.set, "shuffle": given.shuffle}
    for way in given.ways.split(","):
        found = {
            (size, number): best([in_a_process(argv, way, size, number) for _ in range(given.rounds)])
            for size in sizes
            for number in workers
        }
        line[way] = {f"{size} MB, {number} worker(s)": each for (size, number), each in found.items()}
        if workers == ["1", "2"]:
            walls = (found[sizes[-1], number]["wall_s"] for number in workers)
            line[f"{way}_speedup"] = round(next(walls) / next(walls), 2)
        if len(sizes) > 1:
            peaks = [found[size, workers[0]]["peak_mb"] for size in sizes]
            line[f"{way}_growth"] = round(peaks[-1] / peaks[0], 2)
    print(json.dumps(line))


def in_a_process(argv: Sequence[str] | None, *measurement: str) -> dict[str, Any]:
    """What `measure` says there."""
    command = [sys.executable, __file__, *(argv or sys.argv[1:]), "--measure", *measurement]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, stdin=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def best(rounds: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The round of least CPU time."""
    return min(rounds, key=lambda each: float(each["cpu_s"]))


def measure(way: str, directory: Path, *, workers: int, given: argparse.Namespace) -> dict[str, Any]:
    """One way over one corpus, after the same over the smallest, which compiles and loads all kernels."""
    changes = {**dict(map(parse_override, given.set)), "dedup.verify": way == "kept"}
    config = overridden(CurationConfig(), changes)
    options = RunnerOptions(workers=workers, shuffle=given.shuffle)
    run(directory.with_name("1"), config, options, steps={})
    steps: dict[str, dict[str, float]] = {}
    wall = time.monotonic()
    counts = run(directory, config, options, steps=steps)
    wall = time.monotonic() - wall
    cpu = sum(step["cpu_s"] for step in steps.values())
    mb = sum(read_parquet(path, columns=["text"]).nbytes for path in list_files(str(directory / "texts"))) / 1e6
    return {
        "mb": round(mb, 1),
        **counts,
        "mb_per_cpu_s": round(mb / cpu, 1),
        "mb_per_wall_s": round(mb / wall, 1),
        "cpu_s": round(cpu, 2),
        "wall_s": round(wall, 2),
        "peak_mb": max(step["peak_mb"] for step in steps.values()),
        "steps": steps,
    }


def run(
    directory: Path, config: CurationConfig, options: RunnerOptions, *, steps: dict[str, dict[str, float]]
) -> dict[str, int]:
    """The steps one after the other; their CPU time and memory go to `steps`."""

    def measured(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - whatever the step gives
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        cpu = time.process_time()
        result = work()
        steps[name] = {"cpu_s": round(time.process_time() - cpu, 2), "peak_mb": peak_mb()}
        return result

    texts = list_files(str(directory / "texts"), suffix=".parquet")
    bands, pairs, kept = (directory / name for name in ("bands", "pairs", "kept"))
    for made in (bands, pairs, kept):
        shutil.rmtree(made, ignore_errors=True)
    measured("sign", lambda: each_file("sign", texts, SignFile(str(bands), config), options))
    counts = measured("join", lambda: find_pairs(
        list_files(str(bands)), document_files=texts, out=str(pairs), config=config.dedup, options=options
    ))  # fmt: skip
    removed = measured("cluster", lambda: removed_keys(str(pairs), config))
    if config.dedup.verify:
        measured("rewrite", lambda: each_file("rewrite", texts, RewriteFile(str(kept), removed), options))
    return {"pairs": counts["pairs"], "border": counts["border"], "removed": len(removed)}


def peak_mb() -> int:
    """Most memory this process has had since it was asked to count anew."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def each_file(name: str, paths: Sequence[str], work: beam.DoFn, options: RunnerOptions) -> None:
    """A Beam job that does `work` on every file."""
    run_job(name, lambda pipeline: pipeline | Spread(paths) | name >> beam.ParDo(work), options=options)


class SignFile(beam.DoFn):
    """A file of texts → a file of BANDS, in batches and row groups as the measure stage makes them."""

    def __init__(self, out: str, config: CurationConfig) -> None:
        self._out, self._config = out, config

    def setup(self) -> None:
        """Makes the signer, as the measure stage does."""
        keep_freed_memory()
        self._signer = Signer(self._config.dedup)

    def process(self, path: str) -> None:
        """Signs one file."""
        with written_whole(f"{self._out}/{Path(path).name}") as file, GroupedWriter(file, BANDS) as writer:
            for batch in row_groups(path):
                writer.write(self._signer.sign(batch))


class RewriteFile(beam.DoFn):
    """A file of texts → the same without those that are removed."""

    def __init__(self, out: str, removed: np.ndarray) -> None:
        self._out, self._removed = out, removed

    def process(self, path: str) -> None:
        """Rewrites one file."""
        with written_whole(f"{self._out}/{Path(path).name}") as file, GroupedWriter(file, TEXTS) as writer:
            for batch in row_groups(path):
                stays = ~np.isin(batch.column("key").to_numpy(), self._removed)
                writer.write(batch.filter(pa.array(stays)))


def row_groups(path: str) -> Iterator[pa.RecordBatch]:
    """A row group at a time, some megabytes, without threads beside the workers: as the stages read."""
    file = pq.ParquetFile(path)
    for group in range(file.num_row_groups):
        yield from file.iter_batches(GROUP_ROWS, row_groups=[group], use_threads=False)


def removed_keys(pairs: str, config: CurationConfig) -> np.ndarray:
    """Keys of the documents that another one stands for, if no rule removes any."""
    table = pa.concat_tables(map(read_parquet, list_files(pairs, suffix=".parquet")))
    keys = np.unique(np.concatenate([table["key_a"].to_numpy(), table["key_b"].to_numpy()]))
    ranked = np.zeros(len(keys), RANKED)
    ranked["key"] = keys
    removed: np.ndarray = duplicates_among(table, ranked, config=config)["key"].to_numpy()
    return removed


def build_corpus(files: Sequence[str], directory: Path, *, num_bytes: int) -> None:
    """Parquet files of texts; kept if they are there."""
    if directory.exists():
        return
    unfinished = directory.with_name("unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    documents = copies(files)
    number, left = 0, num_bytes
    while left > 0:
        lanes, batch, size = [], [], 0
        while size < min(FILE_BYTES, left):
            lane, text = next(documents)
            lanes.append(lane)
            batch.append(text)
            size += len(text.encode())
        keys = document_keys(snapshot=0, split=number, first_row=0, num_rows=len(batch))
        nothing = pa.nulls(len(batch), pa.string())
        rows = pa.record_batch([pa.array(keys), pa.array(lanes), nothing, batch], schema=TEXTS)
        with written_whole(str(unfinished / f"part-{number:05d}.parquet")) as file, GroupedWriter(file, TEXTS) as out:
            for start in range(0, len(batch), GROUP_ROWS // 8):
                out.write(rows.slice(start, GROUP_ROWS // 8))
        number, left = number + 1, left - size
    unfinished.rename(directory)


def copies(files: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Lane and text of all rows over and over, changed in every round but the first."""
    documents: list[tuple[str, str]] = []
    for path in files:
        with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as file:
            documents += ((lane_of(row), row["text"]) for row in map(json.loads, file))
    generator = np.random.default_rng(0)
    yield from documents
    while True:
        for lane, text in documents:
            yield lane, varied(text, generator)


def lane_of(row: dict[str, Any]) -> str:
    """The lane of a row of FILE."""
    if "path" in row:
        return "code"
    return "en" if row.get("lang") == "en" else "zh"


def varied(text: str, generator: np.random.Generator) -> str:
    """`text` with characters of its own in the place of others: of one in eight, or now and then of one alone."""
    characters = np.frombuffer(text.encode("utf-32-le"), "<u4").copy()
    if generator.random() < NEAR_SHARE:
        places = generator.integers(len(characters), size=1)
    else:
        places = np.flatnonzero(generator.random(len(characters)) < CHANGED_SHARE)
    characters[places] = characters[generator.integers(len(characters), size=len(places))]
    return characters.tobytes().decode("utf-32-le")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # as in cli/main.py: native threads can outlive the interpreter, and its teardown ends in SIGABRT
