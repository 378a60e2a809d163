"""Questions to a run's compacted database: lists of documents, clusters of copies, one source.

The database is open for reading only and can reach no other file. Every answer is JSON values; keys are text, because
JavaScript's numbers end at 53 bits.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from ctllm.dashboards.compaction import OTHER_BIT, bounded_signals, lane_rules
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import LANES
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.signals import SIGNALS
from ctllm.schemas.verdict import COPIES

MEMORY_LIMIT = (
    "24MB"  # measured: questions over 1 M documents take no longer than with 64 MB, the server is 25 MB smaller
)
TIMEOUT_S = 10.0  # chosen: far above any question here; one that takes longer is given up
ANY_ROWS = 50
CLUSTERS_AT_ONCE = 12

_LOCKED: dict[str, str | bool | int | float | list[str]] = {
    "memory_limit": MEMORY_LIMIT,
    "allocator_flush_threshold": "4MB",
    "threads": 2,
    "enable_external_access": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "lock_configuration": True,
}


SHOWN = "key, id, url, source, lane, kept, copy, failing, chars"
"""Columns that `shown` reads."""

_CLUSTERS = """
SELECT cluster_id, any_value(kept_key) AS kept_key, any_value(cluster_size) AS size,
  list(DISTINCT kind ORDER BY kind) AS kinds, min(jaccard) AS jaccard, count(*) OVER () AS total
FROM copies WHERE $kind IS NULL OR kind = $kind GROUP BY cluster_id
ORDER BY size DESC, cluster_id LIMIT {limit} OFFSET $offset
"""

_HISTOGRAM = """
WITH measured AS (SELECT lane, {signal} AS value FROM documents WHERE source = $source AND {signal} IS NOT NULL)
SELECT lane, {place} AS place, count(*) AS documents FROM measured GROUP BY ALL ORDER BY ALL
"""

_REASONS = """
WITH refused AS (SELECT lane, copy, failing FROM documents WHERE source = $source AND NOT kept),
counted AS (
  SELECT lane, copy, b.bit, count(*) AS failing, count(*) FILTER (bit_count(failing) = 1) AS only
  FROM refused, range(63) AS b(bit) WHERE copy IS NULL AND failing >> b.bit & 1 = 1 GROUP BY ALL)
SELECT * FROM counted UNION ALL
SELECT lane, copy, 63, count(*), count(*) FROM refused WHERE copy IS NOT NULL GROUP BY ALL ORDER BY lane, bit
"""


@dataclass(frozen=True)
class Filter:
    """Which documents are meant; None is any."""

    lane: str | None = None
    outcome: str | None = None
    """`kept` or `removed`."""
    reason: str | None = None
    """A rule or a kind of copy that refuses them, the first or a later one."""
    source: str | None = None
    name: str | None = None
    """Part of the id or URL, or the whole key; case does not count."""


class RunDatabase:
    """The compacted tables of one run, as `compact` wrote them. Safe to be asked from several threads."""

    def __init__(self, path: Path, config: CurationConfig) -> None:
        self.config = config
        self.rules = lane_rules(config)
        self._database = duckdb.connect(str(path), read_only=True, config=_LOCKED)
        self.sources: dict[str, int] = dict(self._database.execute("SELECT name, code FROM sources").fetchall())
        self._names = {code: name for name, code in self.sources.items()}

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def documents(self, chosen: Filter, *, after: int | None = None, limit: int = ANY_ROWS) -> list[dict[str, Any]]:
        """The documents that `chosen` describes, in key order from the one after `after` on. Raises ConfigError."""
        where, values = self._where(chosen, after=after)
        query = f"SELECT {SHOWN} FROM documents WHERE {where} ORDER BY key LIMIT {limit:d}"
        return [self.shown(row) for row in self.rows(query, values)]

    def count(self, chosen: Filter) -> int:
        """How many documents `chosen` describes."""
        where, values = self._where(chosen)
        return int(self.rows(f"SELECT count(*) AS count FROM documents WHERE {where}", values)[0]["count"])

    def keys(self, chosen: Filter, *, after: int | None, limit: int) -> list[int]:
        """Keys only, ascending."""
        where, values = self._where(chosen, after=after)
        query = f"SELECT key FROM documents WHERE {where} ORDER BY key LIMIT {limit:d}"
        return [row["key"] for row in self.rows(query, values)]

    def document(self, key: int) -> dict[str, Any]:
        """One document. Raises InputError when the run has none of this key."""
        rows = self.rows(f"SELECT {SHOWN} FROM documents WHERE key = $key", {"key": key})
        if not rows:
            raise InputError(f"no document with key {key} in this run")
        return self.shown(rows[0])

    def judged(self, key: int) -> dict[str, float | None]:
        """The signals that rules bound, as rules saw them: lengths count what cuts left."""
        row = self.rows("SELECT COLUMNS('s_.*') FROM documents WHERE key = $key", {"key": key})[0]
        return {name.removeprefix("s_"): value for name, value in row.items()}

    def named(self, keys: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Documents by key; keys of other runs are left out."""
        rows = self.rows(f"SELECT {SHOWN} FROM documents WHERE key IN (SELECT unnest($keys))", {"keys": list(keys)})
        return {row["key"]: self.shown(row) for row in rows}

    def copies_of(self, key: int) -> list[dict[str, Any]]:
        """Rows of `copies` that name the document, as the removed one or as the one that stays."""
        return self.rows(
            "SELECT * FROM copies WHERE key = $key OR kept_key = $key ORDER BY key LIMIT 200", {"key": key}
        )

    def clusters(self, *, kind: str | None, offset: int, limit: int = CLUSTERS_AT_ONCE) -> dict[str, Any]:
        """Clusters, largest first: id, size, kinds, lowest Jaccard, and the document that stays."""
        if kind is not None and kind not in COPIES:
            raise ConfigError(f"kind {kind!r}: one of {', '.join(COPIES)}")
        rows = self.rows(_CLUSTERS.format(limit=int(limit)), {"kind": kind, "offset": offset})
        kept = self.named([row["kept_key"] for row in rows])
        total = rows[0]["total"] if rows else 0
        shown = [
            {"cluster": str(row["cluster_id"]), "size": row["size"], "kinds": row["kinds"], "jaccard": row["jaccard"],
             "kept": kept.get(row["kept_key"]) or _elsewhere(row["kept_key"])}
            for row in rows
        ]  # fmt: skip
        return {"clusters": shown, "total": total}

    def members(self, cluster: int, *, limit: int = 200) -> list[dict[str, Any]]:
        """The document that stays, then its copies, least similar first."""
        query = f"SELECT * FROM copies WHERE cluster_id = $cluster ORDER BY jaccard, key LIMIT {limit:d}"
        rows = self.rows(query, {"cluster": cluster})
        known = self.named([row["key"] for row in rows] + [row["kept_key"] for row in rows])
        kept = [
            {**(known.get(key) or _elsewhere(key)), "stays": True}
            for key in dict.fromkeys(row["kept_key"] for row in rows)
        ]
        copies = [
            {**(known.get(row["key"]) or _elsewhere(row["key"])), "stays": False, "copy_of": str(row["kept_key"]),
             **{name: row[name] for name in ("kind", "jaccard", "containment")}}
            for row in rows
        ]  # fmt: skip
        return kept + copies

    def histogram(self, source: str, signal: str) -> dict[str, list[list[float]]]:
        """Lane to rows of left, right, documents of one source; bins as in `stats/histograms.parquet`."""
        if signal not in bounded_signals(self.config):
            raise ConfigError(f"signal {signal!r}: no rule of this run bounds it")
        is_share = (SIGNALS.field(signal).metadata or {}).get(b"unit") == b"share"
        place = (
            "least(floor(value * 50), 49)"
            if is_share
            else "CASE WHEN value < 1 THEN -1 ELSE floor(log10(value) * 8) END"
        )
        rows = self.rows(_HISTOGRAM.format(place=place, signal=f"s_{signal}"), {"source": self._source(source)})
        found: dict[str, list[list[float]]] = {}
        for row in rows:
            at = row["place"]
            edges = [at / 50, (at + 1) / 50] if is_share else [0.0 if at < 0 else 10 ** (at / 8), 10 ** ((at + 1) / 8)]
            found.setdefault(LANES[row["lane"]], []).append([*edges, row["documents"]])
        return found

    def reasons(self, source: str) -> list[dict[str, Any]]:
        """Every reason of one source: lane, reason, documents it refuses at all and it alone."""
        counts = self.rows(_REASONS, {"source": self._source(source)})
        found = []
        for row in counts:
            lane, bit = LANES[row["lane"]], row["bit"]
            rules = self.rules.get(lane, [])
            reason = row["copy"] or (rules[bit].name if bit < len(rules) else "other_language")
            found.append({"lane": lane, "reason": reason, "failing": row["failing"], "only": row["only"]})
        return found

    def bit(self, lane: str, name: str) -> int:
        """The place of a rule in `failing`."""
        return [rule.name for rule in self.rules[lane]].index(name)

    def config_key(self, lane: str, name: str) -> str:
        """The rule as `--set` names it."""
        return f"rules.{self.config.rules.zh_set if lane == 'zh' else lane}.{name}"

    def _source(self, name: str) -> int:
        if name not in self.sources:
            raise InputError(f"no source {name!r} in this run")
        return self.sources[name]

    def _where(self, chosen: Filter, *, after: int | None = None) -> tuple[str, dict[str, Any]]:
        tests: list[str] = ["true"]
        values: dict[str, Any] = {}
        if after is not None:
            tests, values = ["key > $after"], {"after": after}
        if chosen.lane is not None:
            if chosen.lane not in LANES:
                raise ConfigError(f"lane {chosen.lane!r}: one of {', '.join(LANES)}")
            tests.append(f"lane = {LANES.index(chosen.lane):d}")
        if chosen.outcome is not None:
            tests.append({"kept": "kept", "removed": "NOT kept"}.get(chosen.outcome, "false"))
        if chosen.source is not None:
            tests.append("source = $source")
            values["source"] = self._source(chosen.source)
        if chosen.reason is not None:
            tests.append(self._refused_for(chosen.reason))
            values |= {"reason": chosen.reason} if chosen.reason in COPIES.values() else {}
        if chosen.name:
            tests.append(
                "(contains(lower(id), lower($name)) OR contains(lower(url), lower($name)) OR key::VARCHAR = $name)"
            )
            values["name"] = chosen.name
        return " AND ".join(tests), values

    def _refused_for(self, reason: str) -> str:
        if reason in COPIES.values():
            return "copy = $reason"
        bits = [
            f"(lane = {LANES.index(lane)} AND failing & {1 << at}::UBIGINT <> 0)"
            for lane, rules in self.rules.items()
            for at, rule in enumerate(rules)
            if rule.name == reason
        ]
        if not bits and reason not in ("other_language", "nothing_left"):
            raise ConfigError(f"reason {reason!r}: no rule of this run")
        return f"({' OR '.join(bits)})" if bits else f"failing & {1 << OTHER_BIT}::UBIGINT <> 0"

    def shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of SHOWN as the page wants it."""
        lane = LANES[row["lane"]]
        rules = self.rules.get(lane, [])
        reasons = [rule.name for at, rule in enumerate(rules) if row["failing"] >> at & 1]
        others = ["other_language" if lane == "other" else "nothing_left"] if row["failing"] >> OTHER_BIT & 1 else []
        return {
            "key": str(row["key"]), "id": row["id"], "url": row["url"], "source": self._names.get(row["source"], ""),
            "lane": lane, "kept": row["kept"], "chars": row["chars"],
            "reasons": [row["copy"]] if row["copy"] else others + reasons,
        }  # fmt: skip

    def rows(self, query: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What `query` finds, with those of `values` that it names. Raises ConfigError when it takes too long."""
        used = {name: value for name, value in values.items() if f"${name}" in query}
        with self._database.cursor() as cursor, _limited(cursor):
            result = cursor.execute(query, used)
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@contextmanager
def _limited(cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Gives up a question after TIMEOUT_S."""
    timer = threading.Timer(TIMEOUT_S, cursor.interrupt)
    timer.daemon = True
    timer.start()
    try:
        yield
    except duckdb.InterruptException as error:
        raise ConfigError(f"took more than {TIMEOUT_S:.0f} s; ask for less at once") from error
    finally:
        timer.cancel()


def _elsewhere(key: int) -> dict[str, Any]:
    """A document that is not of this run but of an earlier snapshot."""
    return {
        "key": str(key),
        "id": f"key {key}",
        "url": None,
        "source": "",
        "lane": "",
        "kept": True,
        "chars": 0,
        "reasons": [],
    }
