"""Speed and agreement of the rules `ctllm_zh` on the documents whose outcome under the authors' code is known.

    python benchmarks/ctllm_rules.py [SHARED]     directory with data/ and golden/; default: ../shared

CPU time of everything the rules add: rewriting, all sixteen signals, language scores, deciding; reading is left out.
`jieba_MB_per_s` is jieba itself on a tenth of the same texts in the same run, for its one rule. Prints one JSON line.
"""

import gzip
import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jieba
import pyarrow as pa
import zstandard

from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.signals.ctllm import CtllmMeasurer
from ctllm.schemas.rules import CtllmZhRules, RulesConfig
from ctllm.schemas.signals import SIGNALS

FILES = ("web_zh_wet", "zh_corpus_samples")
BATCH_DOCUMENTS = 500
ROUNDS = 3
AUTHORS_MB_PER_S = 0.42  # their code on these texts, one core, CPU time: README of the golden outcomes
THEIR_NAMES = {"lang_score": "language_score", "mean_word_chars": "mean_word_length"}


def main(shared: Path) -> None:
    """Measures, decides and prints the line."""
    golden, texts = read(shared)
    measurer = CtllmMeasurer()
    measurer.measure(texts[:10])  # compiles
    seconds, signals = best(lambda: measure(measurer, texts))
    intended, _ = judge(signals, as_released=False)
    _, kept = judge(signals, as_released=True)
    size = sum(len(text.encode()) for text in texts) / 1e6
    tenth = texts[::10]
    jieba.setLogLevel(60)
    jieba.initialize()
    jieba_seconds, _ = best(lambda: [len(jieba.lcut(text)) for text in tenth], rounds=1)
    line = {
        "benchmark": "ctllm_rules",
        "documents": len(texts),
        "MB": round(size, 1),
        "MB_per_s": round(size / seconds, 1),
        "times_the_authors": round(size / seconds / AUTHORS_MB_PER_S, 1),
        "jieba_MB_per_s": round(sum(len(text.encode()) for text in tenth) / 1e6 / jieba_seconds, 2),
        "same_first_rule": sum(a == row["first_failing_rule"] for a, row in zip(intended, golden, strict=True)),
        "same_keep_as_released": sum(a == row["released_keep"] for a, row in zip(kept, golden, strict=True)),
    }
    print(json.dumps(line))


def read(shared: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The golden rows and the texts they are about."""
    golden, texts = [], []
    for name in FILES:
        with gzip.open(shared / "golden" / f"ctllm_filter_{name}.jsonl.gz", "rt", encoding="utf-8") as file:
            golden += [json.loads(line) for line in file]
        with (shared / "data" / "restricted" / f"{name}.jsonl.zst").open("rb") as raw:
            lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8")
            texts += [json.loads(line)["text"] for line in lines]
    return golden, texts


def best(work: Callable[[], Any], *, rounds: int = ROUNDS) -> tuple[float, Any]:
    """CPU seconds of the fastest of several rounds, and what the last gave."""
    seconds = []
    for _ in range(rounds):
        started = time.process_time()
        result = work()
        seconds.append(time.process_time() - started)
    return min(seconds), result


def measure(measurer: CtllmMeasurer, texts: list[str]) -> pa.Table:
    """Signals of all texts, batch by batch, decided once."""
    batches = []
    for first in range(0, len(texts), BATCH_DOCUMENTS):
        found = measurer.measure(texts[first : first + BATCH_DOCUMENTS])
        batches.append(pa.table({name: pa.array(values).cast(pa.float32()) for name, values in found.items()}))
    table = pa.concat_tables(batches)
    table = table.append_column(SIGNALS.field("url_list"), pa.array([0] * len(texts), pa.int32()))
    judge(table, as_released=True)
    return table


def judge(signals: pa.Table, *, as_released: bool) -> tuple[list[str | None], list[bool]]:
    """The authors' name of each document's first failing rule, and whether it is kept."""
    rules = RulesConfig(zh_set="ctllm_zh", ctllm_zh=CtllmZhRules(as_released=as_released))
    kept, reasons = evaluate(signals, pa.array(["zh"] * signals.num_rows), rules=rules)
    firsts = [row[0]["reason"][4:].removeprefix("ctllm_") if row else None for row in reasons.to_pylist()]
    return [THEIR_NAMES.get(first, first) if first else None for first in firsts], kept.tolist()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared"))
