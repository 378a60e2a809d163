"""What a stage tells its run page."""

import pytest

from ctllm.flows.stage import describe, logs_beside


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
