"""The flex template: what it asks for, the job it builds, and that this job is the curation."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import pytest
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.portability import common_urns
from apache_beam.portability.api import beam_runner_api_pb2

from ctllm.examples.corpus.build import build_corpus
from ctllm.pipelines import flex_template
from ctllm.pipelines.conductor import Conduct
from ctllm.pipelines.curate import curate
from ctllm.pipelines.flex_template import build, parameters
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.config import read_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.processes import session_members
from tests.pipelines.test_runners import without_report

ROOT = Path(__file__).resolve().parents[2]
METADATA = json.loads((ROOT / "docker" / "flex-template.json").read_text(encoding="utf-8"))
CONFIG = "configs/curation/demo.yaml"
IMAGE = "registry.example/ctllm/flex-template:1"
GIVEN = ["--inputs=gs://my-bucket/wet/*.gz", "--out=gs://my-bucket/runs/a", f"--sdk_container_image={IMAGE}"]
LAUNCHERS = [
    "--project=my-project",
    "--region=europe-west4",
    "--job_name=curation-a",
    "--temp_location=gs://my-bucket/tmp",
    "--staging_location=gs://my-bucket/staging",
    "--service_account_email=worker@my-project.iam.gserviceaccount.com",
    "--subnetwork=regions/europe-west4/subnetworks/inner",
    "--no_use_public_ips",
]
"""What Google's launcher adds to the parameters."""


def asked_for() -> dict[str, argparse.Action]:
    """The program's parameters by name."""
    return {action.dest: action for action in parameters()._actions if action.dest != "help"}


def test_the_metadata_describes_the_parameters_of_the_program() -> None:
    """The same names, required alike, and a default is told to whoever fills in the form."""
    described = {each["name"]: each for each in METADATA["parameters"]}
    assert {name: not each["isOptional"] for name, each in described.items()} == {
        name: action.required for name, action in asked_for().items()
    }
    for name, action in asked_for().items():
        assert set(described[name]) == {"name", "label", "helpText", "isOptional", "regexes"}
        if not action.required:
            assert described[name]["helpText"].endswith(f"Default: {action.default or 'none'}")
            assert re.fullmatch(*described[name]["regexes"], action.default)
    for name, value in (each[2:].split("=", 1) for each in GIVEN):
        assert re.fullmatch(*described[name]["regexes"], value)
    assert not re.fullmatch(*described["out"]["regexes"], "runs/a")


def conducted(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[str, list[str], dict[str, Any]]:
    """Config and further arguments of the command in the job for these, and the options of the job itself."""
    seen: list[tuple[str, list[str]]] = []

    class Noted(Conduct):
        def __init__(self, config: str, arguments: list[str]) -> None:
            seen.append((config, arguments))
            super().__init__(config, arguments)

    monkeypatch.setattr(flex_template, "Conduct", Noted)
    pipeline = build([*GIVEN, "--runner=FnApiRunner", *arguments])
    ((config, command),) = seen
    return config, command, pipeline.options.get_all_options()


def test_the_job_is_one_small_worker_whatever_the_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """A default of the launcher for other templates does not make it two."""
    *_, options = conducted(monkeypatch, *LAUNCHERS, "--num_workers=5", "--max_num_workers=9")
    found = {name: options[name] for name in ("num_workers", "max_num_workers", "machine_type", "sdk_container_image")}
    assert found == {
        "num_workers": 1,
        "max_num_workers": 1,
        "machine_type": "e2-standard-2",
        "sdk_container_image": IMAGE,
    }
    *_, options = conducted(monkeypatch, "--machine_type=n2-standard-4")
    assert options["machine_type"] == "n2-standard-4"


def test_the_curations_jobs_have_place_account_and_image_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not its name, machine and size; and what is given for them counts more."""
    config, command, _ = conducted(
        monkeypatch,
        *LAUNCHERS,
        "--inputs=gs://my-bucket/a gs://my-bucket/b*",
        "--curate_options=--set 'sources.text_field=my text' --workers 50",
        "--beam_options=@configs/dataflow/recommended.txt --region=us-east1",
    )
    assert config == "configs/curation/recommended.yaml"
    divide = command.index("--")
    assert command[:divide] == [
        *("--input", "gs://my-bucket/a", "--input", "gs://my-bucket/b*"),
        *("--out", "gs://my-bucket/runs/a", "--runner", "dataflow"),
        *("--set", "sources.text_field=my text", "--workers", "50"),
    ]
    values = RunnerOptions("dataflow", 50, tuple(command[divide + 1 :])).pipeline_options().get_all_options()
    expected = {
        "project": "my-project",
        "region": "us-east1",
        "temp_location": "gs://my-bucket/tmp",
        "staging_location": "gs://my-bucket/staging",
        "sdk_container_image": IMAGE,
        "service_account_email": "worker@my-project.iam.gserviceaccount.com",
        "subnetwork": "regions/europe-west4/subnetworks/inner",
        "use_public_ips": False,
        "job_name": None,
        "num_workers": 50,
        "max_num_workers": 200,
        "machine_type": "n2-standard-8",
    }
    assert {name: values[name] for name in expected} == expected


def test_an_option_that_beam_does_not_know_ends_the_launch() -> None:
    """And not the fourth try of a worker."""
    with pytest.raises(ConfigError, match="--max_workers: Beam has no such option"):
        build([*GIVEN, "--beam_options=--max_workers=3"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example corpus."""
    folder = tmp_path_factory.mktemp("template") / "corpus"
    build_corpus(folder)
    return folder


@pytest.fixture(scope="module")
def plain(corpus: Path) -> Path:
    """Its curation without a template."""
    out = corpus.parent / "plain"
    config = read_config(ROOT / CONFIG, CurationConfig)
    curate(config, inputs=[str(corpus)], out=str(out), options=RunnerOptions(workers=2))
    return out


def launched(corpus: Path, out: Path, *arguments: str) -> subprocess.Popen[str]:
    """The main program on Beam's local runner; the curation's jobs run locally too."""
    local = ["--runner=FnApiRunner", "--curate_options=--runner direct --workers 2"]
    parts = [f"--inputs={corpus}", f"--out={out}", f"--sdk_container_image={IMAGE}", f"--config={CONFIG}", *local]
    command = [sys.executable, "-m", "ctllm.pipelines.flex_template", *parts, *arguments]
    log = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, text=True, start_new_session=True)


def test_the_job_writes_the_bytes_of_the_command(corpus: Path, plain: Path, tmp_path: Path) -> None:
    """Every file of the run but times, and what the command says stands in the log."""
    program = launched(corpus, tmp_path / "run")
    log, _ = program.communicate()
    assert program.returncode == 0, log
    assert without_report(tmp_path / "run") == without_report(plain)
    assert 'INFO:ctllm.pipelines.conductor:{"stage": "measure"' in log
    assert "read 370 = kept" in log


def test_a_curation_that_fails_is_told_in_its_own_sentence(corpus: Path, tmp_path: Path) -> None:
    """The job's error holds it, whatever Beam wraps around."""
    config = f"configs/{'none' * 40}.yaml"
    log, _ = launched(corpus, tmp_path / "run", f"--config={config}").communicate()
    sentence = f"{config}: cannot read the config (No such file or directory); check the path"
    assert f"StageError: `ctllm curate` ended with exit code 2: {sentence} [while running 'Curate" in log


@pytest.mark.slow  # its twin: test_conductor.py, a worker that is killed
def test_a_launch_after_a_kill_continues(corpus: Path, plain: Path, tmp_path: Path) -> None:
    """The worker is a process of its own here and is killed after the first stage: no second `measure`."""
    run = tmp_path / "run"
    killed = launched(corpus, run, "--direct_running_mode=multi_processing")
    try:
        wait_for((run / "documents" / "_SUCCESS").exists)
        (command,) = processes(killed.pid, of="ctllm.cli.main")
        worker = int(re.findall(r"^PPid:\s(\d+)$", Path(f"/proc/{command}/status").read_text(), re.MULTILINE)[0])
        assert worker in processes(killed.pid, of="sdk_worker_main")
        os.kill(worker, signal.SIGKILL)
        wait_for(lambda: not processes(killed.pid, of="ctllm.cli.main"))
    finally:
        os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert not (run / "curated" / "_SUCCESS").exists()
    program = launched(corpus, run)
    log, _ = program.communicate()
    assert program.returncode == 0, log
    assert "already finished: measure" in log
    assert without_report(run) == without_report(plain)


def processes(leader: int, *, of: str) -> list[int]:
    """The processes of a session whose command line holds `of`."""
    lines = {pid: Path(f"/proc/{pid}/cmdline") for pid in session_members(leader)}
    return [pid for pid, path in lines.items() if path.exists() and of in path.read_text(encoding="utf-8")]


def wait_for(condition: Callable[[], bool]) -> None:
    """Returns as soon as it holds. Raises AssertionError after a minute."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(
    find_spec("apitools") is None and not os.environ.get("CTLLM_REQUIRE_GCP"),
    reason="the extra `gcp` is not installed, whose runner this asks (docs/scale.md)",
)
def test_dataflow_writes_the_job_where_the_launcher_looks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One small graph in our image; nothing is submitted, no credentials are looked for, nothing but it is staged."""
    from apache_beam.runners.dataflow.internal.apiclient import DataflowApplicationClient

    staged: dict[str, bytes] = {}
    stage_file = DataflowApplicationClient.stage_file

    def stage(client: Any, folder: str, name: str, stream: IO[bytes], *others: Any) -> None:
        if folder.startswith("gs://"):  # there is no bucket
            staged[name] = stream.read()
        else:
            stage_file(client, folder, name, stream, *others)

    monkeypatch.setattr(DataflowApplicationClient, "stage_file", stage)
    monkeypatch.setattr(GoogleCloudOptions, "_warn_if_soft_delete_policy_enabled", lambda *_: None)  # asks the bucket
    job_file = tmp_path / "job_object"
    flags = [*GIVEN, *LAUNCHERS, "--runner=DataflowRunner", "--no_auth", f"--template_location={job_file}"]
    monkeypatch.setattr(sys, "argv", ["main.py", *flags])
    flex_template.main()

    job = json.loads(job_file.read_text(encoding="utf-8"))
    (pool,) = job["environment"]["workerPools"]
    assert job["name"] == "curation-a"
    assert (pool["numWorkers"], pool["machineType"], pool["workerHarnessContainerImage"]) == (1, "e2-standard-2", IMAGE)
    assert pool["autoscalingSettings"]["maxNumWorkers"] == 1
    assert list(staged) == ["pipeline.pb"]
    graph = beam_runner_api_pb2.Pipeline.FromString(staged["pipeline.pb"])
    assert graph.ByteSize() < 10_000
    kinds = [each.spec.urn for each in graph.components.transforms.values() if not each.subtransforms]
    assert sorted(kinds) == [common_urns.primitives.IMPULSE.urn, common_urns.primitives.PAR_DO.urn]
    (environment,) = graph.components.environments.values()
    assert beam_runner_api_pb2.DockerPayload.FromString(environment.payload).container_image == IMAGE
    assert not environment.dependencies
