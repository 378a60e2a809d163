"""A list of work dealt out to all workers, by a graph whose size does not depend on the length of the list."""

import hashlib
import pickle
from collections.abc import Iterable, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions

from ctllm.schemas.files import exists, filesystem_of, join, written_whole


class Spread(beam.PTransform):
    """Each of `items` once, on whatever worker is free.

    Only numbers are shuffled: without a shuffle elements stay on one worker. With `--temp_location` (Dataflow)
    workers read the list from a file there, for the service refuses large graphs; else it travels with the transform.
    """

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__()
        self.items = list(items)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Any]:
        """Writes the list where it belongs and adds the steps: Create and Reshuffle would be six more."""
        location = begin.pipeline.options.view_as(GoogleCloudOptions).temp_location
        source = _written(self.items, location) if location else self.items
        return (
            begin
            | "Begin" >> beam.Impulse()
            | "Number" >> beam.FlatMap(_numbers, len(self.items)).with_output_types(tuple[int, bytes])
            | "Deal out" >> beam.GroupByKey()
            | "Look up" >> beam.ParDo(LookUp(source))
        )


class LookUp(beam.DoFn):
    """Grouped number → the item of that number, of a list or of the file that holds it."""

    def __init__(self, source: Sequence[Any] | str) -> None:
        self.source = source

    def setup(self) -> None:
        """Reads the list."""
        self.items = _read(self.source) if isinstance(self.source, str) else self.source

    def process(self, numbered: tuple[int, Iterable[bytes]]) -> Iterable[Any]:
        """Looks one up."""
        yield self.items[numbered[0]]


def _numbers(_: bytes, count: int) -> list[tuple[int, bytes]]:
    return [(number, b"") for number in range(count)]


def _written(items: list[Any], location: str) -> str:
    content = pickle.dumps(items)
    path = join(location, "ctllm", f"{hashlib.sha256(content).hexdigest()[:32]}.pickle")
    if not exists(path):
        with written_whole(path) as file:
            file.write(content)
    return path


def _read(path: str) -> list[Any]:
    filesystem, name = filesystem_of(path)
    with filesystem.open(name, "rb") as file:
        return list(pickle.load(file))
