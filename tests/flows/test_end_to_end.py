"""The whole way as a deployment: prefect.yaml and the flows that it names."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint

from ctllm.schemas.config import parse_config, read_config
from ctllm.schemas.end_to_end_config import EndToEndConfig

ROOT = Path(__file__).resolve().parents[2]
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda each: each["entrypoint"])
def test_deployment_loads(deployment: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Every deployment names a flow that loads from its file, and again as a module of the package."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)  # undone after the test: Prefect adds folders to the path for good
    path, _, function = deployment["entrypoint"].partition(":")
    by_file = load_flow_from_entrypoint(deployment["entrypoint"], use_placeholder_flow=False)
    by_module = load_flow_from_entrypoint(f"ctllm.flows.{Path(path).stem}:{function}", use_placeholder_flow=False)
    assert by_file.name == by_module.name
    assert by_file.name.replace("-", "_") == function
    assert not by_file.log_prints


def test_every_flow_has_one_deployment() -> None:
    """No stage is without a deployment, on the pool `local`, without the worker's hold on its output."""
    from prefect import Flow

    from ctllm.flows import end_to_end, maintenance, stages, train_version

    modules = (end_to_end, maintenance, stages, train_version)
    flows = {each.fn.__name__ for module in modules for each in vars(module).values() if isinstance(each, Flow)}
    assert sorted(each["entrypoint"].partition(":")[2] for each in DEPLOYMENTS) == sorted(flows)
    assert {each["work_pool"]["name"] for each in DEPLOYMENTS} == {"local"}
    assert {each["work_pool"]["job_variables"]["stream_output"] for each in DEPLOYMENTS} == {False}


def test_form_starts_from_the_demo() -> None:
    """The form of the whole way starts from the values of configs/end_to_end/demo.yaml."""
    (deployment,) = (each for each in DEPLOYMENTS if each["entrypoint"].endswith(":end_to_end"))
    given = parse_config(deployment["parameters"]["config"], EndToEndConfig, origin="prefect.yaml")
    assert given == read_config(ROOT / "configs/end_to_end/demo.yaml", EndToEndConfig)
