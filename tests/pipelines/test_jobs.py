"""Beam jobs: progress from files, errors as one sentence."""

from pathlib import Path

import apache_beam as beam
import pytest

from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.errors import InputError, StageError
from ctllm.schemas.progress import ProgressEvent

OPTIONS = RunnerOptions(workers=1)


class Fail(beam.DoFn):
    """Raises the error it was made with."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def process(self, element: int) -> list[int]:  # noqa: ARG002 - Beam names it
        """Fails on every element."""
        raise self.error


def failing(error: Exception) -> StageError | InputError:
    """What `run_job` makes of an error that a worker raises."""
    with pytest.raises((StageError, InputError)) as caught:
        run_job("measure", lambda p: p | beam.Create([1]) | beam.ParDo(Fail(error)), options=OPTIONS)
    return caught.value


def test_worker_error_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """An exception in a worker becomes stage, kind and message; Beam's traceback is not printed."""
    message = str(failing(ValueError("bad row 17")))
    assert message.startswith("stage measure: ValueError: bad row 17; what is finished stays")
    assert "Traceback" not in message + capsys.readouterr().err


def test_own_error_of_a_worker_stays_what_it_is() -> None:
    """An error of our tree keeps its class, and so its exit code, through Beam."""
    error = failing(InputError("x.parquet: not there"))
    assert type(error) is InputError
    assert str(error) == "x.parquet: not there"


def test_progress_begins_and_ends(tmp_path: Path) -> None:
    """A job reports nothing done at its start and everything at its end."""
    events: list[ProgressEvent] = []
    run_job("s", lambda p: p | beam.Create([1]), options=OPTIONS, watch=str(tmp_path), total=3, progress=events.append)
    assert (events[0].done, events[-1].done, events[-1].total) == (0, 3, 3)
