"""Planted leaks found, texts taken for leaks, and the speed of the search beside plain Python; prints one JSON line.

    python benchmarks/decontamination.py TEXTS.jsonl.zst BENCHMARKS...     rows with `text`; files, globs, directories

Every item is written into a text of its own and counts as found when it, or one that reads alike, is covered above the
default bound. Texts as they are give the false rate: those that cover an item by 0.8 and by 0.5. The search is measured
alone, on units, and with everything before it; plain Python folds the text and asks a set for every window of 13
characters. CPU time, best of three.
"""

import json
import re
import sys
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import PurePath

import fsspec

from ctllm.pipelines.decontaminate.benchmark_files import read_items
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.signals.words import units_of
from ctllm.schemas.curation_config import DecontaminationConfig
from ctllm.schemas.rules import ZhRules

NUM_PYTHON_TEXTS = 300  # plain Python sees these, or it would take minutes
PAGE_CHARS = 400  # of a text before and after a planted item


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call, the best of three."""
    times = []
    for _ in range(3):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)


def planted(index: BenchmarkIndex, groups: Sequence[str], texts: Sequence[str]) -> dict[str, list[int]]:
    """Group to items found and items planted; items too short to count are left out."""
    found: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    bound = ZhRules().max_benchmark_overlap or 0
    for first in range(0, len(index.items), 500):
        items = index.items[first : first + 500]
        pages = [
            f"{texts[at % len(texts)][:PAGE_CHARS]}\n{item.with_options}\n{texts[at % len(texts)][-PAGE_CHARS:]}"
            for at, item in enumerate(items, start=first)
        ]
        alone = index.best(units_of([item.with_options for item in items]))
        shares = index.best(units_of(pages)).shares
        for group, share, own in zip(groups[first:], shares, alone.items, strict=False):
            if own >= 0:
                found[group][0] += bool(share > bound)
                found[group][1] += 1
    return dict(found)


def windows_of(text: str) -> Iterator[str]:
    """The windows of 13 characters of a text as plain Python compares it."""
    folded = re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text).lower())
    return (folded[at : at + 13] for at in range(len(folded) - 12))


def main(texts_path: str, patterns: Sequence[str]) -> None:
    """Measures and prints the line."""
    with fsspec.open(texts_path, "rt", encoding="utf-8", compression="infer") as file:
        texts = [json.loads(line)["text"] for line in file]
    groups = [
        "/".join([PurePath(pattern).name, *PurePath(item.benchmark).parts[:-1]][:2])
        for pattern in patterns
        for item in read_items(pattern)
    ]
    started = time.process_time()
    index = BenchmarkIndex.load(DecontaminationConfig(benchmarks=tuple(patterns)))
    load_s = time.process_time() - started
    size = sum(len(text.encode()) for text in texts) / 1e6
    units = units_of(texts)
    shares = index.best(units).shares
    few = texts[:NUM_PYTHON_TEXTS]
    windows = {window for item in index.items for window in windows_of(item.question)}

    def plain() -> int:
        return sum(window in windows for text in few for window in windows_of(text))

    python = sum(len(text.encode()) for text in few) / 1e6 / cpu_seconds(plain)
    whole = size / cpu_seconds(lambda: index.best(units_of(texts)))
    leaks = planted(index, groups, texts)
    print(
        json.dumps(
            {
                "benchmark": "decontamination",
                "items": len(index.items),
                "load_s": round(load_s, 1),
                "planted_found": sum(each[0] for each in leaks.values()),
                "planted": sum(each[1] for each in leaks.values()),
                "planted_by_group": leaks,
                "texts": len(texts),
                "texts_covering_0.8": int((shares > 0.8).sum()),
                "texts_covering_0.5": int((shares >= 0.5).sum()),
                "mb": round(size, 1),
                "search_mb_per_s": round(size / cpu_seconds(lambda: index.best(units))),
                "with_units_mb_per_s": round(whole, 1),
                "plain_python_mb_per_s": round(python, 2),
                "ratio": round(whole / python, 1),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
