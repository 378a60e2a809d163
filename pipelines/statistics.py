"""Statistics of a run: small additive counts per split, merged into the Parquet tables that dashboards read."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.cuts import after_cuts, cut_chars, kept_after_cuts
from ctllm.pipelines.decontaminate.cuts import overlap_bound
from ctllm.pipelines.documents import fetch_documents
from ctllm.pipelines.judgement import read_duplicates, weights_of
from ctllm.pipelines.reasons import FlatReasons, flatten
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.samples import EXCERPT_CHARS, masked, merge_sampled, sampled_documents
from ctllm.pipelines.signal_sample import merge_samples
from ctllm.schemas.contamination import LEAKS
from ctllm.schemas.document import CURATED_LANES, LANES, row_of
from ctllm.schemas.files import exists, join, read_json, read_parquet, remove_tree, write_json, write_parquet
from ctllm.schemas.signals import SIGNALS
from ctllm.schemas.stats import CLUSTERS, EDITS, FUNNEL, HISTOGRAMS, LINES, RULES

MAX_CLUSTERS = 40
MAX_LINES = 100
LINE_CHARS = 200
SHARE_EDGES = np.linspace(0.0, 1.0, 51)
COUNT_EDGES = np.concatenate([[0.0], np.geomspace(1.0, 1e7, 57)])  # eight bins per factor of ten

NUM_RULE_COUNTS = 9  # failing, only, first, each in documents, characters, tokens


def split_statistics(run: Run, split: int, *, source: str, signals: pa.Table, verdicts: pa.Table) -> dict[str, Any]:
    """All counts of one split as plain JSON values; adding them over splits gives the run's.

    Characters and tokens of kept documents are those that cuts leave; histograms hold what the rules were asked.
    """
    cuts = read_parquet(run.part("cuts", split))
    judged = after_cuts(signals, cut_chars(cuts, signals.num_rows))
    weights = weights_of(kept_after_cuts(signals, cuts, verdicts["kept"].to_numpy()))
    flat = flatten(verdicts["reasons"])
    first = flat.first_names()
    lanes = np.array(verdicts["lane"].to_pylist(), dtype=object)
    return {
        "source": source,
        "funnel": _funnel(lanes, first, weights) + _failures(run, split),
        "rules": _rules(lanes, flat, weights),
        "histograms": _histograms(judged, lanes, weights),
        "samples": sampled_documents(judged, verdicts, first, rules=run.config.deciding_rules),
        "edits": _edits(run, split),
        "contamination": _contamination(run, split, lanes),
        "lines": _lines(run, split),
    }


def _funnel(lanes: np.ndarray, first: np.ndarray, weights: np.ndarray) -> list[list[Any]]:
    rows = []
    for lane, reason in sorted(set(zip(lanes, first, strict=True))):
        total = weights[:, (lanes == lane) & (first == reason)].sum(axis=1)
        rows.append([lane, "removed" if reason else "kept", reason, *map(int, total)])
    return rows


def _failures(run: Run, split: int) -> list[list[Any]]:
    kinds = Counter(read_parquet(run.part("failures", split), columns=["error"])["error"].to_pylist())
    return [["", "failed", kind, count, 0, 0] for kind, count in sorted(kinds.items())]


def _rules(lanes: np.ndarray, flat: FlatReasons, weights: np.ndarray) -> list[list[Any]]:
    """Lane, reason, threshold, then failing, only and first in documents, the same in characters and in tokens."""
    subsets = (np.ones(len(flat.rows_R), bool), flat.is_only_R, flat.is_first_R)
    rows = []
    for lane in sorted(set(lanes)):
        in_lane = (lanes == lane)[flat.rows_R]
        for code in sorted(np.unique(flat.codes_R[in_lane]), key=lambda code: flat.names[code]):
            hits = in_lane & (flat.codes_R == code)
            threshold = float(flat.thresholds_R[np.flatnonzero(hits)[0]])
            counts = [weights[:, flat.rows_R[hits & subset]].sum(axis=1) for subset in subsets]
            rows.append([lane, flat.names[code], threshold, *map(int, np.stack(counts, axis=1).ravel())])
    return rows


def _edits(run: Run, split: int) -> list[list[Any]]:
    """Lane and kind → documents, edits, replaced, chars, as the published files hold them."""
    counts: defaultdict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(4, np.int64))
    for lane in CURATED_LANES:
        path = run.part(join("curated", lane), split)
        rows = read_parquet(path, columns=["edits"])["edits"].to_pylist() if exists(path) else []
        for edits in rows:
            for kind in {edit["kind"] for edit in edits}:
                counts[lane, kind][0] += 1
            for edit in edits:
                counts[lane, edit["kind"]][1:] += 1, edit["replacement"] is not None, edit["end"] - edit["start"]
    return [[*group, *map(int, total)] for group, total in sorted(counts.items())]


def _contamination(run: Run, split: int, lanes: np.ndarray) -> list[list[Any]]:
    """As LEAKS, a key in place of the document's id."""
    bounds = {str(lane): overlap_bound(run.config, lane) for lane in LANES}
    best: dict[tuple[str, str], dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in read_parquet(run.part("contamination", split)).to_pylist():  # a document's best covered item comes first
        best[lanes[row_of(row["key"])], row["benchmark"]].setdefault(row["key"], row)
    rows = []
    for (lane, benchmark), documents in sorted(best.items()):
        top = max(documents.values(), key=lambda row: (row["overlap"], -row["key"]))
        leaked = sum(row["overlap"] > bounds[lane] for row in documents.values())
        rows.append([lane, benchmark, len(documents), leaked, top["overlap"], top["item_id"], top["key"]])
    return rows


def _lines(run: Run, split: int) -> list[list[Any]]:
    """Of the common lines of a split those that most documents hold: as LINES, key and span in place of id and text.

    How many documents hold a line is known of the whole run, so the run's MAX_LINES are among those of every split.
    """
    table = read_parquet(run.part("common_lines", split))
    table = table.append_column("chars", pc.cast(pc.subtract(table["end"], table["start"]), pa.int64()))
    sums: list[tuple[str, str]] = [
        ("key", "count"),
        ("chars", "sum"),
        ("key", "first"),
        ("start", "first"),
        ("end", "first"),
    ]
    groups = table.group_by(["documents", "kind", "hash"], use_threads=False).aggregate(sums)
    groups = groups.sort_by([("documents", "descending"), ("kind", "ascending"), ("hash", "ascending")])
    rows: list[dict[str, Any]] = groups[:MAX_LINES].to_pylist()
    return [list(row.values()) for row in rows]


def bin_edges(signal: str) -> np.ndarray:
    """Fixed edges of a signal's histogram, so that histograms of any two runs can be added or compared."""
    unit = (SIGNALS.field(signal).metadata or {}).get(b"unit", b"")
    return SHARE_EDGES if unit == b"share" else COUNT_EDGES


def _histograms(signals: pa.Table, lanes: np.ndarray, weights: np.ndarray) -> dict[str, dict[str, list[list[int]]]]:
    """Lane → signal → bins that are not empty, and documents, chars, tokens in each; NaN (not measured) is left out.

    Edges are rounded as a measured float32 is, so that a bin ends where a rule of that threshold begins.
    """
    names, codes = np.unique(lanes.astype(str), return_inverse=True)
    result: dict[str, dict[str, list[list[int]]]] = {lane: {} for lane in names.tolist()}
    as_floats = weights.astype(np.float64)  # exact below 2^53; what bincount would make of them for each signal anew
    for name in SIGNALS.names[1:]:
        values = signals[name].to_numpy()
        edges = bin_edges(name).astype(values.dtype if values.dtype == np.float32 else np.float64)
        num_bins = len(edges) - 1
        measured = np.flatnonzero(~np.isnan(values))
        bins = np.clip(np.searchsorted(edges, values[measured], side="right") - 1, 0, num_bins - 1)
        cells = codes[measured] * num_bins + bins
        counts = np.array([np.bincount(cells, each[measured], len(names) * num_bins) for each in as_floats], np.int64)
        by_lane = counts.reshape(len(counts), len(names), num_bins).swapaxes(0, 1)
        for lane, in_lane in zip(result, by_lane, strict=True):
            filled = np.flatnonzero(in_lane[0])
            result[lane][name] = [filled.tolist(), *in_lane[:, filled].tolist()]
    return result


def merge_statistics(run: Run, splits: Sequence[int], *, accounts: dict[str, int]) -> None:
    """Adds the parts of all splits into `stats/*.parquet` and `stats/stats.json`, then removes the parts."""
    parts = [read_json(join(run.path, "stats", "parts", f"part-{split:05d}.json")) for split in splits]
    tables = {
        "funnel": _merged_funnel(parts),
        "rules": _merged_rules(parts),
        "histograms": _merged_histograms(parts),
        "samples": merge_sampled(run, [part["samples"] for part in parts]),
        "clusters": _clusters(run),
        "edits": _merged_edits(parts),
        "contamination": _merged_contamination(run, parts),
        "lines": _merged_lines(run, parts),
        "signal_sample": merge_samples(run, splits),
    }
    for name, table in tables.items():
        write_parquet(join(run.path, "stats", f"{name}.parquet"), table)
    write_json(join(run.path, "stats", "stats.json"), _summary(run, splits, accounts))
    remove_tree(join(run.path, "stats", "parts"))


def _merged_funnel(parts: list[dict[str, Any]]) -> pa.Table:
    total: defaultdict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(3, np.int64))
    for part in parts:
        for lane, outcome, reason, *counts in part["funnel"]:
            total[part["source"], lane, outcome, reason] += counts
    rows = [[*group, *map(int, counts)] for group, counts in sorted(total.items())]
    return _table(rows, FUNNEL)


def _merged_rules(parts: list[dict[str, Any]]) -> pa.Table:
    total: defaultdict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(NUM_RULE_COUNTS, np.int64))
    thresholds: dict[tuple[str, ...], float] = {}
    for part in parts:
        for lane, reason, threshold, *counts in part["rules"]:
            total[part["source"], lane, reason] += counts
            thresholds[part["source"], lane, reason] = threshold
    rows = [[*group, thresholds[group], *map(int, counts)] for group, counts in sorted(total.items())]
    return _table(rows, RULES)


def _merged_edits(parts: list[dict[str, Any]]) -> pa.Table:
    total: defaultdict[tuple[str, ...], np.ndarray] = defaultdict(lambda: np.zeros(4, np.int64))
    for part in parts:
        for lane, kind, *counts in part["edits"]:
            total[part["source"], lane, kind] += counts
    return _table([[*group, *map(int, counts)] for group, counts in sorted(total.items())], EDITS)


def _merged_contamination(run: Run, parts: list[dict[str, Any]]) -> pa.Table:
    groups: defaultdict[tuple[str, str], list[list[Any]]] = defaultdict(list)
    for part in parts:
        for lane, benchmark, *rest in part["contamination"]:
            groups[lane, benchmark].append(rest)
    tops = {group: max(rows, key=lambda row: (row[2], -row[4])) for group, rows in groups.items()}
    ids = fetch_documents(run, [top[4] for top in tops.values()], columns=["id"])
    rows = []
    for group, each in sorted(groups.items()):
        _, _, overlap, item, key = tops[group]
        rows.append([*group, sum(row[0] for row in each), sum(row[1] for row in each), overlap, item, ids[key]["id"]])
    return _table(rows, LEAKS)


def _merged_lines(run: Run, parts: list[dict[str, Any]]) -> pa.Table:
    total: dict[tuple[Any, ...], list[Any]] = {}
    for part in parts:  # in order of splits: the first that holds a line shows it
        for *group, occurrences, chars, key, start, end in part["lines"]:
            seen = total.setdefault(tuple(group), [0, 0, key, start, end])
            seen[:2] = seen[0] + occurrences, seen[1] + chars
    top = sorted(total.items(), key=lambda item: (-item[0][0], *item[0][1:]))[:MAX_LINES]
    documents = fetch_documents(run, [row[2] for _, row in top], columns=["id", "url", "text"])
    rows = []
    for (count, kind, _), (occurrences, chars, key, start, end) in top:
        found = documents[key]
        site = urlsplit(found["url"]).hostname if kind.endswith(":site") else None
        (line,) = masked([found["text"][start:end].strip()], run, num_chars=LINE_CHARS)
        rows.append([kind, site or "", count, occurrences, chars, line, found["id"]])
    return _table(rows, LINES)


def _merged_histograms(parts: list[dict[str, Any]]) -> pa.Table:
    total: dict[tuple[str, str], np.ndarray] = {}
    for part in parts:
        for lane, signals in part["histograms"].items():
            for name, (bins, *counts) in signals.items():
                histogram = total.setdefault((name, lane), np.zeros((3, len(bin_edges(name)) - 1), np.int64))
                histogram[:, bins] += np.array(counts, np.int64)
    rows = []
    for (name, lane), counts in sorted(total.items()):
        edges = bin_edges(name)
        rows += [
            [name, lane, float(edges[at]), float(edges[at + 1]), *map(int, counts[:, at])]
            for at in np.flatnonzero(counts[0])
        ]
    return _table(rows, HISTOGRAMS)


def _clusters(run: Run) -> pa.Table:
    """The largest clusters, each with its survivor and its least similar copy."""
    duplicates = read_duplicates(run).to_pylist()
    worst: dict[int, dict[str, Any]] = {}
    for row in duplicates:
        seen = worst.get(row["kept_key"])
        if seen is None or (row["jaccard"], row["key"]) < (seen["jaccard"], seen["key"]):
            worst[row["kept_key"]] = row
    chosen = sorted(worst.values(), key=lambda row: (-row["cluster_size"], row["kept_key"]))[:MAX_CLUSTERS]
    texts = fetch_documents(run, [row[name] for row in chosen for name in ("kept_key", "key")])
    heads = masked([each["text"] for each in texts.values()], run, num_chars=EXCERPT_CHARS)
    head_of = dict(zip(texts, heads, strict=True))
    rows = []
    for row in chosen:
        kept, removed = texts[row["kept_key"]], texts[row["key"]]
        rows.append(
            [
                row["cluster_id"],
                row["kind"],
                row["cluster_size"],
                row["jaccard"],
                kept["id"],
                head_of[row["kept_key"]],
                removed["id"],
                head_of[row["key"]],
            ]
        )
    return _table(rows, CLUSTERS)


def _repairs(run: Run, splits: Sequence[int]) -> dict[str, int]:
    """Documents whose mojibake was repaired, by the steps of the repair."""
    columns = (read_parquet(run.part("documents", split), columns=["repair"])["repair"] for split in splits)
    counts = Counter(steps for column in columns for steps in column.drop_null().to_pylist())
    return dict(sorted(counts.items()))


def _summary(run: Run, splits: Sequence[int], accounts: dict[str, int]) -> dict[str, Any]:
    """Deterministic facts of the run; times stand in the manifests, not here."""
    duplicates = read_duplicates(run, columns=["kept_key", "kind"])
    sizes = np.unique(duplicates["kept_key"].to_numpy(), return_counts=True)[1] + 1
    kinds = Counter(duplicates["kind"].to_pylist())
    return {
        "run_id": run.manifest.run_id,
        "accounts": accounts,
        "repaired": _repairs(run, splits),
        "clusters": {
            "count": len(sizes),
            "removed": int((sizes - 1).sum()),
            "removed_exact": kinds["exact"],
            "removed_near": kinds["near"],
            "removed_url": kinds["url"],
            "largest": int(sizes.max()) if len(sizes) else 0,
            "sizes": {str(size): int(count) for size, count in sorted(Counter(sizes.tolist()).items())},
        },
    }


def _table(rows: list[list[Any]], schema: pa.Schema) -> pa.Table:
    columns: list[Any] = list(zip(*rows, strict=True)) if rows else [[] for _ in schema]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
    return pa.table(arrays, schema=schema)
