"""The Kubernetes manifest of a training on several machines, as far as it can be checked without a cluster."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ctllm.schemas import errors

ROOT = Path(__file__).resolve().parents[2]
MANIFESTS: dict[str, dict[str, Any]] = {
    each["kind"]: each
    for each in yaml.safe_load_all((ROOT / "docker" / "kubernetes" / "pretrain.yaml").read_text(encoding="utf-8"))
}
JOB = MANIFESTS["Job"]["spec"]
POD = JOB["template"]["spec"]
(CONTAINER,) = POD["containers"]
ARGUMENTS: list[str] = CONTAINER["args"]
FLAGS = dict(each[2:].split("=", 1) for each in ARGUMENTS if each.startswith("--") and "=" in each)


def test_machines_and_processes_are_counted_the_same_everywhere() -> None:
    """One pod a machine, one process a GPU; torchrun waits for exactly those."""
    assert JOB["completions"] == JOB["parallelism"] == int(FLAGS["nnodes"])
    gpus = {kind: CONTAINER["resources"][kind]["nvidia.com/gpu"] for kind in ("requests", "limits")}
    assert set(gpus.values()) == {FLAGS["nproc-per-node"]}
    (rule,) = POD["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["labelSelector"]["matchLabels"] == JOB["template"]["metadata"]["labels"]


def test_pods_find_each_other_by_the_name_of_pod_0() -> None:
    """An Indexed Job names its pods NAME-INDEX; the headless service of the pods' subdomain gives them addresses."""
    service, name = MANIFESTS["Service"], MANIFESTS["Job"]["metadata"]["name"]
    assert JOB["completionMode"] == "Indexed"
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["name"] == POD["subdomain"]
    assert service["spec"]["selector"] == {"job-name": name}
    port = service["spec"]["ports"][0]["port"]
    assert FLAGS["rdzv-endpoint"] == f"{name}-0.{POD['subdomain']}:{port}"
    assert FLAGS["node-rank"] == "$(JOB_COMPLETION_INDEX)"
    assert [each["name"] for each in CONTAINER["env"] if "index" in str(each).lower()] == ["JOB_COMPLETION_INDEX"]


def test_a_stopped_pod_has_time_for_its_checkpoint() -> None:
    """Kubernetes waits longer than torchrun, and torchrun longer than its default of 30 s."""
    assert 30 < int(FLAGS["shutdown-timeout"]) < POD["terminationGracePeriodSeconds"]


def test_errors_that_come_again_end_the_job_and_stops_do_not() -> None:
    """Exit codes of wrong configs and inputs fail it at once; a stage that was stopped (5) is started again."""
    ignored, fatal = JOB["podFailurePolicy"]["rules"]
    assert (ignored["action"], ignored["onPodConditions"]) == ("Ignore", [{"type": "DisruptionTarget"}])
    kinds = (errors.ConfigError, errors.InputError, errors.OutputError, errors.AccountingError, errors.MissingPartError)
    assert fatal["onExitCodes"]["values"] == sorted(kind.exit_code for kind in kinds)
    assert fatal["onExitCodes"]["containerName"] == CONTAINER["name"]
    assert POD["restartPolicy"] == "Never"  # the policy asks for it


def test_what_is_mounted_is_there_and_shared() -> None:
    """All pods read and write one volume; nothing runs as root; the image is the one that compose builds."""
    assert {each["name"] for each in CONTAINER["volumeMounts"]} == {each["name"] for each in POD["volumes"]}
    assert (
        POD["volumes"][0]["persistentVolumeClaim"]["claimName"]
        == MANIFESTS["PersistentVolumeClaim"]["metadata"]["name"]
    )
    assert MANIFESTS["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]
    assert POD["securityContext"]["runAsNonRoot"] is True
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text(encoding="utf-8"))
    assert CONTAINER["image"] == compose["x-image"]["image"]
    dockerfile = (ROOT / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(rf"useradd --uid {POD['securityContext']['runAsUser']}\b", dockerfile)


@pytest.mark.parametrize("flag", sorted(each.split("=")[0] for each in CONTAINER["args"] if each.startswith("--")))
def test_torchrun_and_ctllm_know_every_flag(flag: str) -> None:
    """A misspelt flag would fail on the cluster only."""
    from torch.distributed.run import get_args_parser

    known = {option for action in get_args_parser()._actions for option in action.option_strings}
    assert flag in known | {"--set"}
