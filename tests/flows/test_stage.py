"""What a stage tells its run page."""

from typing import Any

import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from ctllm.flows.stage import describe, logs_beside, wait_for_server


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
