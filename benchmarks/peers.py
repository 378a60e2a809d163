"""Speed and retention of our signals and rules beside datatrove's filters, same texts, same run; prints one JSON line.

    benchmarks/peers/install.sh PEER
    python benchmarks/peers.py --peer PEER/bin/python zh=FILE.jsonl.zst … en=FILE.jsonl.zst [--mb 6]

Ours: `Measurer.measure` (all signals) and `evaluate` (all rules of the recommended config), so that every failing rule
of every document is known. Theirs: benchmarks/peers/datatrove_filters.py, which stops at the first. Neither reads files
or identifies languages inside the measured time. CPU time of one thread; ours is the best of three, theirs of one.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.measure import Measurer
from ctllm.pipelines.sources.compression import Damage, read_blocks
from ctllm.pipelines.sources.formats import source_name
from ctllm.schemas.config import read_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS

SCRIPT = Path(__file__).resolve().parent / "peers" / "datatrove_filters.py"
BATCH_DOCUMENTS = 1024
NUM_REASONS = 3
NUM_RUNS = 3


@dataclass(frozen=True)
class Sample:
    """Texts of one file that are in `lang`, and the `kind` that the file gives each, "" where none."""

    name: str
    lang: str
    texts: tuple[str, ...]
    kinds: tuple[str, ...]

    @property
    def megabytes(self) -> float:
        """Size of the texts in UTF-8."""
        return sum(len(text.encode()) for text in self.texts) / 1e6


def sample(path: str, lang: str, *, max_bytes: float) -> Sample:
    """Rows evenly spread over the file, about `max_bytes` of text together; rows without a language count as `lang`."""
    data = b"".join(block for block in read_blocks(path) if not isinstance(block, Damage))
    rows = [row for row in map(json.loads, data.splitlines()) if row.get("lang", lang).startswith(lang)]
    rows = [row for row in rows if row["text"].strip()]
    step = max(1.0, sum(len(row["text"].encode()) for row in rows) / max_bytes)
    chosen = [rows[int(at)] for at in np.arange(0, len(rows), step)]
    texts, kinds = [row["text"] for row in chosen], [str(row.get("kind", "")) for row in chosen]
    return Sample(source_name(path), lang, tuple(texts), tuple(kinds))


def batches(texts: Sequence[str], lang: str) -> Iterator[tuple[pa.RecordBatch, "pa.Array[Any]"]]:
    """DOCUMENTS with these texts, no URLs and certain languages, and their lanes."""
    for start in range(0, len(texts), BATCH_DOCUMENTS):
        part = texts[start : start + BATCH_DOCUMENTS]
        known = {"key": range(start, start + len(part)), "text": part, "lang_score": [1.0] * len(part)}
        columns = [pa.array(known.get(field.name, [_blank(field)] * len(part)), field.type) for field in DOCUMENTS]
        yield pa.RecordBatch.from_arrays(columns, schema=DOCUMENTS), pa.array([lang] * len(part))


def _blank(field: pa.Field) -> object:
    """The value of a column that no signal reads."""
    if field.nullable:
        return None
    return "" if pa.types.is_string(field.type) else 0


def ours(texts: Sequence[str], lang: str, *, measurer: Measurer, config: CurationConfig) -> dict[str, Any]:
    """CPU seconds and the first failing rule of every document, "" where none."""
    prepared = list(batches(texts, lang))
    times = []
    for _ in range(NUM_RUNS):
        started = time.process_time()
        verdicts = [evaluate(measurer.measure(batch), lanes, rules=config.rules) for batch, lanes in prepared]
        times.append(time.process_time() - started)
    failing = [found for _, reasons in verdicts for found in reasons.to_pylist()]
    return {"cpu_s": min(times), "reasons": [found[0]["reason"] if found else "" for found in failing]}


def theirs(samples: Sequence[Sample], *, python: str) -> dict[str, Any]:
    """What the script in the other environment prints about the same texts."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "sample.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for each in samples:
                for text in each.texts:
                    file.write(json.dumps({"source": each.name, "lang": each.lang, "text": text}) + "\n")
        child = subprocess.run([python, SCRIPT, path], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return found


def figures(found: dict[str, Any], given: Sample) -> dict[str, Any]:
    """Rate, retention whole and by kind, commonest first reasons."""
    reasons = Counter(found["reasons"])
    kinds = Counter(given.kinds)
    kept = Counter(kind for kind, reason in zip(given.kinds, found["reasons"], strict=True) if not reason)
    by_kind = {kind: round(kept[kind] / number, 3) for kind, number in sorted(kinds.items())}
    result = {
        "mb_per_s": round(given.megabytes / found["cpu_s"], 3),
        "kept": round(reasons.pop("", 0) / len(given.texts), 3),
        "first_reasons": dict(reasons.most_common(NUM_REASONS)),
    }
    return result | ({"kept_by_kind": by_kind} if len(by_kind) > 1 else {})


def main() -> None:
    """Measures both and prints the line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="LANG=FILE", help="JSONL(.gz, .zst) with text; zh or en")
    parser.add_argument("--peer", required=True, help="Python of the environment that install.sh made")
    parser.add_argument("--mb", type=float, default=6.0, help="MB of text per file")
    parser.add_argument("--config", default="configs/curation/recommended.yaml")
    given = parser.parse_args()

    config = read_config(given.config, CurationConfig)
    measurer = Measurer(config)
    pairs = [each.partition("=")[::2] for each in given.files]
    samples = [sample(path, lang, max_bytes=given.mb * 1e6) for lang, path in pairs]
    measured = {}
    for each in samples:
        ours(each.texts[:64], each.lang, measurer=measurer, config=config)  # compiles the kernels
        measured[each.name] = ours(each.texts, each.lang, measurer=measurer, config=config)
    peer = theirs(samples, python=given.peer)
    compared, cpu_s = {}, {"ctllm": 0.0, "datatrove": 0.0}
    for each in samples:
        both = {"ctllm": measured[each.name], "datatrove": peer["sources"][each.name]}
        for tool, found in both.items():
            cpu_s[tool] += found["cpu_s"]
        ratio = round(both["datatrove"]["cpu_s"] / both["ctllm"]["cpu_s"], 1)
        size = {"mb": round(each.megabytes, 2), "documents": len(each.texts)}
        compared[each.name] = size | {tool: figures(found, each) for tool, found in both.items()} | {"ratio": ratio}
    megabytes = sum(each.megabytes for each in samples)
    rates = {f"{tool}_mb_per_s": round(megabytes / seconds, 3) for tool, seconds in cpu_s.items()}
    line = {"benchmark": "peers", "datatrove": peer["version"], "mb": round(megabytes, 1), **rates}
    line |= {"ratio": round(cpu_s["datatrove"] / cpu_s["ctllm"], 1), "sources": compared}
    print(json.dumps(line, ensure_ascii=False))


if __name__ == "__main__":
    main()
