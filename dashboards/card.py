"""What the data card shows of a run, as one JSON value: read from `stats/` and the manifest, nothing counted anew."""

import json
from collections import Counter, defaultdict
from typing import Any

import pyarrow as pa

from ctllm.dashboards.signal_sample import packed_sample
from ctllm.schemas.config import parse_config
from ctllm.schemas.contamination import LEAKS
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join, read_json, read_parquet
from ctllm.schemas.manifest import RunManifest
from ctllm.schemas.signals import SIGNAL_NAMES, SIGNALS
from ctllm.schemas.stats import CLUSTERS, EDITS, FUNNEL, HISTOGRAMS, LINES, RULES, SAMPLES, SIGNAL_SAMPLE

MAX_SOURCES = 60  # chosen: more rows than a heat map can show; the rest is added up under one name
OTHER_SOURCES = "…"
TABLES = {
    "funnel": FUNNEL, "rules": RULES, "histograms": HISTOGRAMS, "samples": SAMPLES, "clusters": CLUSTERS,
    "edits": EDITS, "contamination": LEAKS, "lines": LINES, "signal_sample": SIGNAL_SAMPLE,
}  # fmt: skip
STAGES = ("measure", "pairs", "lines", "decide", "publish")  # a manifest's keys are sorted; this is their order in time


def run_card(run: str) -> dict[str, Any]:
    """Everything the page needs, JSON values only. Raises InputError when `run` has no manifest or no statistics."""
    for name in ("manifest.json", "stats/stats.json"):
        if not exists(join(run, name)):
            raise InputError(f"{join(run, name)}: not there; give the --out of a `ctllm curate` that ended well")
    manifest = RunManifest.model_validate(read_json(join(run, "manifest.json")))
    config = parse_config(manifest.config, CurationConfig, origin=join(run, "manifest.json"))
    rule_sets = config.deciding_rules.by_lane()
    summary = read_json(join(run, "stats", "stats.json"))
    tables = {name: _table(run, name, schema) for name, schema in TABLES.items()}
    num_sources = len(set(tables["funnel"]["source"].to_pylist()))
    shown = _shown_sources(tables["funnel"])
    return {
        "run": {name: getattr(manifest, name) for name in ("run_id", "version", "code", "config_digest", "config")},
        "inputs": _inputs(manifest),
        "stages": _stages(manifest),
        "accounts": summary["accounts"],
        "clusters": summary["clusters"] | {"examples": [_cluster(row) for row in tables["clusters"].to_pylist()]},
        "rules": {lane: [list(rule) for rule in each.rules()] for lane, each in rule_sets.items()},
        "signals": _signals(),
        "num_sources": num_sources,
        "num_merged_sources": num_sources - len(shown),
        "funnel": _merged(tables["funnel"], shown, num_keys=4),
        "rule_counts": _merged(tables["rules"], shown, num_keys=4),
        "histograms": _histograms(tables["histograms"]),
        "edits": _edits(tables["edits"]),
        "contamination": [list(row.values()) for row in tables["contamination"].to_pylist()],
        "lines": [list(row.values()) for row in tables["lines"].to_pylist()],
        "signal_sample": packed_sample(tables["signal_sample"], rule_sets),
        "samples": [_sample(row) for row in tables["samples"].to_pylist()],
    }


def _table(run: str, name: str, schema: pa.Schema) -> pa.Table:
    path = join(run, "stats", f"{name}.parquet")
    table = read_parquet(path) if exists(path) else None
    if table is None or table.column_names != schema.names:
        raise InputError(f"{path}: of another version, or not there; run `ctllm curate` again, it measures anew")
    return table


def _shown_sources(funnel: pa.Table) -> set[str]:
    """The sources with most documents, as many as a page can show."""
    totals: Counter[str] = Counter()
    for row in funnel.select(["source", "documents"]).to_pylist():
        totals[row["source"]] += row["documents"]
    ranked = sorted(totals, key=lambda source: (-totals[source], source))
    return set(ranked if len(ranked) <= MAX_SOURCES else ranked[: MAX_SOURCES - 1])


def _merged(table: pa.Table, shown: set[str], *, num_keys: int) -> list[list[Any]]:
    """Rows of `table` with the sources that are not shown added up; the first `num_keys` columns are the group."""
    totals: defaultdict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * (table.num_columns - num_keys))
    for source, *rest in zip(*(column.to_pylist() for column in table.columns), strict=True):
        group = (source if source in shown else OTHER_SOURCES, *rest[: num_keys - 1])
        for at, count in enumerate(rest[num_keys - 1 :]):
            totals[group][at] += count
    ranked = sorted(totals, key=lambda group: tuple(str(part) for part in group))
    return [[*group, *totals[group]] for group in ranked]


def _histograms(table: pa.Table) -> dict[str, dict[str, list[list[float]]]]:
    """Signal → lane → rows of left and right, in six digits, documents, chars, tokens."""
    result: dict[str, dict[str, list[list[float]]]] = {}
    for signal, lane, left, right, *counts in zip(*(column.to_pylist() for column in table.columns), strict=True):
        edges = (float(f"{edge:.6g}") for edge in (left, right))
        result.setdefault(signal, {}).setdefault(lane, []).append([*edges, *counts])
    return result


def _edits(table: pa.Table) -> list[list[Any]]:
    """Lane, kind, documents, edits, replaced and chars, summed over sources."""
    totals: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 4)
    for _, lane, kind, *counts in zip(*(column.to_pylist() for column in table.columns), strict=True):
        totals[lane, kind] = [before + count for before, count in zip(totals[lane, kind], counts, strict=True)]
    return [[*group, *counts] for group, counts in sorted(totals.items())]


def _sample(row: dict[str, Any]) -> dict[str, Any]:
    parsed = {name: row[name] and json.loads(row[name]) for name in ("reasons", "border", "marks")}
    return row | parsed | {"key": str(row["key"])}  # JavaScript's numbers end at 53 bits


def _cluster(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"cluster_id": str(row["cluster_id"])}


def _signals() -> dict[str, dict[str, str]]:
    return {
        name: {key.decode(): text.decode() for key, text in (SIGNALS.field(name).metadata or {}).items()}
        for name in SIGNAL_NAMES
    }


def _inputs(manifest: RunManifest) -> list[list[Any]]:
    """Source, format, files and bytes, summed over the splits of each source and format."""
    sizes: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for row in manifest.inputs:
        sizes[row["source"], row["format"]][row["url"]] = row["size_bytes"]
    return [[*group, len(files), sum(files.values())] for group, files in sorted(sizes.items())]


def _stages(manifest: RunManifest) -> list[dict[str, Any]]:
    names = sorted(manifest.stages, key=lambda name: (STAGES.index(name) if name in STAGES else len(STAGES), name))
    return [{"stage": name, **manifest.stages[name]} for name in names]
