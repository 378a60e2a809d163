"""What a stage tells its run page."""

import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.settings import PREFECT_API_URL, temporary_settings

from ctllm.flows import stage
from ctllm.flows.commands import TRAINER_LIMIT, Step
from ctllm.flows.stage import describe, logs_beside, run_step, wait_for_server


@pytest.mark.parametrize(
    ("out", "logs"),
    [("runs/demo/curated", "runs/demo/logs"), ("curated", "logs"), ("gs://bucket/run", "runs/logs")],
)
def test_logs_lie_beside_the_output(out: str, logs: str) -> None:
    """Logs lie beside the output, never in it (its manifest lists every file), and always on the local disk."""
    assert logs_beside(out) == logs


def test_event_in_one_line() -> None:
    """A progress event reads as a sentence with its figures."""
    event = {"stage": "pretrain", "done": 30, "total": 200, "unit": "steps", "loss": 4.21234, "message": "saved"}
    assert describe(event) == "pretrain: 30 of 200 steps, loss 4.212, saved"
    assert describe({"stage": "measure", "done": 0, "total": 3}) == "measure: 0 of 3"


def test_a_server_that_restarts_is_waited_for(web: Any, answer: Any) -> None:
    """A stage that ended while the server was away goes on when it is back, not before."""
    web.files["/api/health"] = b"true"
    web.script["/api/health"] = [answer(503, body=b""), answer(503, body=b"")]
    with temporary_settings({PREFECT_API_URL: f"{web.base_url}/api"}):
        wait_for_server(timeout_s=60)
    assert len(web.headers_of("/api/health")) == 3


@pytest.mark.usefixtures("prefect_server")
def test_the_slot_of_a_trainer_is_renewed_long_before_it_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A trainer's lease is renewed every twelfth of its time, so that most of it is left when the server goes."""
    renewals: list[float] = []
    renew = SyncPrefectClient.renew_concurrency_lease

    def counted(client: SyncPrefectClient, **lease: Any) -> Any:
        renewals.append(time.monotonic())
        return renew(client, **lease)

    def trains_for_three_renewals(*_arguments: Any, **_options: Any) -> None:
        deadline = time.monotonic() + 60
        while len(renewals) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)

    monkeypatch.setattr(stage, "LEASE_SECONDS", 60.0)
    monkeypatch.setattr(stage, "run_command", trains_for_three_renewals)
    monkeypatch.setattr(stage, "show_result", lambda _step: None)
    monkeypatch.setattr(SyncPrefectClient, "renew_concurrency_lease", counted)
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(TRAINER_LIMIT, 1)
        run_step(Step("pretrain", ("pretrain",), str(tmp_path / "out")))
        client.delete_global_concurrency_limit_by_name(TRAINER_LIMIT)  # other tests of the server want none
    assert renewals[3] - renewals[0] < 45  # one renewal of Prefect's own
