"""The live dashboard on a large run that is made up: prints one JSON line.

    python benchmarks/dashboard.py [--documents 1000000] [--shards 10000] [--keep DIR]

Makes tables of a run (signals, verdicts, copies, ids, statistics; the text of a document is its number), starts
`ctllm dashboard` over it and measures: putting the tables together (once for a run), the first view in Chromium,
what-if over HTTP, and the memory of the server. Beside wall times of the machine as it is stand CPU times of the server
and of the page's process, which others on the machine do not make longer. The disk needs 2 GB.
"""

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from playwright.sync_api import sync_playwright

from ctllm.pipelines.rulesets import evaluate
from ctllm.pipelines.statistics import bin_edges
from ctllm.schemas.contamination import LEAKS
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.cuts import CUTS
from ctllm.schemas.document import DOCUMENTS, ROW_BITS
from ctllm.schemas.duplicates import DUPLICATES, PAIRS
from ctllm.schemas.manifest import SUCCESS, RunManifest
from ctllm.schemas.signals import SIGNALS
from ctllm.schemas.stats import CLUSTERS, EDITS, FUNNEL, HISTOGRAMS, LINES, RULES, SAMPLES, SIGNAL_SAMPLE
from ctllm.schemas.verdict import REASONS, VERDICTS

LANE_SHARES = {"zh": 0.6, "en": 0.25, "code": 0.1, "other": 0.05}
NUM_SOURCES = 40
PAIR_SHARE = 0.1  # of documents are an exact copy of the one before them
CHUNK_SHARDS = 100
QUESTIONS = 100
OTHER_QUESTIONS = (
    "documents?lane=zh&outcome=removed",
    "clusters",
    "search?text=zzzz",
    "source?source=source-03&signal=num_chars",
    "document?key=7",
)
TRIED = (
    ("zh", "max_digit_share", 0.4),
    ("zh", "min_num_chars", 400),
    ("zh", "max_menu_share", 0.6),
    ("en", "max_hash_share", 0.1),
    ("en", "min_stop_word_share", 0.3),
    ("code", "max_max_line_chars", 2000),
    ("zh", "min_prose_share", 0.6),
)
USUAL = {
    "url_list": 0.1,
    "is_generated": 0.1,
    "symbols_per_word": 0.1,
    "max_line_chars": 900,
    "mean_code_line_chars": 90,
    "mean_word_chars": 9,
}
"""What such signals seldom exceed."""


def write_run(run: Path, *, documents: int, shards: int) -> None:
    """Everything the dashboard reads of a run of `documents` in `shards`."""
    config = CurationConfig(name="large")
    totals = Totals()
    for table in ("documents", "signals", "verdicts", "cuts", "duplicates", "pairs", "stats"):
        (run / table).mkdir(parents=True)
    for first in range(0, shards, CHUNK_SHARDS):
        numbers = range(first, min(first + CHUNK_SHARDS, shards))
        write_chunk(run, numbers, rows=documents // shards, config=config, totals=totals)
    inputs = [
        {"url": f"in/{n:05d}.jsonl", "size_bytes": 1 << 20, "source": source(n), "format": "jsonl"}
        for n in range(shards)
    ]
    accounts = {"read": documents, "kept": totals.kept, "removed": documents - totals.kept, "failed": 0}
    manifest = RunManifest(
        run_id="large@0",
        version="0",
        code="0",
        config_digest="0",
        config=config.model_dump(mode="json"),
        inputs=inputs,
        stages={"decide": {"counts": accounts, "seconds": 1.0}},
    )
    (run / "manifest.json").write_text(manifest.model_dump_json())
    for table in ("verdicts", "duplicates"):
        (run / table / SUCCESS).write_text("{}")
    totals.write(run / "stats", accounts)


def source(shard: int) -> str:
    """The source of a shard: shards of one source lie beside each other nowhere."""
    return f"source-{shard % NUM_SOURCES:02d}"


class Totals:
    """What `stats/` counts, added up while the tables are made."""

    def __init__(self) -> None:
        self.kept = self.copies = 0
        self.funnel: Counter[tuple[str, str, str, str]] = Counter()
        self.rules: Counter[tuple[str, str, str, float]] = Counter()
        self.histograms: Counter[tuple[str, str, int]] = Counter()

    def write(self, directory: Path, accounts: dict[str, int]) -> None:
        """The tables of `stats/`."""
        funnel = [[*group, count, 1000 * count, 600 * count] for group, count in sorted(self.funnel.items())]
        rules = [[*group, *([count, 0, count] + [0] * 6)] for group, count in sorted(self.rules.items())]
        histograms = []
        for (signal, lane, at), count in sorted(self.histograms.items()):
            edges = bin_edges(signal)
            histograms.append([signal, lane, float(edges[at]), float(edges[at + 1]), count, 1000 * count, 600 * count])
        written = {
            "funnel": (funnel, FUNNEL),
            "rules": (rules, RULES),
            "histograms": (histograms, HISTOGRAMS),
            "clusters": ([], CLUSTERS),
            "edits": ([], EDITS),
            "contamination": ([], LEAKS),
            "lines": ([], LINES),
            "signal_sample": ([], SIGNAL_SAMPLE),
        }
        for name, (rows, schema) in written.items():
            columns = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
            pq.write_table(pa.table(arrays, schema=schema), directory / f"{name}.parquet")
        same = {"kept": True, "lane": "zh", "source": "source-00", "reasons": "[]", "marks": "{}", "excerpt_start": 0}
        samples = [same | {"key": n, "id": f"id-{n}", "excerpt": "一段正文。" * 100} for n in range(400)]
        pq.write_table(pa.Table.from_pylist(samples, schema=SAMPLES), directory / "samples.parquet")
        clusters = dict.fromkeys(("count", "removed", "removed_exact"), self.copies) | {"largest": 2}
        clusters |= {"removed_near": 0, "removed_url": 0, "sizes": {"2": self.copies}}
        summary = {"run_id": "large@0", "accounts": accounts, "clusters": clusters}
        (directory / "stats.json").write_text(json.dumps(summary))


def write_chunk(run: Path, numbers: range, *, rows: int, config: CurationConfig, totals: Totals) -> None:
    """The tables of some shards; judged together, written one by one."""
    dice = np.random.default_rng(numbers.start)
    count = rows * len(numbers)
    keys = (np.repeat(np.array(numbers, np.uint64), rows) << np.uint64(ROW_BITS)) + np.tile(
        np.arange(rows, dtype=np.uint64), len(numbers)
    )
    lanes = dice.choice(list(LANE_SHARES), size=count, p=list(LANE_SHARES.values()))
    signals = made_signals(dice, keys)
    kept, reasons = evaluate(signals, pa.array(lanes), rules=config.deciding_rules)
    copies = np.flatnonzero((dice.random(count) < PAIR_SHARE) & (np.arange(count) % 2 == 1) & kept)
    copies = copies[kept[copies - 1]]
    verdicts = with_copies(keys, lanes, kept, reasons, copies)
    ones, exact = np.ones(len(copies), np.float32), ["exact"] * len(copies)
    kept_keys, removed_keys = keys[copies - 1], keys[copies]
    pairs = pa.table([kept_keys, removed_keys, exact, ones, ones], schema=PAIRS)
    snapshots, sizes = np.zeros(len(copies), np.uint16), np.full(len(copies), 2, np.int32)
    duplicates = pa.table([removed_keys, kept_keys, snapshots, kept_keys, sizes, exact, ones, ones], schema=DUPLICATES)
    names = [source(number) for number in numbers for _ in range(rows)]
    documents = made_documents(keys, lanes, names)
    add(totals, verdicts, names, signals)
    totals.copies += len(copies)
    splits = (keys[copies] >> np.uint64(ROW_BITS)).astype(int)
    for at, number in enumerate(numbers):
        part = f"part-{number:05d}.parquet"
        for name, table in (("documents", documents), ("signals", signals), ("verdicts", verdicts)):
            pq.write_table(table.slice(at * rows, rows), run / name / part, compression="zstd")
        pq.write_table(CUTS.empty_table(), run / "cuts" / part)
        for name, table in (("duplicates", duplicates), ("pairs", pairs)):
            pq.write_table(table.filter(pa.array(splits == number)), run / name / part)


def made_signals(dice: np.random.Generator, keys: np.ndarray) -> pa.Table:
    """Shares as they mostly are, small; lengths over six powers of ten; what rules ask a minimum of, mostly met."""
    columns: dict[str, Any] = {"key": keys}
    for field in list(SIGNALS)[1:]:
        is_share = (field.metadata or {}).get(b"unit") == b"share"
        values = dice.beta(1.2, 30, len(keys)) if is_share else dice.lognormal(7, 1.2, len(keys))
        if field.name.endswith(("_score", "han_share", "prose_share", "alnum_share", "stop_word_share")):
            values = dice.beta(9, 2, len(keys))
        if field.name in USUAL:
            values = dice.beta(2, 8, len(keys)) * USUAL[field.name]
        columns[field.name] = pa.array(values).cast(field.type, safe=False)
    return pa.table([columns[field.name] for field in SIGNALS], schema=SIGNALS)


def with_copies(
    keys: np.ndarray, lanes: np.ndarray, kept: np.ndarray, reasons: pa.ListArray, copies: np.ndarray
) -> pa.Table:
    """VERDICTS, where copies are refused as such."""
    is_copy = np.zeros(len(keys), bool)
    is_copy[copies] = True
    copy = pa.array([[{"reason": "exact_duplicate", "value": 1.0, "threshold": 1.0}]], REASONS)
    both = pa.concat_arrays([reasons, copy])
    chosen = both.take(pa.array(np.where(is_copy, len(keys), np.arange(len(keys)))))
    return pa.table([keys, lanes, kept & ~is_copy, chosen], schema=VERDICTS)


def made_documents(keys: np.ndarray, lanes: np.ndarray, names: list[str]) -> pa.Table:
    """DOCUMENTS whose text is their number."""
    text = pa.array(keys).cast("string")
    values = {
        "key": keys,
        "lane": lanes,
        "source": names,
        "id": text,
        "url": pa.array([f"https://example.org/{n}/{k}" for n, k in zip(names, keys, strict=True)]),
    }
    columns = []
    for field in DOCUMENTS:
        if field.name == "text":
            columns.append(text.cast("large_string"))
        elif field.name in values:
            columns.append(values[field.name])
        else:
            filler: Any = None if field.nullable else ("" if pa.types.is_string(field.type) else 0)
            columns.append(pa.array([filler] * len(keys), field.type))
    return pa.table(columns, schema=DOCUMENTS)


def add(totals: Totals, verdicts: pa.Table, names: list[str], signals: pa.Table) -> None:
    """Counts of one chunk."""
    lanes, kept = verdicts["lane"].to_pylist(), verdicts["kept"].to_pylist()
    for lane, is_kept, reasons, name in zip(lanes, kept, verdicts["reasons"].to_pylist(), names, strict=True):
        totals.kept += is_kept
        totals.funnel[name, lane, "kept" if is_kept else "removed", reasons[0]["reason"] if reasons else ""] += 1
        for reason in reasons:
            threshold = 0.0 if math.isnan(reason["threshold"]) else reason["threshold"]
            totals.rules[name, lane, reason["reason"], threshold] += 1
    for signal in SIGNALS.names[1:]:
        edges = bin_edges(signal)
        places = np.searchsorted(edges, np.nan_to_num(signals[signal].to_numpy().astype(float)), side="right") - 1
        for lane in LANE_SHARES:
            found = np.bincount(np.clip(places[np.array(lanes) == lane], 0, len(edges) - 2))
            for at in np.flatnonzero(found):
                totals.histograms[signal, lane, int(at)] += int(found[at])


def measured(run: Path, cache: Path) -> dict[str, Any]:
    """Starts the dashboard and asks it."""
    command = [sys.executable, "-m", "ctllm.cli.main", "dashboard", str(run.parent), "--port", "0"]
    environment = {**os.environ, "CTLLM_DASHBOARD_CACHE": str(cache), "COLUMNS": "200"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        assert server.stdout
        found = re.search(r"http://\S+/", server.stdout.readline())
        assert found
        url = found[0]
        rss = [rss_mb(server.pid)]
        started = time.monotonic()
        while answer(f"{url}api/runs/{run.name}/index")["state"] == "building":
            time.sleep(0.1)
        compaction_s = time.monotonic() - started
        card_s = seconds(f"{url}api/runs/{run.name}/card")
        views = [first_view(url, run.name) for _ in range(3)]
        rss.append(rss_mb(server.pid))
        before = cpu_s(server.pid)
        times = sorted(seconds(f"{url}api/runs/{run.name}/what-if?{query}") for query in questions())
        what_if_cpu_s = (cpu_s(server.pid) - before) / QUESTIONS
        rss.append(rss_mb(server.pid))
        for query in OTHER_QUESTIONS:
            answer(f"{url}api/runs/{run.name}/{query}")
        rss.append(rss_mb(server.pid))
        server.terminate()
    return {
        "compaction_s": round(compaction_s, 1),
        "database_mb": round(sum(each.stat().st_size for each in cache.iterdir()) / 1e6, 1),
        "card_s": round(card_s, 3),
        "first_view_s": [round(each[0], 2) for each in views],
        "first_view_page_cpu_s": [round(each[1], 2) for each in views],
        "all_views_s": [round(each[2], 2) for each in views],
        "what_if_median_ms": round(1000 * times[len(times) // 2], 1),
        "what_if_cpu_ms": round(1000 * what_if_cpu_s, 1),
        "what_if_p95_ms": round(1000 * times[int(0.95 * len(times))], 1),
        "server_rss_mb": [round(each, 1) for each in rss],
    }


def questions() -> Iterator[str]:
    """One to four rules with thresholds around where they stand."""
    dice = np.random.default_rng(1)
    for _ in range(QUESTIONS):
        chosen = dice.choice(len(TRIED), size=dice.integers(1, 5), replace=False)
        yield "&".join(f"change={TRIED[at][0]}.{TRIED[at][1]}={TRIED[at][2] * dice.random():.4g}" for at in chosen)


def first_view(url: str, name: str) -> tuple[float, float, float]:
    """Seconds to the tiles and the first picture of a run, CPU seconds of the page till then, seconds to all views."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        processes = browser.new_browser_cdp_session()
        before, started = page_cpu_s(processes), time.monotonic()
        page.goto(f"{url}run/{name}", wait_until="commit")
        page.wait_for_selector("#funnel .flow", timeout=120_000)
        first, used = time.monotonic() - started, page_cpu_s(processes) - before
        page.wait_for_selector("body[data-ready='1']", timeout=120_000)
        whole = time.monotonic() - started
        browser.close()
    return first, used, whole


def page_cpu_s(processes: Any) -> float:  # noqa: ANN401 - playwright's session
    """CPU seconds that the processes of pages have used."""
    found = processes.send("SystemInfo.getProcessInfo")["processInfo"]
    return float(sum(each["cpuTime"] for each in found if each["type"] == "renderer"))


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answer(url: str) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """The JSON at an address."""
    with urllib.request.urlopen(url, timeout=300) as response:
        return json.loads(response.read())


def seconds(url: str) -> float:
    """Wall time of one answer."""
    started = time.monotonic()
    answer(url)
    return time.monotonic() - started


def rss_mb(pid: int) -> float:
    """Resident memory of a process."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def main() -> None:
    """Makes the run, unless `--keep` holds one, measures, prints the line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--documents", type=int, default=1_000_000)
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument(
        "--keep", type=Path, default=None, help="directory that keeps run and database for the next time"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        run = (options.keep or Path(scratch)) / "runs" / "large"
        if not run.exists():
            write_run(run, documents=options.documents, shards=options.shards)
        cache = (options.keep or Path(scratch)) / "cache"
        print(json.dumps({"documents": options.documents, "shards": options.shards, **measured(run, cache)}))


if __name__ == "__main__":
    main()
