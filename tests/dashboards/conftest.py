"""A run directory as a finished curation leaves it, made up but consistent: every count follows from one list."""

import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ctllm.dashboards.compaction import compact
from ctllm.dashboards.queries import RunDatabase
from ctllm.examples.corpus.build import build_corpus
from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.config import read_config
from ctllm.schemas.contamination import LEAKS
from ctllm.schemas.curation_config import CurationConfig, DecontaminationConfig
from ctllm.schemas.files import read_json, write_json, write_parquet
from ctllm.schemas.manifest import RunManifest
from ctllm.schemas.signals import SIGNAL_NAMES, SIGNALS
from ctllm.schemas.stats import (
    CLUSTERS,
    EDITS,
    FUNNEL,
    HISTOGRAMS,
    LINES,
    RULES,
    SAMPLED_SIGNALS,
    SAMPLES,
    SIGNAL_SAMPLE,
)
from ctllm.schemas.training_run import LedgerLine

HOSTILE = "</script><img src=x onerror=\"document.body.dataset.hacked='1'\"><!-- & \u2028 "
SOURCES = {
    "百科": ("zh",),
    "web-2024-10": ("zh", "en", "other"),
    "news": ("en", "zh"),
    "论坛": ("zh",),
    "github": ("code",),
}
TEXTS = {
    "zh": "黄河发源于青藏高原，自西向东流经九个省区，最后注入渤海。上游水清流急，中游穿过黄土高原，带走大量泥沙。",
    "en": "The tide comes in twice a day along this coast, and every fisherman knows the hour by heart. ",
    "code": "def area(width: float, height: float) -> float:\n    return width * height\n\n",
    "other": "Der Fluss entspringt im Hochland und mündet nach langem Lauf in das Meer. ",
}
FAILURE_KINDS = ("broken_encoding", "not_text", "truncated")
Document = dict[str, Any]
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
FLAGS += ["--disable-sync", "--no-first-run"]


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a run of so many documents; `weight` makes each of them stand for many, `sources` adds small ones."""

    def make(num_documents: int = 300, *, weight: int = 1, sources: int = 0, hostile: bool = True) -> Path:
        run = tmp_path_factory.mktemp("run")
        write_run(run, _documents(num_documents, sources=sources, hostile=hostile), weight=weight)
        return run

    return make


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium. Skipped where it is not installed, unless CTLLM_REQUIRE_BROWSER is set.

    Not for longer than a module: while it is open an event loop runs in this thread, and asyncio.run() cannot.
    """
    if not CHROMIUM.exists():
        reason = f"{CHROMIUM} is not there; install the Debian package `chromium`"
        if os.environ.get("CTLLM_REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def corpus_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus, really curated: 370 records, copies, benchmark items, personal data. Only read it."""
    directory = tmp_path_factory.mktemp("curated")
    build_corpus(directory / "corpus")
    config = read_config("configs/curation/demo.yaml", CurationConfig)
    curate(config, inputs=[str(directory / "corpus")], out=str(directory / "run"), options=RunnerOptions(workers=1))
    return directory / "run"


@pytest.fixture(scope="session")
def corpus_database(corpus_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunDatabase]:
    """The compacted tables of the example corpus, open."""
    path = compact(corpus_run, cache=tmp_path_factory.mktemp("cache"))
    manifest = read_json(str(corpus_run / "manifest.json"))
    database = RunDatabase(path, CurationConfig.model_validate(manifest["config"]))
    yield database
    database.close()


@pytest.fixture(scope="session")
def training(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training run of 60 steps, measured every 20."""
    directory = tmp_path_factory.mktemp("training") / "pretrain-demo"
    directory.mkdir()
    lines = [_ledger_line(step) for step in range(60)]
    (directory / "ledger.jsonl").write_text("".join(line.model_dump_json() + "\n" for line in lines))
    write_json(str(directory / "evaluation.json"), {"bits_per_byte": {"zh": 1.21, "en": 1.4}, "name": "demo"})
    return directory


def _ledger_line(step: int) -> LedgerLine:
    loss = 4 / (1 + step / 20) + 2 + 0.1 * (-1) ** step
    held_out = {"held_out_loss": loss + 0.1}
    return LedgerLine(
        step=step,
        batch="0",
        label_tokens=2048,
        loss=loss,
        grad_norm=1.0,
        learning_rate=1e-3,
        tokens_per_s=900.0,
        evaluation_before={"held_out_loss": 6.4} if step == 0 else {},
        evaluation=held_out if step % 20 == 19 else {},
        samples={"中国的": f"写了 {step} 步"} if step % 20 == 19 else {},
    )


def _documents(count: int, *, sources: int, hostile: bool) -> list[Document]:
    """Documents with a lane, signals and failing rules; seeded, so every test sees the same."""
    dice = random.Random(7)
    lanes_of = {**SOURCES, **{f"站点-{number:03d}": ("zh", "en") for number in range(sources)}}
    rules = CurationConfig(name="demo").rules
    documents = []
    for row in range(count):
        source = dice.choice(sorted(lanes_of))
        lane = dice.choice(lanes_of[source])
        if dice.random() < 0.03:
            documents.append({"source": source, "lane": "", "failure": dice.choice(FAILURE_KINDS)})
            continue
        text = TEXTS[lane] * dice.randint(1, 6)
        document = {"key": row, "source": source, "lane": lane, "text": text, "chars": 40 * len(text)}
        document["signals"] = {name: _value(dice, name) for name in SIGNAL_NAMES} | {"num_chars": float(40 * len(text))}
        document["reasons"] = _reasons(dice, lane, rules, document["signals"])
        documents.append(document)
    if hostile:
        documents[0] |= {"text": HOSTILE + TEXTS["zh"], "source": HOSTILE, "url": "javascript:alert(1)"}
    return documents


def _value(dice: random.Random, signal: str) -> float:
    is_share = SIGNALS.field(signal).metadata[b"unit"] == b"share"
    return dice.betavariate(1.2, 14) if is_share else dice.lognormvariate(5, 1)


def _reasons(dice: random.Random, lane: str, rules: Any, signals: dict[str, float]) -> list[dict[str, Any]]:
    if lane == "other":
        return [{"reason": "other_language", "value": None, "threshold": None}]
    if dice.random() < 0.08:
        return [{"reason": "near_duplicate", "value": dice.uniform(0.8, 1), "threshold": 0.8}]
    bounds = [rule for rule in getattr(rules, lane).rules() if rule.threshold is not None]
    failing = dice.sample(bounds, k=dice.choice([0, 0, 0, 1, 1, 2]))
    for rule in failing:
        factor = dice.uniform(0.2, 0.9) if rule.is_minimum else dice.uniform(1.1, 1.6)
        signals[rule.signal] = float(rule.threshold) * factor
    failing.sort(key=bounds.index)
    return [{"reason": rule.name, "value": signals[rule.signal], "threshold": rule.threshold} for rule in failing]


def write_run(run: Path, documents: list[Document], *, weight: int) -> None:
    """`manifest.json` and `stats/` of the documents, each counted `weight` times."""
    read = [each for each in documents if each["lane"]]
    kept = [each for each in read if not each["reasons"]]
    copies = [each for each in read if each["reasons"] and each["reasons"][0]["reason"] == "near_duplicate"]
    counts = {"kept": len(kept), "removed": len(read) - len(kept), "failed": len(documents) - len(read)}
    accounts = {"read": len(documents) * weight} | {name: count * weight for name, count in counts.items()}
    tables = {
        "funnel": _funnel(documents, weight),
        "rules": _rules(read, weight),
        "histograms": _histograms(read, weight),
        "samples": _samples(read),
        "clusters": _clusters(kept, copies),
        "edits": _edits(kept, weight),
        "contamination": _contamination(read, weight),
        "lines": _lines(read),
        "signal_sample": _signal_sample(read),
    }
    for name, table in tables.items():
        write_parquet(str(run / "stats" / f"{name}.parquet"), table)
    clusters = {
        "count": len(copies) * weight,
        "removed": len(copies) * weight,
        "removed_exact": 0,
        "removed_near": len(copies) * weight,
        "removed_url": 0,
        "largest": 2,
        "sizes": {"2": len(copies) * weight},
    }
    write_json(str(run / "stats" / "stats.json"), {"run_id": "demo@0", "accounts": accounts, "clusters": clusters})
    write_json(str(run / "manifest.json"), _manifest(documents, accounts).model_dump(mode="json"))


def _manifest(documents: list[Document], accounts: dict[str, int]) -> RunManifest:
    config = CurationConfig(name="demo", decontamination=DecontaminationConfig(benchmarks=("eval",)))
    stages = {"measure": 12.4, "pairs": 3.1, "lines": 0.4, "decide": 1.2, "publish": 5.0}
    names = sorted({each["source"] for each in documents})
    return RunManifest(
        run_id="demo@0123456789abcdef",
        version="0.1.0",
        code="fedcba9876543210",
        config_digest=config.digest(),
        config=config.model_dump(mode="json"),
        inputs=[{"url": f"in/{n}", "size_bytes": 5 << 20, "source": n, "format": "jsonl"} for n in names],
        stages={name: {"counts": accounts, "seconds": seconds} for name, seconds in stages.items()},
    )


def _funnel(documents: list[Document], weight: int) -> pa.Table:
    total: defaultdict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(3, np.int64))
    for each in documents:
        if not each["lane"]:
            total[each["source"], "", "failed", each["failure"]] += [weight, 0, 0]
            continue
        reason = each["reasons"][0]["reason"] if each["reasons"] else ""
        group = (each["source"], each["lane"], "removed" if reason else "kept", reason)
        total[group] += [weight, each["chars"] * weight, each["chars"] * weight * 6 // 10]
    return _table([[*group, *map(int, counts)] for group, counts in sorted(total.items())], FUNNEL)


def _rules(documents: list[Document], weight: int) -> pa.Table:
    total: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * 9)
    for each in documents:
        amounts = (weight, each["chars"] * weight, each["chars"] * weight * 6 // 10)
        for rank, reason in enumerate(each["reasons"]):
            counts = total[each["source"], each["lane"], reason["reason"], reason["threshold"]]
            hits = (True, len(each["reasons"]) == 1, rank == 0)
            for at, (amount, hit) in enumerate(product(amounts, hits)):
                counts[at] += amount * hit
    return _table([[*group, *counts] for group, counts in sorted(total.items(), key=str)], RULES)


def _edits(kept: list[Document], weight: int) -> pa.Table:
    """Every kept document has one mobile number, every Chinese one a WeChat id that is only recorded."""
    total: Counter[tuple[str, str, str]] = Counter()
    for each in kept:
        total[each["source"], each["lane"], "pii:mobile"] += weight
        if each["lane"] == "zh":
            total[each["source"], "zh", "pii:wechat"] += weight
    rows = [[*at, count, count, count * at[2].endswith("mobile"), 11 * count] for at, count in sorted(total.items())]
    return _table(rows, EDITS)


def _contamination(read: list[Document], weight: int) -> pa.Table:
    """Every third document of a lane holds an item of the lane's benchmark, half of them to nearly all of it."""
    rows = []
    for lane, benchmark in (("en", "mmlu/astronomy"), ("zh", "ceval/<b>物理</b>")):
        count = sum(each["lane"] == lane for each in read) // 3 * weight
        if count:
            rows.append([lane, benchmark, count, count // 2, 0.97, "val-17", "https://example.org/quiz"])
    return _table(rows, LEAKS)


def _lines(read: list[Document]) -> pa.Table:
    """A footer that half of the documents hold, with marks of HTML in it, and a paragraph of the corpus."""
    half = len(read) // 2
    rows = [
        ["line:site", "example.org", half + 12, 2 * half + 12, 40 * half + 12, "<b>版权所有</b> © 示例网", "site/1"],
        ["paragraph:corpus", "", 11, 12, 900, "免责声明\n本站不承担责任", "site/2"],
    ]
    return _table(rows, LINES)


def _histograms(documents: list[Document], weight: int) -> pa.Table:
    edges = {True: np.linspace(0, 1, 51), False: np.concatenate([[0.0], np.geomspace(1, 1e7, 57)])}
    total: Counter[tuple[str, str, int]] = Counter()
    chars: Counter[tuple[str, str, int]] = Counter()
    for each in documents:
        for name, value in each["signals"].items():
            side = edges[SIGNALS.field(name).metadata[b"unit"] == b"share"]
            at = (name, each["lane"], min(int(np.searchsorted(side, value, side="right")) - 1, len(side) - 2))
            total[at] += weight
            chars[at] += weight * each["chars"]
    rows = []
    for (name, lane, at), count in sorted(total.items()):
        side = edges[SIGNALS.field(name).metadata[b"unit"] == b"share"]
        amount = chars[name, lane, at]
        rows.append([name, lane, float(side[at]), float(side[at + 1]), count, amount, amount * 6 // 10])
    return _table(rows, HISTOGRAMS)


def _signal_sample(read: list[Document]) -> pa.Table:
    """All documents of the lanes that have rules; every copy has copies, as its signals have none they fail."""
    rows = []
    for lane in ("zh", "en", "code"):
        for each in (document for document in read if document["lane"] == lane):
            is_copy = [reason["reason"] for reason in each["reasons"]] == ["near_duplicate"]
            row = {"key": (1 << 63) + each["key"], "lane": lane, "kept": not each["reasons"], "is_copy": is_copy}
            row |= {"has_copies": is_copy, "nothing_left": False}
            row |= {"chars": each["chars"], "tokens": each["chars"] * 6 // 10}
            rows.append(row | {name: each["signals"][name] for name in SAMPLED_SIGNALS})
    return pa.Table.from_pylist(rows, schema=SIGNAL_SAMPLE)


def _samples(documents: list[Document]) -> pa.Table:
    rows = [
        {
            "key": (1 << 63) + each["key"],
            "id": f"{each['source']}#{each['key']}",
            "url": each.get("url", f"https://example.org/{each['key']}"),
            "source": each["source"],
            "lane": each["lane"],
            "kept": not each["reasons"],
            "reasons": json.dumps(each["reasons"], ensure_ascii=False),
            "excerpt": each["text"][:600],
            "excerpt_start": 0,
            "border": _border(each),
            "marks": json.dumps({reason["reason"]: [[0, 2], [5, 9]] for reason in each["reasons"][:1]}),
        }
        for each in documents[:200]
    ]
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def _border(document: Document) -> str | None:
    """Every tenth document stands at a bound: those with one reason at it, kept ones at one of length."""
    if document["key"] % 10 or len(document["reasons"]) > 1 or document["lane"] == "other":
        return None
    return json.dumps(next(iter(document["reasons"]), {"reason": "min_num_chars", "value": 51.0, "threshold": 50.0}))


def _clusters(kept: list[Document], copies: list[Document]) -> pa.Table:
    rows = []
    for survivor, copy in list(zip(kept, copies, strict=False))[:20]:
        removed = survivor["text"].replace("黄河", "长江").replace("fisherman", "sailor") + "转载请注明出处。"
        ids = (f"{survivor['source']}#{survivor['key']}", f"{copy['source']}#{copy['key']}")
        rows.append([survivor["key"], "near", 2, 0.86, ids[0], survivor["text"][:600], ids[1], removed[:600]])
    return _table(rows, CLUSTERS)


def _table(rows: list[list[Any]], schema: pa.Schema) -> pa.Table:
    columns = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
