"""What the terminal shows: bars on a terminal, one JSON object a line elsewhere (logs, flows), tables, errors."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ctllm.schemas.progress import Progress as ProgressCallback
from ctllm.schemas.progress import ProgressEvent

JSON_LINE_SECONDS = 2.0
SAME_LINE_SECONDS = 30.0  # chosen: a log stays readable and still says that the stage lives
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_PICTURES |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}


class QuietConsole(Console):
    """Shows control characters as pictures (␛): the id or URL of a crawled page must not steer the terminal."""

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own, passed on
        """Everything printed, alone or in a table, comes by here."""
        return super().render_str(text.translate(_PICTURES), **options)


console = QuietConsole(soft_wrap=False, highlight=False)
errors = QuietConsole(stderr=True, highlight=False)


@contextmanager
def progress_shown() -> Iterator[ProgressCallback]:
    """A progress callback that draws bars on a terminal and prints JSON lines elsewhere."""
    if console.is_terminal:
        with Bars() as bars:
            yield bars
    else:
        yield JsonLines()


class Bars:
    """One bar per stage, finished ones stay."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("[bold]{task.description:<10}"),
            BarColumn(bar_width=32),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: ProgressEvent) -> None:
        """Moves the bar of the event's stage."""
        if event.stage not in self._tasks:
            self._tasks[event.stage] = self._progress.add_task(event.stage, total=None, unit=event.unit, note="")
        note = event.message or "  ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        self._progress.update(self._tasks[event.stage], completed=event.done, total=event.total or None, note=note)


class JsonLines:
    """One JSON object a line on standard output: at once when a stage begins or ends, else every two seconds.

    A line that would say again what the stage's last one said waits half a minute.
    """

    def __init__(self) -> None:
        self._printed: dict[str, tuple[float, ProgressEvent]] = {}
        self._ended: set[str] = set()

    def __call__(self, event: ProgressEvent) -> None:
        """Prints the event unless its stage printed a moment ago or has ended."""
        is_end = bool(event.total) and event.done >= event.total
        if event.stage in self._ended if is_end else self._is_early(event):
            return
        self._printed[event.stage] = (time.monotonic(), event)
        if is_end:
            self._ended.add(event.stage)
        line = {"stage": event.stage, "done": event.done, "total": event.total, "unit": event.unit, **event.values}
        print(json.dumps(line | ({"message": event.message} if event.message else {}), ensure_ascii=False), flush=True)

    def _is_early(self, event: ProgressEvent) -> bool:
        if event.stage not in self._printed:
            return False
        then, last = self._printed[event.stage]
        return time.monotonic() - then < (SAME_LINE_SECONDS if event == last else JSON_LINE_SECONDS)


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table whose numbers stand right-aligned with thousands separators."""
    table = Table(title=title, title_justify="left", title_style="bold")
    for index, name in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) for row in rows)
        table.add_column(name, justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(_cell, row))
    console.print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "" if value is None else escape(str(value))


def print_warning(message: str) -> None:
    """What the user should look at, although the work goes on."""
    errors.print("[bold yellow]warning[/] ", end="")
    errors.print(message, markup=False)


def print_error(message: str) -> None:
    """An error as the user sees it: red label, message as it is."""
    errors.print("[bold red]error[/] ", end="")
    errors.print(message, markup=False)
    sys.stderr.flush()
