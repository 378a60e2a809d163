"""Reports of progress: what a stage has said does not change afterwards."""

from dataclasses import FrozenInstanceError

import pytest

from ctllm.schemas.progress import ProgressEvent, silent


def test_a_report_stands_as_it_was_made() -> None:
    """Who draws a report cannot change it, and no two reports share their figures."""
    one, other = ProgressEvent("measure", 1, 2), ProgressEvent("measure", 1, 2)
    assert one == other
    assert one.values is not other.values
    with pytest.raises(FrozenInstanceError):
        one.done = 2  # type: ignore[misc]


def test_silence_takes_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    """Work that nobody watches says nothing, whatever it would report: an unknown total, figures, a message."""
    silent(ProgressEvent("answers", 0, 0, unit="answers", values={"loss": float("nan")}, message="none yet"))
    assert capsys.readouterr() == ("", "")
