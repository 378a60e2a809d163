"""Lines by their length and end: what FineWeb and Gopher count of English pages."""

import numpy as np

from ctllm.pipelines.signals.lines import Lines

BRIEF_LINE_CHARS = 30  # FineWeb, short_line_length
_DOT, _ELLIPSES = 0x2E, (0x2026, 0x22EF)  # . and … ⋯


def measure_line_forms(codepoints: np.ndarray, lines: Lines) -> dict[str, np.ndarray]:
    """`brief_line_share` and `ellipsis_line_share`, lines among lines: (texts,), float64."""
    starts, ends = lines.starts, lines.ends
    return {
        "brief_line_share": _share(ends - starts <= BRIEF_LINE_CHARS, lines),
        "ellipsis_line_share": _share(_end_in_ellipsis(codepoints, starts, ends), lines),
    }


def _share(flags: np.ndarray, lines: Lines) -> np.ndarray:
    counts = np.concatenate([[0], np.cumsum(flags)])
    shares: np.ndarray = np.diff(counts[lines.offsets]) / np.maximum(np.diff(lines.offsets), 1)
    return shares


def _end_in_ellipsis(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether each line ends in … or in three full stops: (lines,), bool."""
    last = codepoints[ends - 1]
    ended = np.isin(last, _ELLIPSES)
    dotted = np.flatnonzero((last == _DOT) & (ends - starts > 2))
    ended[dotted] = (codepoints[ends[dotted] - 2] == _DOT) & (codepoints[ends[dotted] - 3] == _DOT)
    return ended
