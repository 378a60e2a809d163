"""The join: from band files to verified pairs, as one Beam job that shuffles hashes and sketches, never text.

A document is named by its position in the list of band files: those of earlier snapshots as they are given, then the
new ones by name. Candidates go first to
the file of their second document, take its sketch along, then to the file of the first, where they are verified: each
band file is read twice and nothing is read at random. Pairs that sketches do not decide go the same way once more, with
all their shingles (`border`). Every file of pairs belongs to one band file.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Literal

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from apache_beam.pvalue import TaggedOutput

from ctllm.pipelines.dedup.border import TakeShingles, at_border, border_similarities
from ctllm.pipelines.dedup.buckets import exact_candidates, near_candidates, unique_pairs
from ctllm.pipelines.dedup.frames import frame, frames, table_bytes, table_of
from ctllm.pipelines.dedup.minhash import banding
from ctllm.pipelines.dedup.positions import FILE_SHIFT_BITS, by_file, positions_in, rows_of, unpacked
from ctllm.pipelines.dedup.shuffle import Shuffle
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.dedup.verify import Sketches, similarities
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.dedup_index import EarlierSplit
from ctllm.schemas.duplicates import PAIRS
from ctllm.schemas.files import (
    exists,
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

COUNTS = ("pairs", "exact", "near", "url", "refused", "border", "hot_buckets")
_PARTITION_BYTES = 16 << 20  # chosen: a partition is sorted in memory, several at once
_MIN_SLICE_BYTES = 1 << 10  # chosen: an element of the shuffle costs the local runner 6 us (engines notes, section 6)
_PAIRS, _SKETCHES = 0, 1
_ROW_BYTES = 24
_SKETCH_HASH_BYTES = 4
_CANDIDATES = 4  # of a document; 65,459 documents, each six times, took 3.1 GB in the runner, 1.2 in files (2026-11-26)
_SIGNATURES = ("exact", "text", "url")
_HALVES = [f"{name}_{half}" for name in _SIGNATURES for half in ("high", "low")]
_VERIFY_COLUMNS = ["key", *_HALVES, "num_shingles", "sketch"]


@dataclass(frozen=True)
class BandFile:
    """A file of BANDS and what belongs to it, row by row."""

    bands: str
    documents: str | None
    """The texts; None where only sketches decide."""
    verdicts: str | None = None
    """Of an earlier snapshot: only what was kept takes part."""


def find_pairs(
    band_files: Sequence[str],
    *,
    document_files: Sequence[str] | None = None,
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
    pairs are its near pairs. `border` are those compared by all their shingles, which needs `document_files`, in the
    order of `band_files`; earlier documents that are not there any more are compared by sketches. Of the documents in
    `earlier` those that were kept take part, as the first of a pair only. What an unfinished attempt left in `out` is
    deleted; the bytes written depend neither on the number of workers nor on the order of `band_files`.
    """
    remove_tree(out)
    scratch = join(out, "shuffle")
    documents: Sequence[str | None] = document_files or [None] * len(band_files)
    inputs = [
        *(BandFile(split.bands, split.documents if exists(split.documents) else None, split.verdicts)
          for split in earlier),
        *(BandFile(*paths) for paths in sorted(zip(band_files, documents, strict=True), key=lambda paths: paths[0])),
    ]  # fmt: skip
    job = partial(
        _pairs_job,
        inputs=inputs,
        first_new=len(earlier) << FILE_SHIFT_BITS,
        out=out,
        config=config,
        grouped=partial(Shuffle, options.shuffle_of(_shuffled_bytes([file.bands for file in inputs], config)), scratch),
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
    paths, texts = [file.bands for file in inputs], [file.documents for file in inputs]
    bits = partition_bits(_key_bytes(paths, config), num_files=len(paths))
    candidates = (
        pipeline
        | "Band files" >> Spread(enumerate(inputs))  # (file number, BandFile)
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
        | "Verify" >> beam.ParDo(VerifyPairs(inputs, out, config)).with_outputs("border", main="counts")
    )
    settled = (
        verified.border  # (file of the second document, border pairs)
        | "Group border by second file" >> grouped()
        | "Take shingles along" >> beam.ParDo(TakeShingles(texts, config)).with_output_types(tuple[int, bytes])
        | "Group border by first file" >> grouped()
        | "Verify exactly" >> beam.ParDo(VerifyBorder(inputs, out, config)).with_output_types(tuple[int, ...])
    )
    nothing = pipeline | "No counts" >> beam.Create([(0,) * len(COUNTS)])  # so that a sum is written for no pair too
    _ = (
        (nothing, candidates.hot, verified.counts, settled)
        | "All counts" >> beam.Flatten()
        | "Pack counts" >> beam.Map(_packed_counts).with_output_types(tuple[int, bytes])  # no pickle on a shuffle
        | "Counts to one worker" >> beam.GroupByKey()
        | "Write counts" >> beam.ParDo(WriteCounts(out))
    )


class ReadBandKeys(beam.DoFn):
    """(file number, file) to (partition, packed rows): bands in partitions 0 to P - 1, exact ones in P to 2P - 1."""

    def __init__(self, bits: int, config: DedupConfig) -> None:
        self._bits = bits
        self._by_url = config.by_url

    def process(self, element: tuple[int, BandFile]) -> Iterator[tuple[int, bytes]]:
        """Rows as in `buckets`, split by the top bits of their key. A URL is one more band."""
        number, file = element
        table = read_parquet(file.bands, columns=[*_HALVES, "bands"])
        positions = positions_in(number, len(table))
        if file.verdicts is not None:
            kept = read_parquet(file.verdicts, columns=["kept"]).column("kept").combine_chunks()
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
        rows = unpacked(packed, columns=3)
        if partition >= self._num_partitions:
            pairs = exact_candidates(rows, first_new=self._first_new)
        else:
            pairs, num_hot = near_candidates(rows, max_bucket=self._max_bucket, first_new=self._first_new)
            yield TaggedOutput("hot", (*[0] * (len(COUNTS) - 1), num_hot))
        for number, own in by_file(pairs, column=1):
            yield number, own.tobytes()


class TakeSketches(beam.DoFn):
    """(file, candidates with their second document in it) to (file of the first, candidates and their sketches)."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Candidates met in several bands become one here."""
        number, packed = element
        pairs = unique_pairs(unpacked(packed, columns=2))
        table = read_parquet(self._paths[number], columns=_VERIFY_COLUMNS)
        for first_file, own in by_file(pairs, column=0):
            positions = np.unique(own[:, 1])
            sketches = table.take(rows_of(positions)).append_column("position", pa.array(positions))
            yield first_file, frame(_PAIRS, own.tobytes()) + frame(_SKETCHES, table_bytes(sketches))


class VerifyPairs(beam.DoFn):
    """(file, candidates with sketches) to a file of PAIRS and a tuple of COUNTS; undecided ones to `border`."""

    def __init__(self, files: list[BandFile], out: str, config: DedupConfig) -> None:
        self._files = files
        self._out = out
        self._config = config

    def process(
        self, element: tuple[int, Iterable[bytes]]
    ) -> Iterator[tuple[int, ...] | TaggedOutput[Literal["border"], tuple[int, bytes]]]:
        """Writes `part-<file number>.parquet`; nothing where no candidate holds."""
        number, packed = element
        contents = frames(packed)
        pairs = unique_pairs(unpacked(contents[_PAIRS], columns=2))
        ours = read_parquet(self._files[number].bands, columns=_VERIFY_COLUMNS)
        others = table_of(contents[_SKETCHES], ours.schema.append(pa.field("position", pa.uint64()))).sort_by(
            "position"
        )
        other_rows = np.searchsorted(others.column("position").to_numpy(), pairs[:, 1])
        compared = compare(ours, others, np.column_stack([rows_of(pairs[:, 0]), other_rows]), config=self._config)
        is_open = compared.is_open & (self._files[number].documents is not None)
        rows = np.column_stack([pairs, compared.keys, compared.is_url.astype(np.uint64)])[is_open]
        for second_file, own in by_file(rows, column=1):
            yield TaggedOutput("border", (second_file, own.tobytes()))
        yield _write_pairs(compared.chosen(~is_open), join(self._out, f"part-{number:05d}.parquet"), self._config)


class VerifyBorder(beam.DoFn):
    """(file, border pairs with shingles) to a file of PAIRS and a tuple of COUNTS."""

    def __init__(self, files: list[BandFile], out: str, config: DedupConfig) -> None:
        self._files = files
        self._out = out
        self._config = config

    def setup(self) -> None:
        """Makes the signer."""
        self._signer = Signer(self._config)

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, ...]]:
        """Writes `border-<file number>.parquet`; nothing where no pair holds."""
        number, packed = element
        rows, jaccard, containment = border_similarities(self._signer, str(self._files[number].documents), packed)
        never = np.zeros(len(rows), bool)
        compared = Compared(rows[:, 2:4], jaccard, containment, is_exact=never, is_url=rows[:, 4] == 1, is_open=never)
        counts = _write_pairs(compared, join(self._out, f"border-{number:05d}.parquet"), self._config)
        yield tuple(len(rows) if name == "border" else count for name, count in zip(COUNTS, counts, strict=True))


class WriteCounts(beam.DoFn):
    """(0, packed COUNTS) to their sum in `_counts.json`, which Parquet readers skip."""

    def __init__(self, out: str) -> None:
        self._out = out

    def process(self, element: tuple[int, Iterable[bytes]]) -> None:
        """Written last, once."""
        totals = np.sum([np.frombuffer(packed, np.int64) for packed in element[1]], axis=0).tolist()
        write_json(join(self._out, "_counts.json"), dict(zip(COUNTS, totals, strict=True)))


@dataclass(frozen=True)
class Compared:
    """What is known of some candidates: (n,) each."""

    keys: np.ndarray
    """(n, 2), uint64"""
    jaccard: np.ndarray
    containment: np.ndarray
    is_exact: np.ndarray
    is_url: np.ndarray
    """One URL, and that counts."""
    is_open: np.ndarray
    """Too near a bound for the sketches."""

    def chosen(self, rows: np.ndarray) -> "Compared":
        """Those in `rows`, (n,), bool."""
        return Compared(*(getattr(self, each.name)[rows] for each in fields(self)))


def compare(ours: pa.Table, others: pa.Table, rows: np.ndarray, *, config: DedupConfig) -> Compared:
    """Candidates `rows` (n, 2) between rows of two tables of bands, by their signatures and sketches.

    Only numbers are gathered for each candidate; sketches, a kilobyte each, are read where they stand.
    """
    jaccard, containment = similarities(Sketches.of(ours), Sketches.of(others), rows, sketch_size=config.sketch_size)
    names = ("key", *_HALVES, "num_shingles")
    one, other = (
        {name: table.column(name).to_numpy()[own] for name in names}
        for table, own in zip((ours, others), rows.T, strict=True)
    )
    is_exact = _same(one, other, "exact") | _same(one, other, "text")
    jaccard[is_exact] = containment[is_exact] = 1
    return Compared(
        keys=np.column_stack([one["key"], other["key"]]),
        jaccard=jaccard,
        containment=containment,
        is_exact=is_exact,
        is_url=config.by_url & _same(one, other, "url"),
        is_open=~is_exact & at_border(one["num_shingles"], other["num_shingles"], jaccard, config=config),
    )


def holding(compared: Compared, *, config: DedupConfig) -> pa.Table:
    """PAIRS, sorted, of those that are copies."""
    is_near = compared.jaccard >= config.threshold
    if config.containment is not None:
        is_near |= compared.containment >= config.containment
    holds = compared.is_exact | is_near | compared.is_url | (not config.verify)
    keys = np.sort(compared.keys, axis=1)
    columns = {
        "key_a": keys[:, 0],
        "key_b": keys[:, 1],
        "kind": np.select([compared.is_exact, is_near, compared.is_url], ["exact", "near", "url"], "near"),
        "jaccard": compared.jaccard.astype(np.float32),
        "containment": compared.containment.astype(np.float32),
    }
    table = pa.table({name: values[holds] for name, values in columns.items()}).cast(PAIRS)
    return table.sort_by([("key_a", "ascending"), ("key_b", "ascending")])


def _write_pairs(compared: Compared, path: str, config: DedupConfig) -> tuple[int, ...]:
    """Writes those that hold, if any, and counts in COUNTS; none is counted as border."""
    pairs = holding(compared, config=config)
    if len(pairs):
        write_parquet(path, pairs)
    kinds = Counter(pairs.column("kind").to_pylist())
    return (len(pairs), kinds["exact"], kinds["near"], kinds["url"], len(compared.keys) - len(pairs), 0, 0)


def _same(one: dict[str, np.ndarray], other: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Whether both documents of a candidate have that signature, and the same one: (candidates,), bool."""
    high, low = f"{name}_high", f"{name}_low"
    return np.asarray((one[high] == other[high]) & (one[low] == other[low]) & ((one[high] | one[low]) != 0))


def _key_bytes(paths: list[str], config: DedupConfig) -> int:
    """Size of the band keys that are shuffled."""
    num_bands, _ = banding(config)
    return sum(num_rows(path) for path in paths) * num_bands * _ROW_BYTES


def _shuffled_bytes(paths: list[str], config: DedupConfig) -> int:
    """Size of band keys and sketches, should most documents be near copies; nobody knows before they are joined."""
    sketches = sum(num_rows(path) for path in paths) * _CANDIDATES * _SKETCH_HASH_BYTES * config.sketch_size
    return _key_bytes(paths, config) + sketches


def partition_bits(payload_bytes: int, *, num_files: int) -> int:
    """log2 of the number of partitions: from the size of what is shuffled, never from the number of workers.

    No more than leave a file some rows for each: elements cost too.
    """
    by_partition = (payload_bytes // _PARTITION_BYTES).bit_length()
    by_slice = (payload_bytes // max(num_files, 1) // _MIN_SLICE_BYTES).bit_length()
    return min(by_partition, by_slice)


def _packed_counts(counts: tuple[int, ...]) -> tuple[int, bytes]:
    return 0, np.array(counts, np.int64).tobytes()
