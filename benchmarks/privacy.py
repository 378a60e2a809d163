"""Personal data: precision and recall on the written test set, and speed; prints a JSON line a kind and one for all.

    python benchmarks/privacy.py [FILE...]     text files for the speed; default: the example corpus

A span counts as found when kind and text are those stated. Speed: CPU time of looking through all texts, best of four.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from ctllm.pipelines.privacy.redact import KINDS, find_personal_data
from ctllm.schemas.privacy_config import PrivacyConfig

ROOT = Path(__file__).resolve().parent.parent
CASES = ROOT / "tests" / "pipelines" / "privacy" / "cases.jsonl"
MIN_BYTES = 20_000_000  # enough for a stable figure; short inputs are repeated


def count_cases() -> dict[str, Counter[str]]:
    """Kind → how often it was right, wrong and missed."""
    cases = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    found = find_personal_data(pa.array([case["text"] for case in cases], pa.large_string()), config=PrivacyConfig())
    counts = {kind: Counter[str]() for kind in KINDS}
    for row, case in enumerate(cases):
        stated = Counter((kind, text) for kind, text in case["found"])
        seen = Counter(
            (edit["kind"].removeprefix("pii:"), case["text"][edit["start"] : edit["end"]])
            for edit in found.get(row, [])
        )
        for name, spans in (("right", stated & seen), ("wrong", seen - stated), ("missed", stated - seen)):
            for (kind, _), count in spans.items():
                counts[kind][name] += count
    return counts


def figures(count: Counter[str]) -> dict[str, float]:
    """Precision and recall of one kind, 1 where nothing was to be found."""
    right, wrong, missed = count["right"], count["wrong"], count["missed"]
    return {
        "right": right,
        "wrong": wrong,
        "missed": missed,
        "precision": round(right / max(right + wrong, 1), 4) if right + wrong else 1.0,
        "recall": round(right / max(right + missed, 1), 4) if right + missed else 1.0,
    }


def mb_per_s(paths: Sequence[str]) -> float:
    """Millions of bytes looked through a second of CPU time."""
    base = ROOT / "examples" / "corpus" / "base"
    files = [Path(path) for path in paths] or sorted(path for path in base.rglob("*") if path.is_file())
    texts = [file.read_text(encoding="utf-8") for file in files]
    texts *= -(-MIN_BYTES // sum(len(text.encode()) for text in texts))
    column = pa.array(texts, pa.large_string())
    times = []
    for _ in range(4):  # the first one compiles
        started = time.process_time()
        find_personal_data(column, config=PrivacyConfig())
        times.append(time.process_time() - started)
    return float(column.nbytes / 1e6 / min(times))


def main(paths: Sequence[str]) -> None:
    """Counts, measures and prints."""
    counts = count_cases()
    for kind, count in counts.items():
        print(json.dumps({"benchmark": "privacy", "kind": kind, **figures(count)}))
    total = sum(counts.values(), Counter[str]())
    print(json.dumps({"benchmark": "privacy", "kind": "all", **figures(total), "mb_per_s": round(mb_per_s(paths))}))


if __name__ == "__main__":
    main(sys.argv[1:])
