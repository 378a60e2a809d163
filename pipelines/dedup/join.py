"""The join: from band files to verified pairs, as one Beam job that shuffles hashes and sketches, never text.

A document is named by its position, file number << 32 | row, in the list of band files: those of earlier snapshots as
they are given, then the new ones by name. Candidates go first to
the file of their second document, take its sketch along, then to the file of the first, where they are verified: each
band file is read twice and nothing is read at random. Every file of pairs belongs to one band file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import TaggedOutput

from ctllm.pipelines.dedup.buckets import exact_candidates, near_candidates, unique_pairs
from ctllm.pipelines.dedup.frames import frame, frames, table_bytes, table_of
from ctllm.pipelines.dedup.minhash import banding
from ctllm.pipelines.dedup.shuffle import Shuffle
from ctllm.pipelines.dedup.verify import Sketches, similarities
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.dedup_index import EarlierSplit
from ctllm.schemas.duplicates import PAIRS
from ctllm.schemas.files import (
    join,
    list_files,
    num_rows,
    read_json,
    read_parquet,
    remove_tree,
    write_json,
    write_parquet,
)
from ctllm.schemas.progress import Progress, silent

COUNTS = ("pairs", "exact", "near", "url", "refused", "hot_buckets")
_PARTITION_BYTES = 16 << 20  # chosen: a partition is sorted in memory, several at once
_MIN_SLICE_BYTES = 1 << 10  # chosen: an element of the shuffle costs the local runner 6 us (engines notes, section 6)
_PAIRS, _SKETCHES = 0, 1
_ROW_BYTES = 24
_FILE_SHIFT_BITS = 32
_FILE_SHIFT = np.uint64(_FILE_SHIFT_BITS)
_ROW_MASK = np.uint64(0xFFFFFFFF)
_SIGNATURES = ("exact", "text", "url")
_HALVES = [f"{name}_{half}" for name in _SIGNATURES for half in ("high", "low")]
_VERIFY_COLUMNS = ["key", *_HALVES, "num_shingles", "sketch"]

BandFile = tuple[str, str | None]
"""Path of BANDS, and for an earlier snapshot that of their VERDICTS, row by row: only what was kept takes part."""


def find_pairs(
    band_files: Sequence[str],
    *,
    out: str,
    config: DedupConfig,
    options: RunnerOptions,
    earlier: Sequence[EarlierSplit] = (),
    progress: Progress = silent,
) -> dict[str, int]:
    """Writes all verified pairs to `out/part-*.parquet` (PAIRS, sorted by key_a, key_b) and gives the counts in COUNTS.

    `exact` pairs link each copy, by form or text, to the first of its kind, `near` pairs are all that share a band and
    whose verified Jaccard (or containment) reaches the threshold, `url` pairs, with `by_url`, those of one URL that are
    neither; the others are `refused`; without `verify` none is. Exact copies stand behind the first of them: their near
    pairs are its near pairs. Of the documents in `earlier` those that were
    kept take part, as the first of a pair only. What an unfinished attempt left in `out` is deleted; the bytes written
    depend neither on the number of workers nor on the order of `band_files`.
    """
    remove_tree(out)
    scratch = join(out, "shuffle")
    inputs = [*((split.bands, split.verdicts) for split in earlier), *((path, None) for path in sorted(band_files))]
    job = partial(
        _pairs_job,
        inputs=inputs,
        first_new=len(earlier) << _FILE_SHIFT_BITS,
        out=out,
        config=config,
        grouped=partial(Shuffle, options.shuffle_of(_payload_bytes([path for path, _ in inputs], config)), scratch),
    )
    run_job("pairs", job, options=options, watch=out, progress=progress)
    remove_tree(scratch)
    counts: dict[str, int] = read_json(join(out, "_counts.json"))
    if not list_files(out, suffix=".parquet"):
        write_parquet(join(out, "part-00000.parquet"), PAIRS.empty_table())
    return counts


def _pairs_job(
    pipeline: beam.Pipeline,
    *,
    inputs: list[BandFile],
    first_new: int,
    out: str,
    config: DedupConfig,
    grouped: Callable[[], Shuffle],
) -> None:
    paths = [path for path, _ in inputs]
    bits = partition_bits(_payload_bytes(paths, config), num_files=len(paths))
    candidates = (
        pipeline
        | "Band files" >> beam.Create(list(enumerate(inputs)))  # (file number, BandFile)
        | "Spread files over workers" >> beam.Reshuffle()  # fused to Create they would be read by one
        | "Read band keys"
        >> beam.ParDo(ReadBandKeys(bits, config)).with_output_types(tuple[int, bytes])  # (partition, rows)
        | "Group by band key" >> grouped()
        | "Link buckets" >> beam.ParDo(LinkBuckets(bits, first_new, config)).with_outputs("hot", main="candidates")
    )
    verified = (
        candidates.candidates  # (file of the second document, pairs)
        | "Group by second file" >> grouped()
        | "Take sketches along" >> beam.ParDo(TakeSketches(paths)).with_output_types(tuple[int, bytes])
        | "Group by first file" >> grouped()
        | "Verify" >> beam.ParDo(VerifyPairs(paths, out, config)).with_output_types(tuple[int, ...])
    )
    _ = (
        (candidates.hot, verified)
        | "All counts" >> beam.Flatten()
        | "Add up" >> beam.CombineGlobally(_add_counts)
        | "Write counts" >> beam.ParDo(WriteCounts(out))
    )


class ReadBandKeys(beam.DoFn):
    """(file number, file) to (partition, packed rows): bands in partitions 0 to P - 1, exact ones in P to 2P - 1."""

    def __init__(self, bits: int, config: DedupConfig) -> None:
        self._bits = bits
        self._by_url = config.by_url

    def process(self, element: tuple[int, BandFile]) -> Iterator[tuple[int, bytes]]:
        """Rows as in `buckets`, split by the top bits of their key. A URL is one more band."""
        number, (path, verdicts) = element
        table = read_parquet(path, columns=[*_HALVES, "bands"])
        positions = (np.uint64(number) << _FILE_SHIFT) | np.arange(len(table), dtype=np.uint64)
        if verdicts is not None:
            kept = read_parquet(verdicts, columns=["kept"]).column("kept").combine_chunks()
            table, positions = table.filter(kept), positions[kept.to_numpy(zero_copy_only=False)]
        halves = [table.column(name).to_numpy() for name in _HALVES]
        _, low, _, _, url, url_low = halves
        bands = table.column("bands")
        owners = np.repeat(np.arange(len(table)), pc.list_value_length(bands).to_numpy())
        near = np.column_stack([pc.list_flatten(bands).to_numpy(), low[owners], positions[owners]])
        if self._by_url:
            near = np.concatenate([near, np.column_stack([url, low, positions])[(url | url_low) != 0]])
        yield from self._partitioned(near, first_partition=0)
        exact = np.concatenate([np.column_stack([*halves[at : at + 2], positions]) for at in (0, 2)])
        exact = exact[(exact[:, 0] | exact[:, 1]) != 0]
        yield from self._partitioned(exact, first_partition=1 << self._bits)

    def _partitioned(self, rows: np.ndarray, *, first_partition: int) -> Iterator[tuple[int, bytes]]:
        partitions = (rows[:, 0] >> np.uint64(1)) >> np.uint64(63 - self._bits)  # not by 64 at once: no shift
        for partition in np.unique(partitions).tolist():
            yield first_partition + partition, rows[partitions == partition].tobytes()


class LinkBuckets(beam.DoFn):
    """(partition, packed rows) to (file of the second document, packed candidates); counts of hot buckets to `hot`."""

    def __init__(self, bits: int, first_new: int, config: DedupConfig) -> None:
        self._num_partitions = 1 << bits
        self._first_new = first_new
        self._max_bucket = config.max_bucket

    def process(
        self, element: tuple[int, Iterable[bytes]]
    ) -> Iterator[tuple[int, bytes] | TaggedOutput[Literal["hot"], tuple[int, ...]]]:
        """Candidates of one partition; the order in which rows arrive does not matter."""
        partition, packed = element
        rows = _unpacked(packed, columns=3)
        if partition >= self._num_partitions:
            pairs = exact_candidates(rows, first_new=self._first_new)
        else:
            pairs, num_hot = near_candidates(rows, max_bucket=self._max_bucket, first_new=self._first_new)
            yield TaggedOutput("hot", (0, 0, 0, 0, 0, num_hot))
        for number, own in _by_file(pairs, column=1):
            yield number, own.tobytes()


class TakeSketches(beam.DoFn):
    """(file, candidates with their second document in it) to (file of the first, candidates and their sketches)."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Candidates met in several bands become one here."""
        number, packed = element
        pairs = unique_pairs(_unpacked(packed, columns=2))
        table = read_parquet(self._paths[number], columns=_VERIFY_COLUMNS)
        for first_file, own in _by_file(pairs, column=0):
            positions = np.unique(own[:, 1])
            sketches = table.take(positions & _ROW_MASK).append_column("position", pa.array(positions))
            yield first_file, frame(_PAIRS, own.tobytes()) + frame(_SKETCHES, table_bytes(sketches))


class VerifyPairs(beam.DoFn):
    """(file, candidates with sketches) to a file of PAIRS and a tuple of COUNTS."""

    def __init__(self, paths: list[str], out: str, config: DedupConfig) -> None:
        self._paths = paths
        self._out = out
        self._config = config

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, ...]]:
        """Writes `part-<file number>.parquet`; nothing where no candidate holds."""
        number, packed = element
        contents = frames(packed)
        pairs = unique_pairs(_unpacked(contents[_PAIRS], columns=2))
        ours = read_parquet(self._paths[number], columns=_VERIFY_COLUMNS)
        others = table_of(contents[_SKETCHES], ours.schema.append(pa.field("position", pa.uint64()))).sort_by(
            "position"
        )
        other_rows = np.searchsorted(others.column("position").to_numpy(), pairs[:, 1])
        rows = np.column_stack([(pairs[:, 0] & _ROW_MASK).astype(np.int64), other_rows])
        verified = verified_pairs(ours, others, rows, config=self._config)
        if len(verified):
            write_parquet(join(self._out, f"part-{number:05d}.parquet"), verified)
        kinds = Counter(verified.column("kind").to_pylist())
        yield (len(verified), kinds["exact"], kinds["near"], kinds["url"], len(pairs) - len(verified), 0)


class WriteCounts(beam.DoFn):
    """The sum of all COUNTS to `_counts.json`, which Parquet readers skip."""

    def __init__(self, out: str) -> None:
        self._out = out

    def process(self, element: tuple[int, ...]) -> None:
        """Written last, once."""
        write_json(join(self._out, "_counts.json"), dict(zip(COUNTS, element, strict=True)))


def verified_pairs(ours: pa.Table, others: pa.Table, rows: np.ndarray, *, config: DedupConfig) -> pa.Table:
    """PAIRS, sorted, of those candidates `rows` (n, 2) between rows of the two tables of bands that hold."""
    ours, others = ours.take(rows[:, 0]), others.take(rows[:, 1])
    each = np.column_stack([np.arange(len(rows))] * 2)
    jaccard, containment = similarities(Sketches.of(ours), Sketches.of(others), each, sketch_size=config.sketch_size)
    is_exact = _same(ours, others, "exact") | _same(ours, others, "text")
    jaccard[is_exact] = containment[is_exact] = 1
    is_near = jaccard >= config.threshold
    if config.containment is not None:
        is_near |= containment >= config.containment
    is_url = config.by_url & _same(ours, others, "url")
    holds = is_exact | is_near | is_url | (not config.verify)
    keys = np.sort(np.column_stack([ours.column("key").to_numpy(), others.column("key").to_numpy()]), axis=1)
    columns = {
        "key_a": keys[:, 0],
        "key_b": keys[:, 1],
        "kind": np.select([is_exact, is_near, is_url], ["exact", "near", "url"], "near"),
        "jaccard": jaccard.astype(np.float32),
        "containment": containment.astype(np.float32),
    }
    table = pa.table({name: values[holds] for name, values in columns.items()}).cast(PAIRS)
    return table.sort_by([("key_a", "ascending"), ("key_b", "ascending")])


def _same(ours: pa.Table, others: pa.Table, name: str) -> np.ndarray:
    """Whether both documents of a row have that signature, and the same one: (rows,), bool."""
    pairs = [[table.column(f"{name}_{half}").to_numpy() for table in (ours, others)] for half in ("high", "low")]
    (high, other_high), (low, other_low) = pairs
    return np.asarray((high == other_high) & (low == other_low) & ((high | low) != 0))


def _payload_bytes(paths: list[str], config: DedupConfig) -> int:
    """Size of the band keys that are shuffled, the largest part by far unless most documents are near copies."""
    num_bands, _ = banding(config)
    return sum(num_rows(path) for path in paths) * num_bands * _ROW_BYTES


def partition_bits(payload_bytes: int, *, num_files: int) -> int:
    """log2 of the number of partitions: from the size of what is shuffled, never from the number of workers.

    No more than leave a file some rows for each: elements cost too.
    """
    by_partition = (payload_bytes // _PARTITION_BYTES).bit_length()
    by_slice = (payload_bytes // max(num_files, 1) // _MIN_SLICE_BYTES).bit_length()
    return min(by_partition, by_slice)


def _add_counts(counts: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    totals = [0] * len(COUNTS)
    for each in counts:
        totals = [total + count for total, count in zip(totals, each, strict=True)]
    return tuple(totals)


def _unpacked(packed: Iterable[bytes], *, columns: int) -> np.ndarray:
    return np.frombuffer(b"".join(packed), np.uint64).reshape(-1, columns)


def _by_file(pairs: np.ndarray, *, column: int) -> Iterator[tuple[int, np.ndarray]]:
    """The pairs of each file that the positions in `column` lie in."""
    files = pairs[:, column] >> _FILE_SHIFT
    for number in np.unique(files).tolist():
        yield number, pairs[files == number]
