"""What a Prefect server is told: found, and refused in one sentence."""

import os
import shutil
from pathlib import Path

import pytest

from ctllm.flows.commands import TRAINER_LIMIT
from ctllm.flows.registration import LOST_AFTER_S, LOST_RUNS, POOL, find_project, register
from ctllm.schemas.errors import MissingPartError

ONE_DEPLOYMENT = f"""
name: small
deployments:
  - name: local
    entrypoint: work.py:small
    work_pool: {{name: {POOL}}}
"""


def test_deployments_are_found_from_anywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The prefect.yaml of the current directory comes before that of the checkout."""
    monkeypatch.chdir(tmp_path)
    assert (find_project() / "flows" / "stages.py").is_file()
    (tmp_path / "prefect.yaml").touch()
    assert find_project() == tmp_path


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_server_may_be_told_twice(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Pool, slot, automation and every deployment of prefect.yaml, each once; telling it again fails at nothing."""
    from prefect.client.orchestration import get_client
    from prefect.server.events.schemas.automations import EventTrigger
    from prefect.settings import PREFECT_API_URL

    (tmp_path / "work.py").write_text("from prefect import flow\n\n@flow\ndef small(): ...\n")
    (tmp_path / "prefect.yaml").write_text(ONE_DEPLOYMENT)
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "PWD": str(tmp_path)}
    for _ in range(2):
        register(tmp_path, environment=environment, say=print)
    assert capsys.readouterr().out.count(f"1 deployments from {tmp_path}") == 2
    with get_client(sync_client=True) as client:
        deployed = [each for each in client.read_deployments() if each.work_pool_name == POOL]
        limit = client.read_global_concurrency_limit_by_name(TRAINER_LIMIT).limit
        client.delete_global_concurrency_limit_by_name(TRAINER_LIMIT)  # other tests of the server want none
        (lost,) = client.read_automations_by_name(LOST_RUNS)
        client.delete_automation(lost.id)
    assert [each.name for each in deployed] == ["local"]
    assert limit == 1
    assert (lost.enabled, lost.trigger.within.total_seconds()) == (True, LOST_AFTER_S)
    trigger = EventTrigger.model_validate(lost.trigger.model_dump())  # as the server has it, which asks these
    signs_of_life = (
        "heartbeat",
        "Suspended",
        "Accepted",
        "Rejected",
        "Crashed",
    )  # `train_version` names its own states
    assert all(trigger.expects(f"prefect.flow-run.{each}") for each in signs_of_life)
    assert [each for each in signs_of_life if trigger.starts_after(f"prefect.flow-run.{each}")] == ["heartbeat"]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_deployments_move_to_another_pool(tmp_path: Path) -> None:
    """Told of a kubernetes pool, the server has the pool with our template, and the deployment once, without a pull."""
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL

    one = ONE_DEPLOYMENT.replace("work.py:small", "flows/maintenance.py:retention")
    (tmp_path / "prefect.yaml").write_text(f"prefect-version: 3.8.8\n{one}")
    shutil.copytree(find_project() / "docker/pools", tmp_path / "docker/pools")
    environment = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "PWD": str(tmp_path)}
    register(tmp_path, environment=environment, say=print, pool="kubernetes", image="example/image:1")
    with get_client(sync_client=True) as client:
        (moved,) = [
            each for each in client.read_deployments() if each.entrypoint == "ctllm.flows.maintenance.retention"
        ]
        template = client.read_work_pool("kubernetes").base_job_template
        client.delete_global_concurrency_limit_by_name(TRAINER_LIMIT)  # other tests of the server want none
        client.delete_work_pool("kubernetes")
    assert (moved.work_pool_name, moved.pull_steps) == ("kubernetes", [])
    assert moved.job_variables["image"] == "example/image:1"
    assert "data_claim" in template["variables"]["properties"]


def test_a_refusal_is_one_sentence_and_the_last_lines(tmp_path: Path) -> None:
    """A server that nobody runs is named by what failed, with Prefect's own words below, of a traceback the last."""
    environment = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api", "PREFECT_HOME": str(tmp_path)}
    with pytest.raises(MissingPartError, match=r"`prefect work-pool create local .*ended with exit code 1") as caught:
        register(find_project(), environment=environment, say=print)
    assert str(caught.value).endswith("ConnectError: All connection attempts failed")
    assert len(str(caught.value).splitlines()) == 2
