"""Work pools beyond this machine: Prefect's own job templates for docker and kubernetes, with what ours adds.

The flows are in the image, so these deployments have no pull step and name modules. A server has each deployment once:
deploying to another pool moves them, so that no trigger or schedule fires twice.
"""

import copy
import json
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml

from ctllm.schemas.errors import ConfigError

PoolType = Literal["process", "docker", "kubernetes"]
LOCAL_POOL = "local"
VARIABLES = "docker/pools"
"""Below the project: the job variables of each kind of pool."""
DATA = "/data"


def base_job_template(kind: str) -> dict[str, Any]:
    """The template of Prefect's worker of this kind, as the server carries it; for kubernetes with data and GPUs."""
    carried = resources.files("prefect.server.api.collections_data.views") / "aggregate-worker-metadata.json"
    collections = json.loads(carried.read_text(encoding="utf-8"))
    template = copy.deepcopy(collections[f"prefect-{kind}"][kind]["default_base_job_configuration"])
    if kind == "kubernetes":
        _add_data_and_gpus(template)
    return dict(template)


def _add_data_and_gpus(template: dict[str, Any]) -> None:
    pod = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]
    pod["securityContext"] = {"runAsUser": 10001, "runAsNonRoot": True, "fsGroup": 10001}
    pod["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": "{{ data_claim }}"}}]
    pod["terminationGracePeriodSeconds"] = 60  # trainers save
    container = pod["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": DATA}]
    container["workingDir"] = DATA
    container["resources"]["limits"]["nvidia.com/gpu"] = "{{ gpus }}"
    template["variables"]["properties"] |= {
        "data_claim": {
            "title": "Data claim",
            "type": "string",
            "default": "ctllm-data",
            "description": f"PersistentVolumeClaim that is mounted at {DATA}",
        },
        "gpus": {"title": "GPUs", "type": "integer", "default": 0, "description": "GPUs of one Job"},
    }


def job_variables(project: Path, kind: str, *, image: str | None) -> dict[str, Any]:
    """What every run of the pool is started with. Raises ConfigError for a variable that its template has not."""
    path = project / VARIABLES / f"{kind}.yaml"
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) | ({"image": image} if image else {})
    known = base_job_template(kind)["variables"]["properties"]
    if unknown := sorted(values.keys() - known.keys()):
        raise ConfigError(f"{path}: {', '.join(unknown)}: unknown to pools of this kind; known: {', '.join(known)}")
    return values


def moved_deployments(project: Path, kind: str, *, image: str | None) -> dict[str, Any]:
    """The content of prefect.yaml for another kind of pool."""
    values = yaml.safe_load((project / "prefect.yaml").read_text(encoding="utf-8"))
    pool = {"name": kind, "job_variables": job_variables(project, kind, image=image)}
    deployments = [
        {**each, "entrypoint": _module(each["entrypoint"]), "work_pool": pool, "pull": []}
        for each in values["deployments"]
    ]
    return {"name": values["name"], "prefect-version": values["prefect-version"], "deployments": deployments}


def _module(entrypoint: str) -> str:
    """`flows/stages.py:curate` as `ctllm.flows.stages.curate`."""
    path, _, function = entrypoint.partition(":")
    return f"ctllm.{path.removesuffix('.py').replace('/', '.')}.{function}"
