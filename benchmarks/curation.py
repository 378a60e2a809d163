"""CPU speed of the steps of `ctllm curate` on real text, one core; prints one JSON line.

    python benchmarks/curation.py FILE... --megabytes 500 --work DIR [--warc WARC] [--steps read,signals,filter,...]

FILEs are JSON Lines with `text`, compressed or not, repeated until there are enough megabytes of text, with one
character changed in every copy, so that copies are near duplicates and no exact ones. Megabytes are of UTF-8 text,
seconds are CPU time of the whole process. `curate` is the command in a process of its own, with one worker, with two
threads (workers) and with two worker processes: ratios to the first are of wall time, start-up and all, and stage by
stage; peak_rss_mb_N is the most memory with N threads.

read     Parquet to documents: normalised, language and lane            signals  all signals of the documents
sign     exact hash, bands and sketches                                 write    the documents as zstd Parquet
fused    all of these and lines, as the measure stage does them         curate   the whole command, 1 and 2 workers
filter   Parquet to verdicts: read, signals, rules, and the documents kept written as zstd Parquet
html     pages of the WARC to verdicts; times of that by resiliparse alone (parsing and main text of the decoded pages)
         and by our extraction around it
"""

import argparse
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from extraction import pages_of
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from ctllm.pipelines.dedup.fingerprint import Fingerprinter
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.extract import extract_page
from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.measure import TABLES, GroupedWriter
from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.pipelines.sources.reader import SourceBatch, read_batches
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.files import ROW_GROUP_ROWS, read_json
from ctllm.schemas.memory import keep_freed_memory

STEPS = ("read", "signals", "sign", "write", "fused", "filter", "html", "curate")
COLUMNS = ("id", "text", "url", "path", "title", "license")
FILE_BYTES = 16 << 20
RECOMMENDED = Path(__file__).parents[1] / "configs" / "curation" / "recommended.yaml"
GUARDS = (  # most of the corpus is copies, of one source
    "max_removed_share", "max_removed_share_per_source", "max_share_per_rule", "max_copies_share_per_source",
    "max_cluster_share",
)  # fmt: skip
FIRST_OF_COPIES = 0x4E00  # Han characters, one after the other, take the place of a character of each text


def main(argv: Sequence[str] | None = None) -> None:
    """Builds the corpus, measures the steps asked for and prints the line."""
    parser = argparse.ArgumentParser(description="CPU speed of the steps of ctllm curate")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--warc", help="a WARC of HTML pages, for the step html")
    parser.add_argument("--steps", default=",".join(STEPS))
    given = parser.parse_args(argv)
    steps = given.steps.split(",")
    if unknown := set(steps) - set(STEPS):
        parser.error(f"--steps: unknown {', '.join(sorted(unknown))}; known are {', '.join(STEPS)}")
    paths, size = build_corpus(given.files, given.work / "corpus", num_bytes=int(given.megabytes * 1e6))
    line: dict[str, Any] = {"benchmark": "curation", "mb": round(size / 1e6, 1)}
    line |= measure_steps(paths, [step for step in steps if step not in {"curate", "html"}])
    line["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    if "html" in steps and given.warc:
        line |= measure_html(given.warc)
    if "curate" in steps:
        line |= measure_curate(paths, given.work, size=size)
    print(json.dumps(line))


def build_corpus(files: Sequence[str], directory: Path, *, num_bytes: int) -> tuple[list[str], int]:
    """Parquet files of about `FILE_BYTES` of text each, and the bytes of text in all of them."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    paths: list[str] = []
    total, pending, pending_bytes = 0, [], 0
    for row in _copies(files):
        size = len(row["text"].encode())
        pending.append(row)
        pending_bytes += size
        total += size
        if pending_bytes >= FILE_BYTES or total >= num_bytes:
            paths.append(str(directory / f"part-{len(paths):05d}.parquet"))
            table = pa.Table.from_pylist(pending, schema=pa.schema([(name, pa.string()) for name in COLUMNS]))
            pq.write_table(table, paths[-1], compression="zstd", row_group_size=ROW_GROUP_ROWS)
            pending, pending_bytes = [], 0
        if total >= num_bytes:
            break
    return paths, total


def _copies(files: Sequence[str]) -> Iterator[dict[str, str | None]]:
    """The rows of all files over and over; of every text a character in the middle is another one in each round."""
    rows: list[dict[str, Any]] = []
    for path in files:
        with fsspec.open(path, "rt", encoding="utf-8", compression="infer") as file:
            rows += ({name: row.get(name) for name in COLUMNS} for row in map(json.loads, file))
    rows.sort(key=lambda row: spread_order(row["text"]))  # lanes mixed, the same in every run
    copy = 0
    while True:
        for row in rows:
            middle = len(row["text"]) // 2
            changed = row["text"][:middle] + chr(FIRST_OF_COPIES + copy) + row["text"][middle + 1 :]
            yield {**row, "id": f"{row['id']}-{copy}", "text": changed if copy else row["text"]}
        copy += 1


def spread_order(text: str) -> int:
    """A number that spreads texts without Python's random string hash."""
    return sum(map(ord, text[:64])) * 2654435761 % 2**32


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, all threads."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure_steps(paths: Sequence[str], steps: Sequence[str]) -> dict[str, float]:
    """Megabytes a second of each step alone; a file's documents at a time are in memory."""
    config = CurationConfig()
    identifier, measurer, signer = LanguageIdentifier.load(), Measurer(config), Signer(config.dedup)
    fingerprinter = Fingerprinter(config)
    keep_freed_memory()  # as the stage does

    def read(path: str) -> Iterator[SourceBatch]:
        for split in plan_splits([path], config=config.sources):
            yield from read_batches(split, config=config, identifier=identifier)

    def fused(path: str) -> None:
        with ExitStack() as stack:
            writers = {
                name: stack.enter_context(GroupedWriter(io.BytesIO(), schema)) for name, schema in TABLES.items()
            }
            for batch in read(path):
                writers["documents"].write(batch.documents)
                writers["failures"].write(batch.failures)
                writers["signals"].write(measurer.measure(batch.documents, batch.texts))
                for name, rows in fingerprinter.measure(batch.documents, batch.texts).items():
                    writers[name].write(rows)

    def write(batches: Iterable[pa.RecordBatch]) -> None:
        with GroupedWriter(io.BytesIO(), TABLES["documents"]) as writer:
            for documents in batches:
                writer.write(documents)

    works: dict[str, Callable[[str, list[SourceBatch]], object]] = {
        "read": lambda path, _: sum(1 for _ in read(path)),
        "signals": lambda _, batches: [measurer.measure(batch.documents, batch.texts) for batch in batches],
        "sign": lambda _, batches: [signer.sign(batch.documents, batch.texts) for batch in batches],
        "write": lambda _, batches: write(batch.documents for batch in batches),
        "fused": lambda path, _: fused(path),
        "filter": lambda path, _: write(kept(batch, measurer, config) for batch in read(path)),
    }
    seconds = dict.fromkeys(steps, 0.0)
    size = 0
    for number, path in enumerate(paths):
        batches = list(read(path))
        if not number:  # compiles the kernels
            for step in steps:
                works[step](path, batches[:1])
        size += sum(int(batch.documents.column("text").nbytes) for batch in batches)
        for step in steps:
            seconds[step] += cpu_seconds(lambda: works[step](path, batches))  # noqa: B023 - called at once
    return {f"{step}_mb_per_s": round(size / 1e6 / spent, 1) for step, spent in seconds.items()}


def kept(batch: SourceBatch, measurer: Measurer, config: CurationConfig) -> pa.RecordBatch:
    """The documents that pass the rules of their lanes."""
    signals = measurer.measure(batch.documents, batch.texts)
    is_kept, _ = evaluate(signals, batch.documents.column("lane"), rules=config.rules)
    return batch.documents.filter(pa.array(is_kept))


def measure_html(warc: str) -> dict[str, float]:
    """Pages a second from WARC to verdict, and its CPU time by that of extraction alone; the better of two each."""
    config = CurationConfig()
    identifier, measurer = LanguageIdentifier.load(), Measurer(config)
    pages = list(pages_of(warc))

    def judge() -> int:
        return sum(
            kept(batch, measurer, config).num_rows
            for split in plan_splits([warc], config=config.sources)
            for batch in read_batches(split, config=config, identifier=identifier)
        )

    works: dict[str, Callable[[], object]] = {
        "html": judge,
        "resiliparse": lambda: [extract_plain_text(HTMLTree.parse(page), main_content=True) for page in pages],
        "extract_page": lambda: [extract_page(page) for page in pages],
    }
    num_kept = judge()  # compiles the kernels
    seconds = {name: min(cpu_seconds(work) for _ in range(2)) for name, work in works.items()}
    return {
        "html_pages": len(pages),
        "html_pages_kept": num_kept,
        "html_pages_per_s": round(len(pages) / seconds["html"]),
        "html_by_resiliparse": round(seconds["html"] / seconds["resiliparse"], 2),
        "html_by_extract_page": round(seconds["html"] / seconds["extract_page"], 2),
    }


def measure_curate(paths: Sequence[str], work: Path, *, size: int) -> dict[str, Any]:
    """The whole command, start-up and all, with one worker, two and two processes."""
    _run_command(paths[:1], work / "run-warm", workers=2)  # compiles the kernels
    walls, usages, stages = [], [], []
    for workers, runner in ((1, "direct"), (2, "direct"), (2, "processes")):
        started = time.monotonic()
        usages.append(_run_command(paths, out := work / f"run-{runner}-{workers}", workers=workers, runner=runner))
        walls.append(time.monotonic() - started)
        stages.append(read_json(str(out / "manifest.json"))["stages"])
        shutil.rmtree(out)
    speedups = {}
    for name, wall, stage in zip(("workers", "processes"), walls[1:], stages[1:], strict=True):
        speedups[f"two_{name}_speedup"] = round(walls[0] / wall, 2)
        speedups[f"two_{name}_by_stage"] = {
            each: round(stages[0][each]["seconds"] / stage[each]["seconds"], 2) for each in ("measure", "pairs")
        }
    seconds = usages[0].ru_utime + usages[0].ru_stime
    return {
        "curate_mb_per_cpu_s": round(size / 1e6 / seconds, 1),
        "curate_mb_per_wall_s": round(size / 1e6 / walls[0], 1),
        **speedups,
        **{f"curate_peak_rss_mb_{number}": round(usages[number - 1].ru_maxrss / 1024) for number in (1, 2)},
    }


def _run_command(paths: Sequence[str], out: Path, *, workers: int, runner: str = "direct") -> resource.struct_rusage:
    """What `ctllm curate` used, in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    command = [str(Path(sys.executable).with_name("ctllm")), "curate", str(RECOMMENDED), f"--out={out}"]
    inputs = [f"--input={path}" for path in paths] + [f"--set=guard.{name}=1" for name in GUARDS]
    process = subprocess.Popen(  # not run(): wait4 gives what this one child used
        [*command, f"--workers={workers}", f"--runner={runner}", *inputs],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"ctllm curate failed with status {os.waitstatus_to_exitcode(status)}")
    return usage


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # as in cli/main.py: native threads can outlive the interpreter, and its teardown ends in SIGABRT
