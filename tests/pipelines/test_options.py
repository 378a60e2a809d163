"""Runner options."""

import copy
from pathlib import Path
from typing import Literal

import pytest
from apache_beam.options.pipeline_options import StandardOptions

from ctllm.pipelines.options import RunnerOptions, read_flags
from ctllm.schemas.errors import ConfigError


def test_direct_runner_never_looks_for_prism() -> None:
    """Locally Beam runs on FnApiRunner with worker threads, as many as asked for."""
    options = RunnerOptions(workers=3).pipeline_options().get_all_options()
    found = {name: options[name] for name in ("runner", "direct_running_mode", "direct_num_workers")}
    assert found == {"runner": "FnApiRunner", "direct_running_mode": "multi_threading", "direct_num_workers": 3}


def test_workers_default_to_the_cores_of_this_process() -> None:
    """Without `--workers` there is at least one worker."""
    assert RunnerOptions().workers >= 1


def test_other_runners_take_workers_and_any_beam_option() -> None:
    """Flink gets its parallelism, Dataflow its first workers; what stands after `--` wins."""
    flink = RunnerOptions("flink", 4, ("--flink_master=localhost:8081", "--environment_type=DOCKER")).pipeline_options()
    dataflow = RunnerOptions("dataflow", 5, ("--project=my-project",)).pipeline_options().get_all_options()
    values = flink.get_all_options()
    assert (values["runner"], values["parallelism"], values["flink_master"]) == ("FlinkRunner", 4, "localhost:8081")
    assert values["environment_type"] == "DOCKER"
    assert (dataflow["runner"], dataflow["num_workers"], dataflow["project"]) == ("DataflowRunner", 5, "my-project")


def test_views_share_values_and_a_copy_has_its_own() -> None:
    """What Beam sets in one view of the options stands in all of them, and not in those it was copied from."""
    options = RunnerOptions(workers=1).pipeline_options()
    options.view_as(StandardOptions)
    copied = copy.deepcopy(options)
    copied.view_as(StandardOptions).streaming = True
    values = [each.view_as(StandardOptions).streaming for each in (copied, copied.view_as(StandardOptions), options)]
    assert values == [True, True, False]
    assert copied.get_all_options()["streaming"]


def test_misspelt_beam_option_is_refused_by_name() -> None:
    """Beam itself only warns about a flag that it does not know; here it is an error before any work."""
    with pytest.raises(ConfigError, match="--flnk_master: Beam has no such option"):
        RunnerOptions("flink", beam_args=("--flnk_master=x",)).pipeline_options()


def test_impossible_options_are_refused() -> None:
    """No worker, or a runner nobody has heard of, is a configuration error."""
    with pytest.raises(ConfigError, match="--workers 0"):
        RunnerOptions(workers=0)
    with pytest.raises(
        ConfigError, match="--runner spark: unknown; one of direct, processes, portable, flink, dataflow"
    ):
        RunnerOptions("spark")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("runner", "shuffle", "payload", "mode"),
    [
        ("direct", "auto", 64 << 20, "gbk"),
        ("direct", "auto", (64 << 20) + 1, "files"),
        ("dataflow", "auto", 1 << 40, "gbk"),
        ("direct", "files", 0, "files"),
        ("direct", "gbk", 1 << 40, "gbk"),
    ],
)
def test_shuffle_goes_through_files_where_the_local_runner_would_hold_too_much(
    runner: Literal["direct", "dataflow"], shuffle: Literal["auto", "gbk", "files"], payload: int, mode: str
) -> None:
    """By default from 64 MiB on, and on the local runner only; what is asked for is done."""
    assert RunnerOptions(runner=runner, shuffle=shuffle).shuffle_of(payload) == mode


def test_unknown_shuffle_is_refused() -> None:
    """The option and the known values are named."""
    with pytest.raises(ConfigError, match="--shuffle sorted: unknown; one of auto, gbk, files"):
        RunnerOptions(shuffle="sorted")  # type: ignore[arg-type]


def test_options_come_from_files(tmp_path: Path) -> None:
    """`@FILE` stands for its lines, without comments; a file that is not there is named."""
    (tmp_path / "flags").write_text("# of mine\n--region=eu\n\n  --disk_size_gb=50\n", encoding="utf-8")
    found = read_flags(["--project=p", f"@{tmp_path / 'flags'}", "--region=us"])
    assert found == ("--project=p", "--region=eu", "--disk_size_gb=50", "--region=us")
    with pytest.raises(ConfigError, match="@nowhere: no such file"):
        read_flags(["@nowhere"])


def test_a_file_of_options_that_comes_with_the_package_is_found_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker's directory is not the repository."""
    monkeypatch.chdir(tmp_path)
    assert "--sdk_location=container" in read_flags(["@configs/dataflow/recommended.txt"])


def test_the_options_for_dataflow_are_beams() -> None:
    """Every flag of the file that is shipped is one that Beam knows, and the later one wins."""
    file = Path(__file__).resolve().parents[2] / "configs" / "dataflow" / "recommended.txt"
    flags = read_flags([f"@{file}", "--machine_type=e2-standard-4"])
    values = RunnerOptions("dataflow", 8, flags).pipeline_options().get_all_options()
    assert (values["num_workers"], values["sdk_location"], values["machine_type"]) == (8, "container", "e2-standard-4")
    assert values["use_public_ips"] is False
    assert values["save_main_session"] is False  # workers have the package; `__main__` is the whole command line
