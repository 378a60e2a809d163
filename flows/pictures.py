"""Small pictures for run pages, as SVG text: they need no server, no script and no network."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

WIDTH = 720
ROW_HEIGHT = 24
LABEL_WIDTH = 230
FIGURE_WIDTH = 150
PLOT_HEIGHT = 260
MARGIN = 56
SMALL_HEIGHT = 150
MAX_POINTS = 400  # more are not seen on 600 pixels
KEPT, REMOVED, NEUTRAL, INK = "#2f855a", "#c05621", "#4a5568", "#1a202c"


def as_markdown(svg: str, *, title: str) -> str:
    """The picture as a Markdown image that carries its own bytes."""
    return f"![{title}](data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()})"


def waterfall(read: int, losses: Sequence[tuple[str, int]], *, kept: int) -> str:
    """How `read` becomes `kept`, one bar per loss, each hanging where the last one ended."""
    bars = [("read", 0, read, NEUTRAL)]
    left = read
    for name, count in losses:
        bars.append((name, left - count, count, REMOVED))
        left -= count
    bars.append(("kept", 0, kept, KEPT))
    rows = [_bar(row, *bar, whole=max(read, 1)) for row, bar in enumerate(bars)]
    return _svg(ROW_HEIGHT * len(bars) + 16, "".join(rows))


def _bar(row: int, name: str, start: int, count: int, colour: str, *, whole: int) -> str:
    scale = (WIDTH - LABEL_WIDTH - FIGURE_WIDTH) / whole
    top = 8 + row * ROW_HEIGHT
    left, width = LABEL_WIDTH + start * scale, max(1.0, count * scale)
    figure = f"{count:,} ({count / whole:.1%})"
    return (
        _text(LABEL_WIDTH - 10, top + 16, name, anchor="end")
        + f'<rect x="{left:.1f}" y="{top + 3}" width="{width:.1f}" height="{ROW_HEIGHT - 6}" rx="2" fill="{colour}"/>'
        + _text(WIDTH - 10, top + 16, figure, anchor="end")
    )


def curve(values: Sequence[float], *, x_label: str, y_label: str) -> str:
    """`values` against their index as a line; long series are averaged over equal pieces."""
    points = thinned(values)
    low, high = (min(y for _, y in points), max(y for _, y in points)) if points else (0.0, 1.0)
    span, last = (high - low) or 1.0, max(len(values) - 1, 1)
    right, bottom = WIDTH - 24, PLOT_HEIGHT - 40

    def place(x: float, y: float) -> str:
        return f"{MARGIN + x / last * (right - MARGIN):.1f},{bottom - (y - low) / span * (bottom - 24):.1f}"

    line = " ".join(place(x, y) for x, y in points)
    grid = "".join(
        _grid_line(low + span * share, bottom - share * (bottom - 24), right) for share in (0, 0.25, 0.5, 0.75, 1)
    )
    axis = _text(MARGIN, bottom + 18, "0", anchor="middle") + _text(right, bottom + 18, f"{last:,}", anchor="end")
    labels = _text((MARGIN + right) / 2, bottom + 18, x_label, anchor="middle") + _text(MARGIN, 14, y_label)
    drawn = f'<polyline points="{line}" fill="none" stroke="{KEPT}" stroke-width="1.6"/>'
    return _svg(PLOT_HEIGHT, grid + axis + labels + drawn)


def thinned(values: Sequence[float], *, max_points: int = MAX_POINTS) -> list[tuple[float, float]]:
    """(index, value) pairs, at most `max_points`: the means over equal pieces of the series."""
    pieces = min(len(values), max_points)
    edges = [round(piece * len(values) / pieces) for piece in range(pieces + 1)] if pieces else []
    return [((start + end - 1) / 2, sum(values[start:end]) / (end - start)) for start, end in pairwise(edges)]


@dataclass(frozen=True)
class Series:
    """One measure over all groups."""

    name: str
    values: Sequence[float]


def grouped_lines(groups: Sequence[str], series: Sequence[Series], *, title: str) -> str:
    """One small plot for each series, groups from left to right, each with its own scale and its values written out."""
    plots = "".join(
        f'<g transform="translate(0,{30 + row * SMALL_HEIGHT})">{_small_plot(groups, each)}</g>'
        for row, each in enumerate(series)
    )
    return _svg(40 + SMALL_HEIGHT * len(series), _text(MARGIN, 18, title) + plots)


def _small_plot(groups: Sequence[str], series: Series) -> str:
    low, high = min(series.values), max(series.values)
    span, bottom = (high - low) or 1.0, SMALL_HEIGHT - 34
    step = (WIDTH - 2 * MARGIN) / max(len(groups) - 1, 1)
    places = [
        (MARGIN + at * step, bottom - (value - low) / span * (bottom - 44)) for at, value in enumerate(series.values)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{KEPT}"/>'
        + _text(x, y - 8, f"{value:.4g}", anchor="middle")
        + _text(x, bottom + 20, group, anchor="middle")
        for (x, y), value, group in zip(places, series.values, groups, strict=True)
    )
    drawn = f'<polyline points="{line}" fill="none" stroke="{KEPT}" stroke-width="1.2" stroke-dasharray="3 3"/>'
    return _text(MARGIN, 12, series.name) + drawn + marks


def _grid_line(value: float, y: float, right: float) -> str:
    line = f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e2e8f0"/>'
    return line + _text(MARGIN - 6, y + 4, f"{value:.3g}", anchor="end")


def _text(x: float, y: float, text: str, *, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'


def _svg(height: int, body: str) -> str:
    """The picture on a white ground: the run page may be dark."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="12">'
        f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff"/>{body}</svg>'
    )
