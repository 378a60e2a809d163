"""Bringing packed rows of one partition together: in the runner's GroupByKey, or through files that bound the memory.

Beam's local runner holds 3 to 7 times what it groups in memory. With files only the places of slices are grouped: each
worker gathers rows, writes them ordered by partition, and a partition is read when its turn comes. What arrives is the
same in both, in no order that means anything.
"""

import struct
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Literal

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from ctllm.schemas.files import filesystem_of, join

Mode = Literal["gbk", "files"]
FILE_BYTES = 32 << 20  # chosen: a worker holds as much before it writes, so slices of 1,000 partitions are 32 KiB

_PLACE = struct.Struct("<qq")


class Shuffle(beam.PTransform):
    """(partition, bytes) to (partition, all bytes of that partition); `scratch` takes the files and is not emptied."""

    def __init__(self, mode: Mode, scratch: str) -> None:
        super().__init__()
        self._mode = mode
        self._scratch = scratch

    def expand(self, rows: beam.PCollection) -> beam.PCollection:
        """Groups by partition."""
        if self._mode == "gbk":
            return rows | "Group" >> beam.GroupByKey()
        slices = rows | "Write slices" >> beam.ParDo(WriteSlices(self._scratch)).with_output_types(tuple[int, bytes])
        return slices | "Group slices" >> beam.GroupByKey() | "Read slices" >> beam.ParDo(ReadSlices())


class WriteSlices(beam.DoFn):
    """(partition, bytes) to (partition, place of a slice), gathered over many elements, one file of FILE_BYTES each."""

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch

    def start_bundle(self) -> None:
        """Begins with nothing gathered."""
        self._gathered: defaultdict[int, list[bytes]] = defaultdict(list)
        self._num_bytes = 0

    def process(self, element: tuple[int, bytes]) -> Iterable[tuple[int, bytes]]:
        """Gathers, and writes what is enough for a file."""
        partition, rows = element
        self._gathered[partition].append(rows)
        self._num_bytes += len(rows)
        return self._written() if self._num_bytes >= FILE_BYTES else ()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Writes the rest."""
        window = GlobalWindow()
        for place in self._written():
            yield WindowedValue(place, window.max_timestamp(), [window])

    def _written(self) -> list[tuple[int, bytes]]:
        """Places of all that was gathered, once it is written. A retried bundle writes another file."""
        if not self._gathered:
            return []
        path = join(self._scratch, uuid.uuid4().hex)
        fs, name = filesystem_of(path)
        fs.makedirs(name.rpartition("/")[0], exist_ok=True)
        places = []
        with fs.open(name, "wb") as file:
            start = 0
            for partition, parts in sorted(self._gathered.items()):
                size = sum(map(file.write, parts))
                places.append((partition, _PLACE.pack(start, size) + path.encode()))
                start += size
        self.start_bundle()
        return places


class ReadSlices(beam.DoFn):
    """(partition, places) to (partition, the bytes there)."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[tuple[int, list[bytes]]]:
        """One partition in memory at a time."""
        partition, places = element
        yield partition, [_read(place) for place in places]


def _read(place: bytes) -> bytes:
    start, size = _PLACE.unpack_from(place)
    fs, name = filesystem_of(place[_PLACE.size :].decode())
    return bytes(fs.read_block(name, start, size))
