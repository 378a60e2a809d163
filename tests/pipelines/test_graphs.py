"""What a service would be given: the graphs of all jobs of a curation, looked at offline."""

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import translations
from apache_beam.transforms import environments

from ctllm.pipelines import spread
from ctllm.pipelines.curate import curate
from ctllm.pipelines.measure import MeasureSplit
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import read_run
from ctllm.pipelines.spread import Spread
from ctllm.schemas.curation_config import CurationConfig
from tests.pipelines.conftest import prose, write_records

IMAGE = "registry.example/ctllm/beam-worker:1"
STANDARD = {"varint", "bytes"}
Graph = beam_runner_api_pb2.Pipeline


def graphs_of(directory: Path, *, num_inputs: int) -> list[Graph]:
    """The graphs of all jobs of a curation of so many files, as for Dataflow: lists in files, workers of an image."""
    for index in range(num_inputs):
        record = {"id": str(index), "text": prose(index % 12) + f"第{index}篇。", "url": f"https://a{index}.example/"}
        write_records(directory / "inputs" / f"{index:05d}.jsonl", [record])
    found: list[Graph] = []
    run_pipeline = beam.Pipeline.run

    def run(pipeline: beam.Pipeline, *arguments: Any, **named: Any) -> Any:
        image = environments.DockerEnvironment.from_container_image(IMAGE)
        found.append(pipeline.to_runner_api(default_environment=image))
        return run_pipeline(pipeline, *arguments, **named)

    options = RunnerOptions(workers=1, beam_args=(f"--temp_location={directory / 'temp'}",))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(beam.Pipeline, "run", run)
        curate(CurationConfig(), inputs=[str(directory / "inputs")], out=str(directory / "run"), options=options)
    return found


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> list[Graph]:
    """The graphs for four files."""
    return graphs_of(tmp_path_factory.mktemp("few"), num_inputs=4)


def shuffles(graph: Graph) -> Iterator[tuple[str, str, str]]:
    """Label, coder of the key and coder of the value of everything that is grouped; coders by their last name."""
    parts = graph.components
    for transform in parts.transforms.values():
        if transform.spec.urn == common_urns.primitives.GROUP_BY_KEY.urn:
            (grouped,) = transform.inputs.values()
            key, value = parts.coders[parts.pcollections[grouped].coder_id].component_coder_ids
            if "ReshufflePerKey" in transform.unique_name:  # Beam wraps the element with its time and pane
                value = parts.coders[value].component_coder_ids[0]
            names = (parts.coders[each].spec.urn.split(":")[-2] for each in (key, value))
            yield transform.unique_name, *names


def test_nothing_pickled_is_shuffled(few: list[Graph]) -> None:
    """Keys and values on every shuffle are numbers and bytes, which any runner sorts and compares alike."""
    grouped = [shuffle for graph in few for shuffle in shuffles(graph)]
    assert len(grouped) == 15
    assert [shuffle for shuffle in grouped if not set(shuffle[1:]) <= STANDARD] == []


def test_all_steps_run_in_the_image_that_is_asked_for(few: list[Graph]) -> None:
    """No step would run in Beam's default image, where this package is not."""
    for graph in few:
        used = {each.environment_id for each in graph.components.transforms.values() if each.environment_id}
        images = {
            beam_runner_api_pb2.DockerPayload.FromString(graph.components.environments[name].payload).container_image
            for name in used
        }
        assert images == {IMAGE}


def test_graphs_do_not_grow_with_the_number_of_inputs(few: list[Graph], tmp_path: Path) -> None:
    """Forty files instead of four: at most 40 bytes a file, so far below a megabyte for ten thousand."""
    many = graphs_of(tmp_path, num_inputs=40)
    sizes = [(small.ByteSize(), large.ByteSize()) for small, large in zip(few, many, strict=True)]
    assert max(small for small, _ in sizes) < 60_000
    assert max(large - small for small, large in sizes) < 36 * 40


def test_stages_are_fused_as_intended(few: list[Graph]) -> None:
    """Between two shuffles there is one stage of a worker: a text never leaves the stage that read it."""
    phases = [translations.expand_gbk, translations.sink_flattens, translations.greedily_fuse]
    stages = [
        translations.create_and_optimize_stages(graph, phases=phases, known_runner_urns=frozenset())[1] for graph in few
    ]
    assert list(map(len, stages)) == [2, 10, 5, 3, 2, 2]  # measure, pairs, lines, survivors, verdicts, publish
    named = [[transform.unique_name.split("/")[-1] for transform in stage.transforms] for stage in stages[0]]
    assert [names[-2:] for names in named if "Measure" in names] == [["Look up", "Measure"]]


@pytest.mark.skipif(
    find_spec("apitools") is None and not os.environ.get("CTLLM_REQUIRE_GCP"),
    reason="the extra `gcp` is not installed, whose runner this asks (docs/scale.md)",
)
def test_dataflow_accepts_the_graph_in_a_dry_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's own Dataflow runner validates options and graph without credentials, network or submission."""
    (tmp_path / "in.jsonl").write_text(json.dumps({"text": prose(0)}) + "\n", encoding="utf-8")
    out = str(tmp_path / "run")
    curate(CurationConfig(), inputs=[str(tmp_path)], out=out, options=RunnerOptions(workers=1))
    flags = ("--dry_run=True", "--project=my-project", "--region=us-central1", "--staging_location=gs://bucket/s")
    options = RunnerOptions("dataflow", 4, (*flags, f"--sdk_container_image={IMAGE}", "--temp_location=gs://bucket/t"))
    monkeypatch.setattr(spread, "_written", lambda *_: "gs://bucket/t/list.pickle")  # there is no bucket
    pipeline = beam.Pipeline(options=options.pipeline_options())
    _ = pipeline | "Splits" >> Spread(range(10)) | "Measure" >> beam.ParDo(MeasureSplit(read_run(out)))
    graph = pipeline.run().job.proto_pipeline
    images = {each.urn for each in graph.components.environments.values()}
    assert images == {common_urns.environments.DOCKER.urn}
    assert IMAGE in str(graph.components.environments)
    assert [shuffle for shuffle in shuffles(graph) if not set(shuffle[1:]) <= STANDARD] == []
