"""What the terminal shows where there is none: JSON lines, plain tables."""

import json

import pytest

from ctllm.cli import console
from ctllm.cli.console import JsonLines, print_error, print_table
from ctllm.schemas.progress import ProgressEvent


def test_progress_is_json_lines_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A stage's first event and its end are printed at once, what comes between is thinned out."""
    show = JsonLines()
    for done in range(5):
        show(ProgressEvent("measure", done, 4, values={"loss": 1.5}))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["stage"], line["done"], line["total"], line["loss"]) for line in lines] == [
        ("measure", 0, 4, 1.5),
        ("measure", 4, 4, 1.5),
    ]


def test_what_was_said_is_repeated_seldom(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that stands still says so every half minute, one that moves every two seconds."""
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    show = JsonLines()
    for second in range(61):
        now = float(second)
        show(ProgressEvent("still", 0, 8))
        show(ProgressEvent("moving", second, 100))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["done"] for line in lines if line["stage"] == "still"] == [0, 0, 0]
    assert [line["done"] for line in lines if line["stage"] == "moving"] == list(range(0, 61, 2))


def test_end_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    """A stage that reports its end twice is shown as ended once."""
    show = JsonLines()
    for _ in range(2):
        show(ProgressEvent("measure", 4, 4))
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_table_formats_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Integers have thousands separators, fractions four digits, nothing is an empty cell, brackets stay."""
    print_table("t", ["name", "count", "share", "none"], [["一[x]", 12345, 0.123456, None]])
    shown = capsys.readouterr().out
    assert "一[x]" in shown
    assert "12,345" in shown
    assert "0.1235" in shown
    assert "None" not in shown


def test_error_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """An error is not mixed into the output, and brackets in it are shown as they are."""
    print_error("config.yaml, rules[zh]: wrong")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "rules[zh]: wrong" in captured.err
