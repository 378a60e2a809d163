"""Survivors of more pairs than one worker's memory holds: by connected component, with the same result.

A star never leaves the component of its centre, so survivors are chosen in each component for itself, by the very
function that `decide` otherwise calls once:

    pairs ─► rounds of star contraction (`dedup/components.py`) ─► label of every document in a pair
    pairs, labels and the ranks of all kept documents ─► by document ─► by component ─► survivors ─► by split

What a partition of components needs must fit in the memory of a worker, so one component too.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.components import (
    label_components,
    partitioned,
    partitions_of,
    read_edges,
    unpacked_edges,
)
from ctllm.pipelines.dedup.frames import frame, frames, table_bytes, table_of
from ctllm.pipelines.dedup.shuffle import Shuffle
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.judgement import duplicates_among, judge_split, rank_candidates, ranked_type, write_duplicates
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.spread import Spread
from ctllm.schemas.document import split_of
from ctllm.schemas.duplicates import DUPLICATES, PAIRS
from ctllm.schemas.files import list_files, read_parquet, remove_tree
from ctllm.schemas.progress import Progress, silent

PARTITION_BYTES = 16 << 20  # chosen: a partition is sorted in memory, several at once
PAIR_BYTES = 32  # an edge in both directions

_LABELS, _PAIRS, _RANKED = range(3)


def choose_by_component(
    run: Run, ranks: dict[int, int], *, num_pairs: int, options: RunnerOptions, progress: Progress = silent
) -> None:
    """Writes `duplicates/` of `run`; `ranks` is the source rank of each of its splits."""
    bits = (num_pairs * PAIR_BYTES // PARTITION_BYTES).bit_length()
    pairs = list_files(run.directory("pairs"), suffix=".parquet")
    scratch = run.directory("duplicates") + "/components"
    labels = label_components(pairs, scratch=scratch, bits=bits, options=options, progress=progress)
    mode = options.shuffle_of(num_pairs * PAIR_BYTES)
    job = partial(
        _job,
        run=run,
        ranks=ranks,
        files={"labels": labels, "pairs": pairs},
        bits=bits,
        grouped=partial(Shuffle, mode, scratch + "/shuffle"),
    )
    run_job("survivors", job, options=options, progress=progress)
    remove_tree(scratch)


def _job(
    pipeline: beam.Pipeline,
    *,
    run: Run,
    ranks: dict[int, int],
    files: dict[str, Sequence[str]],
    bits: int,
    grouped: partial[Shuffle],
) -> None:
    readers = {"labels": ReadLabels(bits), "pairs": ReadPairs(bits)}
    rows = [
        pipeline
        | f"Files of {name}" >> Spread(paths)
        | f"Read {name}" >> beam.ParDo(readers[name]).with_output_types(tuple[int, bytes])
        for name, paths in files.items()
    ]
    ranked = (
        pipeline
        | "Splits" >> Spread(ranks)
        | "Rank kept documents" >> beam.ParDo(RankKept(run, ranks, bits)).with_output_types(tuple[int, bytes])
    )
    _ = (
        [*rows, ranked]
        | "By document" >> beam.Flatten()
        | "Labels, pairs and ranks of a document" >> grouped()
        | "Label" >> beam.ParDo(LabelRows(run, bits)).with_output_types(tuple[int, bytes])
        | "Components" >> grouped()
        | "Choose survivors" >> beam.ParDo(ChooseInComponents(run)).with_output_types(tuple[int, bytes])
        | "Duplicates of a split" >> grouped()
        | "Write duplicates" >> beam.ParDo(WriteDuplicates(run))
    )


class ReadLabels(beam.DoFn):
    """Path of LABELS to (partition, frames of (node, label)): of every node, the smallest of a component too."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def process(self, path: str) -> Iterator[tuple[int, bytes]]:
        """One file."""
        labels = read_edges(path)
        smallest = np.unique(labels[:, 1])
        rows = np.concatenate([labels, np.column_stack([smallest, smallest])])
        for partition, packed in partitioned(rows, rows[:, 0], bits=self._bits):
            yield partition, frame(_LABELS, packed)


class ReadPairs(beam.DoFn):
    """Path of PAIRS to (partition of the first document, frame of pairs)."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def process(self, path: str) -> Iterator[tuple[int, bytes]]:
        """One file."""
        pairs = read_parquet(path)
        yield from _frames_of(pairs, partitions_of(pairs["key_a"].to_numpy(), bits=self._bits))


class RankKept(beam.DoFn):
    """Split to (partition, frame of RANKED) of its documents that the rules keep."""

    def __init__(self, run: Run, ranks: dict[int, int], bits: int) -> None:
        self.run, self.ranks, self._bits = run, ranks, bits

    def process(self, split: int) -> Iterator[tuple[int, bytes]]:
        """One split."""
        rows = rank_candidates(judge_split(self.run, split), candidates=None, source_rank=self.ranks[split])
        for partition, packed in partitioned(rows, rows["key"], bits=self._bits):
            yield partition, frame(_RANKED, packed)


class LabelRows(beam.DoFn):
    """(partition of documents, frames) to (partition of components, frames of pairs and ranks)."""

    def __init__(self, run: Run, bits: int) -> None:
        self._bits = bits
        self._ranked = ranked_type(run.config.dedup.survivor_order)

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Ranks of documents in no pair end here."""
        contents = frames(element[1])
        labels = unpacked_edges(contents[_LABELS])
        labels = labels[np.argsort(labels[:, 0])]
        pairs = table_of(contents[_PAIRS], PAIRS)
        at = np.searchsorted(labels[:, 0], pairs["key_a"].to_numpy())
        yield from _frames_of(pairs, partitions_of(labels[at, 1], bits=self._bits))
        ranked = np.frombuffer(b"".join(contents[_RANKED]), self._ranked)
        ranked = ranked[np.isin(ranked["key"], labels[:, 0])]
        of_component = labels[np.searchsorted(labels[:, 0], ranked["key"]), 1]
        for partition, packed in partitioned(ranked, of_component, bits=self._bits):
            yield partition, frame(_RANKED, packed)


class ChooseInComponents(beam.DoFn):
    """(partition of components, frames) to (split, DUPLICATES of its documents)."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """Chooses one survivor per star."""
        contents = frames(element[1])
        ranked = np.frombuffer(b"".join(contents[_RANKED]), ranked_type(self.run.config.dedup.survivor_order))
        duplicates = duplicates_among(table_of(contents[_PAIRS], PAIRS), ranked, config=self.run.config)
        yield from _frames_of(duplicates, split_of(duplicates["key"].to_numpy()))


class WriteDuplicates(beam.DoFn):
    """(split, frames of DUPLICATES) to its file of `duplicates/`."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        """One split."""
        split, packed = element
        write_duplicates(self.run, table_of(frames(packed)[_PAIRS], DUPLICATES).sort_by("key"))
        yield split


def _frames_of(table: pa.Table, numbers: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """(number, frame) of the rows with each number."""
    for number in np.unique(numbers).tolist():
        yield int(number), frame(_PAIRS, table_bytes(table.filter(pa.array(numbers == number))))
