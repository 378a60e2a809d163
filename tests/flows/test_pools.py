"""Docker and kubernetes pools, as far as they can be checked without an engine: against Prefect's own templates."""

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.templating import apply_values

from ctllm.flows.pools import base_job_template, job_variables, moved_deployments
from ctllm.schemas.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]


def rendered(kind: str) -> dict[str, Any]:
    """What the worker of this kind would start, with what Prefect adds for a run."""
    template = base_job_template(kind)
    defaults = {
        name: each["default"] for name, each in template["variables"]["properties"].items() if "default" in each
    }
    values = defaults | job_variables(ROOT, kind, image=None) | {"command": ["prefect", "flow-run", "execute"]}
    return dict(apply_values(template["job_configuration"], values))


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_variables_fit_the_template(kind: str) -> None:
    """Every variable is one of the pool's and has the type that its schema asks for."""
    variables, schema = job_variables(ROOT, kind, image=None), base_job_template(kind)["variables"]
    jsonschema.validate(variables, schema)
    assert variables.keys() <= schema["properties"].keys()


def test_a_container_of_a_run() -> None:
    """It is our image with the data mounted, removed at its end, and no run hangs on its worker's pipe."""
    job = rendered("docker")
    assert job["image"] == "ctllm-flow-run:0.1.0"
    assert job["volumes"] == ["ctllm-data:/data"]
    assert (job["auto_remove"], job["stream_output"]) == (True, False)
    assert "PREFECT_API_KEY" not in json.dumps(job)


def test_a_job_of_a_run() -> None:
    """It runs as the image's user, with the claim mounted, its GPUs, time to save, and is never started twice."""
    manifest = rendered("kubernetes")["job_manifest"]
    pod = manifest["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert manifest["spec"]["backoffLimit"] == 0
    assert (pod["restartPolicy"], pod["terminationGracePeriodSeconds"]) == ("Never", 60)
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": "ctllm-data"}
    assert container["volumeMounts"][0]["mountPath"] == "/data"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 0
    assert container["args"] == ["prefect", "flow-run", "execute"]


def test_deployments_name_modules_of_the_image() -> None:
    """No pull step; every entrypoint loads as a module of the package; triggers and schedules come along."""
    moved = moved_deployments(ROOT, "docker", image="registry.example/ctllm:2")["deployments"]
    before = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    for old, new in zip(before, moved, strict=True):
        flow = load_flow_from_entrypoint(new["entrypoint"], use_placeholder_flow=False)
        assert flow.name.replace("-", "_") == old["entrypoint"].partition(":")[2]
        assert new["pull"] == []
        assert new["work_pool"]["job_variables"]["image"] == "registry.example/ctllm:2"
        assert (new.get("triggers"), new.get("schedules")) == (old.get("triggers"), old.get("schedules"))


def test_an_unknown_variable_is_refused(tmp_path: Path) -> None:
    """A variable that the template does not know would be dropped silently: it is named instead."""
    shutil.copytree(ROOT / "docker/pools", tmp_path / "docker/pools")
    with (tmp_path / "docker/pools/docker.yaml").open("a") as file:
        file.write("volume: [a:b]\n")
    with pytest.raises(ConfigError, match=r"docker\.yaml: volume: unknown to pools of this kind"):
        job_variables(tmp_path, "docker", image=None)


def test_the_image_has_no_entrypoint() -> None:
    """Both kinds of worker give the whole command: an entrypoint would swallow it."""
    dockerfile = (ROOT / "docker/Dockerfile").read_text()
    target = dockerfile.split("AS flow-run")[1].split("\nFROM")[0]
    assert "ENTRYPOINT []" in target
