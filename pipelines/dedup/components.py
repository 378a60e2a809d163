"""Connected components of more pairs than memory holds: rounds of star contraction as Beam jobs.

Kiveris et al. 2014, "Connected Components in MapReduce and Beyond", algorithm alternating: a round links the larger
neighbours of every node to its smallest one (large star), then the smaller ones and the node itself (small star). The
rounds end when the set of edges stays the same; then every edge leads from a node to the smallest of its component.
Edges are pairs (larger node, smaller node), packed in files by partition of the larger one.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa

from ctllm.pipelines.dedup.buckets import unique_pairs
from ctllm.pipelines.dedup.shuffle import Shuffle
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.files import join, list_files, read_json, read_parquet, remove_tree, write_json, write_parquet
from ctllm.schemas.progress import Progress, silent

LABELS = pa.schema(
    [
        pa.field("node", pa.uint64(), nullable=False),
        pa.field("label", pa.uint64(), nullable=False, metadata={"meaning": "the smallest node of its component"}),
    ]
)

_PARTITION_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # Fibonacci hashing: neighbouring keys go to different partitions


def label_components(
    edge_files: Sequence[str], *, scratch: str, bits: int, options: RunnerOptions, progress: Progress = silent
) -> list[str]:
    """Files of LABELS below `scratch`: each node that is not the smallest of its component, once.

    The first two columns of `edge_files` are edges, in any direction; `bits` is log2 of the number of partitions. What
    the files hold depends on neither, nor on workers and runner.
    """
    files, known, number = list(edge_files), -1, 0
    while True:
        out = join(scratch, f"round-{number}")
        remove_tree(out)
        _run_round(files, out=out, bits=bits, options=options, progress=progress)
        edges = list_files(out, suffix=".parquet")
        fingerprint = sum(read_json(each) for each in list_files(out, suffix=".json")) % 2**64
        if number:
            remove_tree(join(scratch, f"round-{number - 1}"))
        if fingerprint == known:
            return edges
        files, known, number = edges, fingerprint, number + 1


def large_star(edges: np.ndarray) -> np.ndarray:
    """From all edges (node, neighbour) of some nodes, both directions: (larger neighbour, smallest), distinct."""
    nodes, neighbours = _by_node(edges)
    smallest = np.minimum(_smallest(nodes, neighbours), nodes)
    return unique_pairs(np.column_stack([neighbours, smallest])[neighbours > nodes])


def small_star(edges: np.ndarray) -> np.ndarray:
    """From all edges (node, smaller neighbour) of some nodes: neighbours and node, each with the smallest, distinct."""
    nodes, neighbours = _by_node(edges)
    smallest = _smallest(nodes, neighbours)
    linked = np.concatenate([np.column_stack([neighbours, smallest]), np.column_stack([nodes, smallest])])
    return unique_pairs(linked[linked[:, 0] != linked[:, 1]])


def partitions_of(nodes: np.ndarray, *, bits: int) -> np.ndarray:
    """The partition of each node: uint64 below 2^bits."""
    return np.asarray((nodes * _PARTITION_FACTOR >> np.uint64(1)) >> np.uint64(63 - bits))


def partitioned(rows: np.ndarray, nodes: np.ndarray, *, bits: int) -> Iterator[tuple[int, bytes]]:
    """(partition, packed rows) of the rows whose node falls into it."""
    partitions = partitions_of(nodes, bits=bits)
    for partition in np.unique(partitions).tolist():
        yield partition, rows[partitions == partition].tobytes()


def unpacked_edges(packed: Iterable[bytes | memoryview]) -> np.ndarray:
    """(n, 2), uint64."""
    return np.frombuffer(b"".join(packed), np.uint64).reshape(-1, 2)


def _run_round(files: Sequence[str], *, out: str, bits: int, options: RunnerOptions, progress: Progress) -> None:
    num_rows = sum(read_parquet(path, columns=[]).num_rows for path in files)
    mode = options.shuffle_of(num_rows * 32)
    grouped: Callable[[], Shuffle] = lambda: Shuffle(mode, join(out, "shuffle"))  # noqa: E731
    run_job(
        "components",
        lambda pipeline: (
            pipeline
            | "Edge files" >> Spread(files)
            | "Both directions" >> beam.ParDo(ReadEdges(bits)).with_output_types(tuple[int, bytes])
            | "Neighbours" >> grouped()
            | "Large star" >> beam.ParDo(LargeStar(bits)).with_output_types(tuple[int, bytes])
            | "Smaller neighbours" >> grouped()
            | "Small star" >> beam.ParDo(SmallStar(out))
        ),
        options=options,
        watch=out,
        progress=progress,
    )
    remove_tree(join(out, "shuffle"))


class ReadEdges(beam.DoFn):
    """Path to (partition of the first node, edges), every edge in both directions; loops are left out."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def process(self, path: str) -> Iterator[tuple[int, bytes]]:
        """One file."""
        edges = read_edges(path)
        both = np.concatenate([edges, edges[:, ::-1]])
        both = both[both[:, 0] != both[:, 1]]
        yield from partitioned(both, both[:, 0], bits=self._bits)


class LargeStar(beam.DoFn):
    """(partition, edges of its nodes) to (partition of the larger node, edges)."""

    def __init__(self, bits: int) -> None:
        self._bits = bits

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, bytes]]:
        """One partition."""
        linked = large_star(unpacked_edges(element[1]))
        yield from partitioned(linked, linked[:, 0], bits=self._bits)


class SmallStar(beam.DoFn):
    """(partition, edges to smaller nodes) to a file of LABELS and one of their fingerprint."""

    def __init__(self, out: str) -> None:
        self._out = out

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[int]:
        """One partition. Edges are written where they arise, so before the last round one may be in several files."""
        partition, packed = element
        linked = small_star(unpacked_edges(packed))
        table = pa.table([pa.array(linked[:, 0]), pa.array(linked[:, 1])], schema=LABELS)
        write_parquet(join(self._out, f"part-{partition:05d}.parquet"), table, level=1)
        write_json(join(self._out, f"part-{partition:05d}.json"), fingerprint_of(linked))
        yield partition


def read_edges(path: str) -> np.ndarray:
    """The first two columns of a file: (n, 2), uint64."""
    table = read_parquet(path)
    return np.column_stack([table.column(number).to_numpy() for number in (0, 1)]).astype(np.uint64, copy=False)


def fingerprint_of(edges: np.ndarray) -> int:
    """A sum of mixed edges, so that it depends on no order: below 2^64, different for different sets but by chance."""
    mixed = (edges[:, 0] * np.uint64(0xD6E8FEB86659FD93)) ^ (edges[:, 1] + np.uint64(0x243F6A8885A308D3))
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):  # MurmurHash3 fmix64
        mixed = (mixed ^ (mixed >> np.uint64(33))) * np.uint64(factor)
    return int((mixed ^ (mixed >> np.uint64(33))).sum(dtype=np.uint64))


def _by_node(edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    ordered = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
    return ordered[:, 0], ordered[:, 1]


def _smallest(nodes: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """The smallest neighbour of each row's node; both ordered by node, then neighbour."""
    is_first = np.ones(len(nodes), bool)
    is_first[1:] = nodes[1:] != nodes[:-1]
    return np.asarray(neighbours[is_first][np.cumsum(is_first) - 1])
