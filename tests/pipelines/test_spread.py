"""Lists of work, dealt out to workers."""

from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to

from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread


def options(*flags: str) -> PipelineOptions:
    """The direct runner's, and these."""
    return RunnerOptions(workers=1, beam_args=flags).pipeline_options()


@pytest.mark.parametrize("number", [0, 1, 300])
@pytest.mark.parametrize("has_location", [True, False])
def test_every_item_arrives_once(tmp_path: Path, number: int, has_location: bool) -> None:
    """From the transform or from a file at `--temp_location`, for no item too."""
    items = [("part", index) for index in range(number)]
    with beam.Pipeline(options=options(*[f"--temp_location={tmp_path}"] * has_location)) as pipeline:
        assert_that(pipeline | "Items" >> Spread(items), equal_to(items))
    assert len(list(tmp_path.rglob("*.pickle"))) == has_location


def test_the_graph_does_not_grow_with_the_list(tmp_path: Path) -> None:
    """100 or 10,000 incompressible items: the same size, give or take the digits of their number."""

    def graph_bytes(number: int) -> int:
        pipeline = beam.Pipeline(options=options(f"--temp_location={tmp_path}"))
        _ = pipeline | "Items" >> Spread(f"{hash(index) ** 9 % 2**61}" for index in range(number))
        return len(pipeline.to_runner_api().SerializeToString())

    assert abs(graph_bytes(10_000) - graph_bytes(100)) < 100
