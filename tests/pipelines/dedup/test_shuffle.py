"""Rows of a partition meet, in the runner's memory or in files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import apache_beam as beam
import pytest

from ctllm.pipelines.dedup import shuffle
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.files import write_json


def _write_group(element: tuple[int, Iterable[bytes]], *, out: str) -> None:
    partition, parts = element
    counts = sorted(byte for part in parts for byte in part)
    write_json(f"{out}/{partition}.json", counts)


def _rows_of(number: int) -> Iterable[tuple[int, bytes]]:
    """Bytes `number` in all its multiples below 12, twice; the largest partition gets most."""
    for _ in range(2):
        for partition in range(0, 12, number):
            yield partition, bytes([number]) * (partition + 1)


@pytest.mark.parametrize(("mode", "file_bytes"), [("gbk", 1), ("files", 1), ("files", 40), ("files", 1 << 20)])
def test_every_byte_arrives_once_in_its_partition(
    mode: Literal["gbk", "files"], file_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is gathered into a file: an element, some of several partitions, or all of a worker."""
    monkeypatch.setattr(shuffle, "FILE_BYTES", file_bytes)
    scratch, out = str(tmp_path / "scratch"), str(tmp_path / "out")
    run_job(
        "shuffle",
        lambda pipeline: (
            pipeline
            | beam.Create([1, 2, 3, 5])
            | beam.FlatMap(_rows_of).with_output_types(tuple[int, bytes])
            | shuffle.Shuffle(mode, scratch)
            | beam.Map(_write_group, out=out)
        ),
        options=RunnerOptions(workers=2),
    )
    found = {path.stem: path.read_text().split() for path in (tmp_path / "out").iterdir()}
    for partition in range(12):
        expected = [number for number in (1, 2, 3, 5) if partition % number == 0 for _ in range(2 * (partition + 1))]
        assert [int(each.strip("[],")) for each in found[str(partition)] if each.strip("[],")] == expected
    files = list((tmp_path / "scratch").glob("*"))
    assert len(files) == 0 if mode == "gbk" else len(files) >= 1
    if mode == "files" and file_bytes == 1:
        assert len(files) == 50  # one for each element
