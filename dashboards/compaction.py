"""One database of a run's small tables, so that the live dashboard opens one file instead of tens of thousands.

`documents` has a row per document: who it is, which rules it fails, the signals that rules can bound, the component of
copies it belongs to. No text. Built once, split by split, beside the run's finger print; a changed run is built anew.
"""

import hashlib
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.cuts import LENGTH_SIGNALS
from ctllm.schemas.document import LANES, ROW_BITS, SPLIT_BITS
from ctllm.schemas.errors import CtllmError, InputError, OutputError
from ctllm.schemas.manifest import SUCCESS
from ctllm.schemas.rules import Rule
from ctllm.schemas.signals import SIGNALS
from ctllm.schemas.token_estimate import TOKENS_PER_HAN_CHAR, TOKENS_PER_OTHER_CHAR
from ctllm.schemas.verdict import COPIES

FORMAT = 1
"""Changes when the tables here do: what an older version built is built again."""

SPLITS_AT_ONCE = 200  # measured: 100 to 400 take the same time, more memory from there on
MEMORY_LIMIT = "96MB"
OTHER_BIT = 62
"""Of `failing`: refused for what is no rule, such as another language. Lower bits are the lane's rules in order."""

Advance = Callable[[int, int], None]
"""Splits that are done, and all of them."""


def cache_directory() -> Path:
    """Where databases are kept: CTLLM_DASHBOARD_CACHE, or `ctllm/dashboard` in the user's cache directory."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("CTLLM_DASHBOARD_CACHE") or home / "ctllm" / "dashboard")


def run_fingerprint(run: Path) -> str:
    """16 hex digits that change when the run's manifest, verdicts or copies do. Raises InputError before it decided."""
    digest = hashlib.sha256(str(FORMAT).encode())
    for name in ("manifest.json", f"verdicts/{SUCCESS}", f"duplicates/{SUCCESS}"):
        try:
            digest.update((run / name).read_bytes())
        except OSError as error:
            raise InputError(
                f"{run}: not decided yet ({name} is not there); its documents cannot be looked at"
            ) from error
    return digest.hexdigest()[:16]


def database_path(run: Path, *, cache: Path) -> Path:
    """Where the database of the run as it is now belongs."""
    return cache / f"{_owner(run)}-{run_fingerprint(run)}.duckdb"


def compact(run: Path, *, cache: Path, advance: Advance = lambda _done, _total: None) -> Path:
    """Builds the database of `run`, unless it is there, and returns its path; those of earlier states go.

    Raises InputError when the run is not decided or a table cannot be read, OutputError when `cache` cannot be written.
    """
    path = database_path(run, cache=cache)
    if path.exists():
        return path
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        _build(run, temporary, advance)
        temporary.replace(path)
    except duckdb.Error as error:
        raise InputError(f"{run}: its tables cannot be read ({str(error).splitlines()[0]})") from error
    except OSError as error:
        raise OutputError(f"{cache}: cannot be written ({error.strerror}); set CTLLM_DASHBOARD_CACHE") from error
    finally:
        temporary.unlink(missing_ok=True)
        temporary.with_name(f"{temporary.name}.wal").unlink(missing_ok=True)
    _forget_earlier(run, path)
    return path


def _forget_earlier(run: Path, path: Path) -> None:
    """Deletes databases of other states of the run."""
    for earlier in path.parent.glob(f"{_owner(run)}-*.duckdb"):
        if earlier != path:
            with suppress(OSError):
                earlier.unlink()


def _owner(run: Path) -> str:
    return hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:16]


def bounded_signals(config: CurationConfig) -> list[str]:
    """Signals that some rule of the run can bound, whether it is on or off, in schema order."""
    rules = [rule for ruleset in config.deciding_rules.by_lane().values() for rule in ruleset.rules()]
    named = {rule.signal for rule in rules}
    return [name for name in SIGNALS.names if name in named]


def lane_rules(config: CurationConfig) -> dict[str, list[Rule]]:
    """Rules of each lane in the order that gives them their bit in `failing`."""
    return {lane: ruleset.rules() for lane, ruleset in config.deciding_rules.by_lane().items()}


def _build(run: Path, path: Path, advance: Advance) -> None:
    manifest = json.loads((run / "manifest.json").read_bytes())
    config = parse_config(manifest["config"], CurationConfig, origin=str(run / "manifest.json"))
    splits = sorted((run / "verdicts").glob("part-*.parquet"))
    with duckdb.connect(str(path), config={"memory_limit": MEMORY_LIMIT, "threads": 2}) as database:
        database.execute(f"SET temp_directory = '{_quoted(str(path))}.spill'")
        database.execute("SET preserve_insertion_order = true")
        _write_components(database, run, snapshot=config.snapshot)
        database.execute(_CREATE.format(signals="".join(_column(name) for name in bounded_signals(config))))
        names = [row["source"] for row in manifest["inputs"]]
        database.execute("CREATE TABLE sources (code INTEGER, name VARCHAR)")
        ordered = sorted(set(names))
        for code, name in enumerate(ordered):
            database.execute("INSERT INTO sources VALUES (?, ?)", [code, name])
        insert = _insert(config)
        for start in range(0, len(splits), SPLITS_AT_ONCE):
            files = [each.name for each in splits[start : start + SPLITS_AT_ONCE]]
            database.execute(insert, _paths(run, files))
            advance(min(start + SPLITS_AT_ONCE, len(splits)), len(splits))
        _write_copies(database, run)
        database.execute("DROP TABLE components")
        database.execute("CHECKPOINT")


_CREATE = """
CREATE TABLE documents (
  key UBIGINT, id VARCHAR, url VARCHAR, source INTEGER, lane UTINYINT, kept BOOLEAN, copy VARCHAR, failing UBIGINT,
  chars INTEGER, tokens INTEGER, component INTEGER, component_size INTEGER, is_after_earlier BOOLEAN{signals})
"""


def _column(signal: str) -> str:
    kind = SIGNALS.field(signal).type
    return f", s_{signal} {'FLOAT' if pa.types.is_float32(kind) else 'DOUBLE'}"


def _insert(config: CurationConfig) -> str:
    """One row per document of a group of splits. A signal that is NaN was not measured, which here is null."""
    names = " ".join(
        f"WHEN '{lane}' THEN {[rule.name for rule in rules]}" for lane, rules in lane_rules(config).items()
    )
    place = f"list_position(CASE s.lane_name {names} ELSE []::VARCHAR[] END, r.reason)"
    bits = f"list_transform(s.reasons, lambda r: 1::UBIGINT << coalesce({place} - 1, {OTHER_BIT}))"
    lanes = " ".join(f"WHEN '{lane}' THEN {code}" for code, lane in enumerate(LANES))
    copies = list(COPIES.values())
    signals = "".join(f", {_judged(name)} AS s_{name}" for name in bounded_signals(config))
    return f"""
    INSERT INTO documents
    WITH cut AS (
      SELECT key, sum("end" - start) AS chars FROM read_parquet($cuts) WHERE replacement IS NOT NULL GROUP BY key),
    judged AS (
      SELECT d.key, d.id, d.url, o.code AS source, CASE v.lane {lanes} END AS lane, v.kept,
        CASE WHEN len(v.reasons) > 0 AND v.reasons[1].reason IN {tuple(copies)} THEN v.reasons[1].reason END AS copy,
        v.reasons, v.lane AS lane_name, coalesce(c.chars, 0) AS cut, s.*
      FROM read_parquet($documents) d JOIN read_parquet($verdicts) v USING (key)
      JOIN read_parquet($signals) s USING (key) LEFT JOIN cut c USING (key) LEFT JOIN sources o ON o.name = d.source)
    SELECT s.key, s.id, s.url, s.source, s.lane, s.kept, s.copy,
      CASE WHEN s.copy IS NULL THEN coalesce(list_bit_or({bits}), 0) ELSE 0 END,
      {_LEFT}, {_TOKENS}, m.component, m.size, m.is_after_earlier{signals}
    FROM judged s LEFT JOIN components m USING (key) ORDER BY s.key
    """


_LEFT = "s.num_chars - s.cut"
_HAN = "coalesce(CASE WHEN isnan(s.han_share) THEN 0 ELSE s.han_share END, 0)::FLOAT"
_TOKENS = (
    f"round_even(({_LEFT})::DOUBLE * ({_HAN} * {TOKENS_PER_HAN_CHAR}::FLOAT "
    f"+ (1::FLOAT - {_HAN}) * {TOKENS_PER_OTHER_CHAR}::FLOAT)::DOUBLE, 0)"
)
"""As `estimate_tokens`, in the same single precision."""


def _judged(signal: str) -> str:
    """A signal as rules see it: a length counts what cuts leave."""
    if signal == "num_chars":
        return _LEFT
    if signal in LENGTH_SIGNALS:
        return f"round_even(s.{signal} * (1 - s.cut / greatest(s.num_chars, 1)), 0)"
    if pa.types.is_float32(SIGNALS.field(signal).type):
        return f"CASE WHEN isnan(s.{signal}) THEN NULL ELSE s.{signal} END"
    return f"s.{signal}"


def _paths(run: Path, files: Sequence[str]) -> dict[str, list[str]]:
    return {
        table: [str(run / table / name) for name in files] for table in ("documents", "verdicts", "signals", "cuts")
    }


def _write_copies(database: duckdb.DuckDBPyConnection, run: Path) -> None:
    """`copies`: a row per document that another one stands for."""
    database.execute(
        "CREATE TABLE copies (key UBIGINT, kept_key UBIGINT, cluster_id UBIGINT, cluster_size INTEGER, kind VARCHAR, "
        "jaccard FLOAT, containment FLOAT)"
    )
    for files in _groups(run / "duplicates"):
        database.execute(
            "INSERT INTO copies SELECT key, kept_key, cluster_id, cluster_size, kind, jaccard, containment "
            "FROM read_parquet($files)",
            {"files": files},
        )


def _write_components(database: duckdb.DuckDBPyConnection, run: Path, *, snapshot: int) -> None:
    """`components`: which connected component every document with a verified copy is in.

    Beside it the component's size, and whether a document of an earlier snapshot is in it.
    """
    found = [
        database.execute("SELECT key_a, key_b FROM read_parquet($files)", {"files": files}).fetchnumpy()
        for files in _groups(run / "pairs")
    ]
    ends = [np.concatenate([each[name] for each in found] or [np.zeros(0, np.uint64)]) for name in ("key_a", "key_b")]
    keys, flat = np.unique(np.concatenate(ends), return_inverse=True)
    labels = component_labels(flat.reshape(2, -1), num_nodes=len(keys))
    is_earlier = (keys >> np.uint64(SPLIT_BITS + ROW_BITS)) != np.uint64(snapshot)
    sizes = np.bincount(labels, minlength=len(keys))
    after_earlier = np.bincount(labels, is_earlier, minlength=len(keys)) > 0
    table = pa.table({
        "key": keys, "component": labels.astype(np.int32), "size": sizes[labels].astype(np.int32),
        "is_after_earlier": after_earlier[labels],
    })  # fmt: skip
    database.register("found", table)
    database.execute("CREATE TABLE components AS SELECT * FROM found")
    database.unregister("found")


def component_labels(edges: np.ndarray, *, num_nodes: int) -> np.ndarray:
    """The smallest node that each node is connected with: (num_nodes,), int64. `edges` are (2, edges), nodes from 0."""
    labels = np.arange(num_nodes)
    while True:
        least = np.minimum(labels[edges[0]], labels[edges[1]])
        before = labels.copy()
        for side in edges:
            np.minimum.at(labels, before[side], least)
            np.minimum.at(labels, side, least)
        labels = labels[labels]
        if (labels == before).all():
            return labels


def _groups(directory: Path) -> Iterator[list[str]]:
    files = [str(each) for each in sorted(directory.glob("[!.]*.parquet"))]
    for start in range(0, len(files), SPLITS_AT_ONCE):
        yield files[start : start + SPLITS_AT_ONCE]


def _quoted(text: str) -> str:
    return text.replace("'", "''")


def main() -> None:
    """`python -m ctllm.dashboards.compaction RUN CACHE`: a process of its own, whose memory goes with it."""
    run, cache = map(Path, sys.argv[1:3])
    try:
        compact(run, cache=cache, advance=lambda done, total: print(json.dumps([done, total]), flush=True))
    except CtllmError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
