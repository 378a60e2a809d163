"""Lines that many documents share, from the hashes that measuring stored: one Beam job that shuffles no text.

Per split: hash → documents that hold it; per hash: all of them; back to the splits whose lines have to go. Documents
that are copies of an earlier one do not count, or two copies of a page would make each other's text boilerplate.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.hash_order import hash_order
from ctllm.pipelines.dedup.join import partition_bits
from ctllm.pipelines.dedup.shuffle import Shuffle
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.curation_config import LinesConfig
from ctllm.schemas.files import join, list_files, num_rows, read_parquet, remove_tree, write_parquet
from ctllm.schemas.lines import COMMON_LINES, LINE, PARAGRAPH, RUN
from ctllm.schemas.progress import Progress, silent

COUNTED = np.dtype(
    [("hash", "<u8"), ("site", "<u8"), ("first", "<u8"), ("documents", "<u4"), ("split", "<u4"), ("unit", "u1")]
)
"""A hash within a site and a split, 33 bytes; `first` is the earliest document, runs count every occurrence."""

SCOPES = ("site", "corpus", "earlier")
SITE, CORPUS, EARLIER = range(3)
COMMON = np.dtype(
    [*((name, COUNTED[name].str) for name in ("hash", "site", "first", "documents", "unit")), ("scope", "u1")]
)
"""What comes back to a split: a hash that has to go and how many documents of the scope hold it."""

UNITS = {LINE: "line", PARAGRAPH: "paragraph", RUN: "run"}
_TABLE_BITS = 20
_KINDS = np.array([[f"{UNITS[unit]}:{scope}" for scope in SCOPES] for unit in sorted(UNITS)], object)
_COLUMNS = ["key", "unit", "site", "hash"]


def find_common_lines(
    line_files: Sequence[str],
    *,
    pairs: str,
    out: str,
    config: LinesConfig,
    options: RunnerOptions,
    progress: Progress = silent,
) -> dict[str, int]:
    """Writes `out/part-N.parquet` (COMMON_LINES) for the N-th of `line_files` (LINES) and gives what they hold.

    `pairs` is the directory of verified pairs. What an unfinished attempt left in `out` is deleted; the bytes do not
    depend on the number of workers.
    """
    remove_tree(out)
    files = list(enumerate(line_files))
    payload_bytes = sum(map(num_rows, line_files)) * COUNTED.itemsize
    scratch = join(out, "shuffle")
    job = partial(
        _job,
        files=files,
        bits=partition_bits(payload_bytes, num_files=len(files)),
        pairs=pairs,
        out=out,
        config=config,
        grouped=partial(Shuffle, options.shuffle_of(payload_bytes), scratch),
    )
    run_job("lines", job, options=options, watch=out, total=len(files), progress=progress)
    remove_tree(scratch)
    parts = [read_parquet(path, columns=["start", "end"]) for path in list_files(out, suffix=".parquet")]
    chars = sum(int(np.sum(part["end"].to_numpy() - part["start"].to_numpy(), dtype=np.int64)) for part in parts)
    return {"common": sum(part.num_rows for part in parts), "chars": chars}


def _job(
    pipeline: beam.Pipeline,
    *,
    files: list[tuple[int, str]],
    bits: int,
    pairs: str,
    out: str,
    config: LinesConfig,
    grouped: Callable[[], Shuffle],
) -> None:
    paths = [path for _, path in files]
    every_split = pipeline | "Line files" >> Spread(files)  # (split, path)
    common = (
        every_split
        | "Count in split"
        >> beam.ParDo(CountSplit(bits, pairs)).with_output_types(tuple[int, bytes])  # (part, COUNTED)
        | "Group by hash" >> grouped()
        | "Count" >> beam.ParDo(CountAll(config)).with_output_types(tuple[int, bytes])  # (split, COMMON)
    )
    _ = (
        (common, every_split | "Splits without any" >> beam.MapTuple(_nothing).with_output_types(tuple[int, bytes]))
        | "Results and splits" >> beam.Flatten()
        | "Group by split" >> grouped()
        | "Find lines" >> beam.ParDo(FindLines(paths, pairs, out))  # int: the split's file is in place
    )


def _nothing(split: int, _: str) -> tuple[int, bytes]:
    return split, b""


class CountSplit(beam.DoFn):
    """(split, path of its LINES) → (partition by the top bits of the hash, packed COUNTED)."""

    def __init__(self, bits: int, pairs: str) -> None:
        self._bits, self._pairs = bits, pairs

    def setup(self) -> None:
        """Loads the keys of copies."""
        self._copies = copy_keys(self._pairs)

    def process(self, element: tuple[int, str]) -> Iterator[tuple[int, bytes]]:
        """Counts the lines of one split."""
        split, path = element
        rows = count_split(read_parquet(path, columns=_COLUMNS), split=split, copies=self._copies)
        partitions = (rows["hash"] >> np.uint64(1)) >> np.uint64(63 - self._bits)  # not by 64 at once: no shift
        for partition in np.unique(partitions).tolist():
            yield partition, rows[partitions == partition].tobytes()


class CountAll(beam.DoFn):
    """(partition, packed COUNTED of all splits) → (split, packed COMMON)."""

    def __init__(self, config: LinesConfig) -> None:
        self._config = config

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """The hashes that too many documents hold, for each split they stand in; the order of rows does not matter."""
        splits, rows = count_all(np.frombuffer(b"".join(element[1]), COUNTED), config=self._config)
        for split in np.unique(splits).tolist():
            yield split, rows[splits == split].tobytes()


class FindLines(beam.DoFn):
    """(split, packed COMMON) → its index, once its file is in place."""

    def __init__(self, paths: Sequence[str], pairs: str, out: str) -> None:
        self._paths, self._pairs, self._out = paths, pairs, out

    def setup(self) -> None:
        """Loads the keys of copies."""
        self._copies = copy_keys(self._pairs)

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        """Finds the lines of one split that have to go."""
        split, packed = element
        common = np.frombuffer(b"".join(packed), COMMON)
        lines = find_lines(read_parquet(self._paths[split]), common, copies=self._copies)
        write_parquet(join(self._out, f"part-{split:05d}.parquet"), lines)
        yield split


def copy_keys(pairs: str) -> np.ndarray:
    """Keys of documents that have an earlier copy among the verified pairs of a directory: uint64, ascending."""
    tables = [read_parquet(path, columns=["key_b"]) for path in list_files(pairs, suffix=".parquet")]
    return np.unique(np.concatenate([np.empty(0, np.uint64), *(table["key_b"].to_numpy() for table in tables)]))


def count_split(lines: pa.Table, *, split: int, copies: np.ndarray) -> np.ndarray:
    """COUNTED of the LINES of one split: a document counts once for a line, for a run every time it holds it."""
    keys, units, sites, hashes = (lines[name].to_numpy() for name in _COLUMNS)
    counts = ~np.isin(keys, copies)
    keys, units, sites, hashes = (column[counts] for column in (keys, units, sites, hashes))
    groups = _Groups.of(_marks(hashes, sites, units))
    ordered = keys[groups.order]  # ascending in a group: of one unit the documents come in their order
    adds = _changes(ordered) | (units[groups.order] == RUN)
    adds[groups.firsts] = True
    firsts = groups.order[groups.firsts]
    rows = np.zeros(len(firsts), COUNTED)
    rows["hash"], rows["site"], rows["unit"] = hashes[firsts], sites[firsts], units[firsts]
    rows["first"], rows["split"] = keys[firsts], split
    rows["documents"] = groups.reduced(np.add, adds.astype(np.int64))
    return rows


def count_all(rows: np.ndarray, *, config: LinesConfig) -> tuple[np.ndarray, np.ndarray]:
    """Splits (int64) and COMMON rows of what has to go, from all COUNTED rows of some hashes."""
    hashes, sites, units = (np.ascontiguousarray(rows[name]) for name in ("hash", "site", "unit"))
    is_run = units == RUN
    of_site = total = _Groups.of(_marks(hashes, sites, units)).sums(rows["documents"])
    with_totals = bool(is_run.any()) or config.across_documents is not None
    if with_totals:
        everywhere = _Groups.of(_marks(hashes, np.zeros(1, np.uint64), units))
        total = everywhere.sums(rows["documents"])
    by_site = _exceeds(of_site, config.across_site) & (sites != 0) & ~is_run
    by_corpus = _exceeds(total, config.across_documents) & ~is_run
    repeated = is_run & (total > 1)
    chosen = by_site | by_corpus | repeated
    found = np.zeros(int(chosen.sum()), COMMON)
    for name in ("hash", "site", "unit"):
        found[name] = rows[name][chosen]
    if with_totals:
        earliest = everywhere.reduced(np.minimum, rows["first"][everywhere.order])
        found["first"] = everywhere.spread(earliest)[chosen]
    found["documents"] = np.where(by_site, of_site, total)[chosen]
    found["scope"] = np.where(repeated, EARLIER, np.where(by_site, SITE, CORPUS))[chosen]
    return rows["split"][chosen].astype(np.int64), found


def find_lines(lines: pa.Table, common: np.ndarray, *, copies: np.ndarray) -> pa.Table:
    """COMMON_LINES: the LINES of one split whose hashes are in its COMMON rows.

    Of runs the first occurrence in the earliest document stays, and all in copies: one of those may be published in
    its place.
    """
    common = common[np.argsort(_marks(common["hash"], common["site"], common["unit"]))]
    keys, units, sites, hashes = (lines[name].to_numpy() for name in _COLUMNS)
    marks, wanted = _marks(hashes, sites, units), _marks(common["hash"], common["site"], common["unit"])
    rows = _rows_among(marks, wanted)
    found = common[np.searchsorted(wanted, marks[rows])]
    order = np.lexsort([rows, marks[rows], keys[rows]])  # lines of a document are in order of place
    is_first = np.zeros(len(rows), bool)
    is_first[order] = _changes(keys[rows][order], marks[rows][order])
    stays = (units[rows] == RUN) & (np.isin(keys[rows], copies) | ((keys[rows] == found["first"]) & is_first))
    rows, found = rows[~stays], found[~stays]
    chosen = lines.take(rows)
    table = pa.table(
        [
            chosen["key"],
            pa.array(_KINDS[found["unit"], found["scope"]], pa.string()),
            chosen["start"],
            chosen["end"],
            chosen["hash"],
            found["documents"].astype(np.int32),
        ],
        schema=COMMON_LINES,
    )
    return table.sort_by([("key", "ascending"), ("start", "ascending"), ("end", "descending")])


def _exceeds(counts: np.ndarray, bound: int | None) -> np.ndarray:
    return counts > bound if bound is not None else np.zeros(len(counts), bool)


def _changes(*columns: np.ndarray) -> np.ndarray:
    """Whether a row differs from the one before it in any of the columns; the first one does."""
    changes = np.zeros(len(columns[0]), bool)
    changes[:1] = True
    for column in columns:
        changes[1:] |= column[1:] != column[:-1]
    return changes


@dataclass(frozen=True)
class _Groups:
    """Rows of one mark each, in order of the mark."""

    order: np.ndarray
    """(rows,), int64; as they stand within a group"""
    firsts: np.ndarray
    """(groups,), int64: where each begins in `order`"""

    @classmethod
    def of(cls, marks: np.ndarray) -> "_Groups":
        order = hash_order(marks)
        return cls(order, np.flatnonzero(_changes(marks[order])))

    def reduced(self, how: np.ufunc, ordered: np.ndarray) -> np.ndarray:
        """One value a group, of `ordered` values."""
        values: np.ndarray = how.reduceat(ordered, self.firsts) if len(self.firsts) else ordered
        return values

    def spread(self, values: np.ndarray) -> np.ndarray:
        """The value of its group for each row as it stood."""
        rows = np.empty(len(self.order), values.dtype)
        rows[self.order] = np.repeat(values, np.diff(np.append(self.firsts, len(self.order))))
        return rows

    def sums(self, values: np.ndarray) -> np.ndarray:
        """The sum over its group for each row as it stood: int64."""
        return self.spread(self.reduced(np.add, values[self.order].astype(np.int64)))


def _rows_among(marks: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Rows of the marks that are in `wanted`: int64, ascending. Few are, and a table by their first bits says so."""
    table = np.zeros(1 << _TABLE_BITS, bool)
    table[wanted >> np.uint64(64 - _TABLE_BITS)] = True
    rows = np.flatnonzero(table[marks >> np.uint64(64 - _TABLE_BITS)])
    found: np.ndarray = rows[np.isin(marks[rows], wanted)]
    return found


def _marks(hashes: np.ndarray, sites: np.ndarray, units: np.ndarray) -> np.ndarray:
    """One number for hash, site and unit: uint64, equal for others by chance of 2^-64."""
    mixed = (hashes ^ (sites * np.uint64(0x9E3779B185EBCA87))) * np.uint64(0xC2B2AE3D27D4EB4F)  # xxh64 primes
    marks: np.ndarray = mixed + units.astype(np.uint64)
    return marks
