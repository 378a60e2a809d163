"""Which documents a rival's near dedup removes of a sample, and what it takes; runs in an environment of its own.

    PEER/bin/python benchmarks/peers/near_duplicates.py TOOL default|chinese SAMPLE.jsonl    lines {id, text}; id: row

`default`: as the tool's own example or defaults do it, words between white space. `chinese`: what it can be told that
suits Chinese best: character 5-grams without white space where it takes a function or an analyzer, its own Chinese word
splitter (datatrove: 5-grams of jieba's words), single clauses (text-dedup). All at Jaccard 0.8 and 128 permutations
where it has such settings. Of each group of copies one stays. The last three read the file themselves.

Prints {version, cpu_s, peak_mb, removed: [row numbers]}. Importing is in the memory only.
"""

# ruff: noqa: PLC0415 - an environment has one of these tools

import json
import resource
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

THRESHOLD = 0.8
PERMUTATIONS = 128
SEED = 42


def features_of(setting: str) -> Callable[[str], list[str]]:
    """What a document is to datasketch and rensa, whose examples split at white space."""
    if setting == "default":
        return str.split

    def windows(text: str) -> list[str]:
        joined = "".join(text.split())
        return [joined[at : at + 5] for at in range(max(1, len(joined) - 4))]

    return windows


def datasketch(texts: list[str], setting: str) -> set[int]:
    """MinHashLSH, asked before each insertion."""
    from datasketch import MinHash, MinHashLSH

    features = features_of(setting)
    index = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    removed = set()
    for row, text in enumerate(texts):
        minhash = MinHash(num_perm=PERMUTATIONS)
        minhash.update_batch([each.encode() for each in features(text)])
        if index.query(minhash):
            removed.add(row)
        else:
            index.insert(row, minhash)
    return removed


def rensa(texts: list[str], setting: str) -> set[int]:
    """RMinHashDeduplicator with its LSH, as its README shows it."""
    from rensa import RMinHash, RMinHashDeduplicator

    features = features_of(setting)
    index = RMinHashDeduplicator(threshold=THRESHOLD, num_perm=PERMUTATIONS, use_lsh=True, num_bands=16)
    removed = set()
    for row, text in enumerate(texts):
        minhash = RMinHash(num_perm=PERMUTATIONS, seed=SEED)
        minhash.update(features(text))
        if not index.add(str(row), minhash):
            removed.add(row)
    return removed


def gaoya(texts: list[str], setting: str) -> set[int]:
    """MinHashStringIndex; its own threshold by default is 0.75."""
    from gaoya.minhash import MinHashStringIndex

    chinese = {"analyzer": "char", "ngram_range": (5, 5), "num_hashes": PERMUTATIONS, "num_bands": None}
    options = chinese if setting == "chinese" else {}
    index = MinHashStringIndex(jaccard_threshold=THRESHOLD, **options)
    removed = set()
    for row, text in enumerate(texts):
        if index.query(text):
            removed.add(row)
        else:
            index.insert_document(row, text)
    return removed


def datatrove(path: Path, setting: str) -> set[int]:
    """The four steps of its example, one task each, with its default bands; documents that it drops on the way too."""
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashConfig,
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    language = "zh" if setting == "chinese" else "en"
    config = MinhashConfig()
    with tempfile.TemporaryDirectory() as directory:
        at = {name: f"{directory}/{name}" for name in ("signatures", "buckets", "removed", "kept", "logs")}
        reader, writer = JsonlReader(str(path)), JsonlWriter(at["kept"], compression=None)
        steps = [
            [reader, MinhashDedupSignature(at["signatures"], config=config, language=language)],
            [MinhashDedupBuckets(at["signatures"], at["buckets"], config=config)],
            [MinhashDedupCluster(at["buckets"], at["removed"], config=config)],
            [reader, MinhashDedupFilter(at["removed"]), writer],
        ]
        for number, pipeline in enumerate(steps):
            tasks = config.num_buckets if number == 1 else 1
            LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{at['logs']}/{number}").run()
        kept = [json.loads(line) for path in Path(at["kept"]).glob("*.jsonl") for line in path.open(encoding="utf-8")]
    return numbers_in(path) - {int(row["id"]) for row in kept}


def text_dedup(path: Path, setting: str) -> set[int]:
    """Its command for MinHash, in this process; words are what stands between marks, so clauses in Chinese."""
    from datasets import load_from_disk
    from text_dedup.minhash import main as command

    with tempfile.TemporaryDirectory() as directory:
        ngram = "1" if setting == "chinese" else "5"
        options = {"path": "json", "data_files": str(path), "split": "train", "cache_dir": f"{directory}/cache",
                   "output": f"{directory}/out", "column": "text", "threshold": str(THRESHOLD),
                   "num_perm": str(PERMUTATIONS), "ngram": ngram, "num_proc": "1"}  # fmt: skip
        command([f"--{name}={value}" for name, value in options.items()], standalone_mode=False)
        kept = load_from_disk(f"{directory}/out")["id"]
    return numbers_in(path) - set(map(int, kept))


def data_juicer(path: Path, setting: str) -> set[int]:
    """Its document_minhash_deduplicator over the file, with its own defaults or windows of 5 characters."""
    from data_juicer.ops.deduplicator import DocumentMinhashDeduplicator
    from datasets import load_dataset

    chinese = {"tokenization": "character", "window_size": 5, "ignore_pattern": r"\s"}
    deduplicator = DocumentMinhashDeduplicator(jaccard_threshold=THRESHOLD, **(chinese if setting == "chinese" else {}))
    with tempfile.TemporaryDirectory() as directory:
        rows = load_dataset("json", data_files=str(path), split="train", cache_dir=f"{directory}/cache")
        kept, _ = deduplicator.process(rows.map(deduplicator.compute_hash))
        return numbers_in(path) - set(map(int, kept["id"]))


LIBRARIES = {each.__name__: each for each in (datasketch, rensa, gaoya)}
READERS = {each.__name__: each for each in (datatrove, text_dedup, data_juicer)}
PACKAGES = {"text_dedup": "text-dedup", "data_juicer": "py-data-juicer"}


def texts_in(path: Path) -> list[str]:
    """The texts of a sample, for tools that read no files."""
    return [json.loads(line)["text"] for line in path.read_text(encoding="utf-8").splitlines()]


def numbers_in(path: Path) -> set[int]:
    """The rows of a sample; what is no document has a line too."""
    return set(range(len(path.read_text(encoding="utf-8").splitlines())))


def removed_of(tool: str, setting: str, path: Path) -> tuple[set[int], float]:
    """What the tool removes of a sample, and its CPU seconds."""
    given = path if tool in READERS else texts_in(path)
    started = cpu_seconds()
    removed = READERS[tool](given, setting) if tool in READERS else LIBRARIES[tool](given, setting)
    return removed, cpu_seconds() - started


def cpu_seconds() -> float:
    """Of this process and of children that ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mb() -> int:
    """Most memory this process has had; ru_maxrss would begin with what its parent had."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def main(tool: str, setting: str, path: str) -> None:
    """Runs the tool over a few texts first, so that what it loads is not measured, then over all."""
    with tempfile.TemporaryDirectory() as directory:
        few = Path(directory, "few.jsonl")
        few.write_text("".join(Path(path).read_text(encoding="utf-8").splitlines(keepends=True)[:5]), encoding="utf-8")
        removed_of(tool, setting, few)
    removed, seconds = removed_of(tool, setting, Path(path))
    found = {
        "version": version(PACKAGES.get(tool, tool)),
        "cpu_s": seconds,
        "peak_mb": peak_mb(),
        "removed": sorted(removed),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
