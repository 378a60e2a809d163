"""Signals for source code, from its lines."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.lines import Lines


def measure_code(codepoints: np.ndarray, lines: Lines) -> dict[str, np.ndarray]:
    """`max_line_chars` and `mean_code_line_chars`, with indentation, and `comment_share`; each (texts,), float64."""
    bounds = lines.offsets
    lengths = lines.ends - lines.starts + lines.indents
    num_lines = np.maximum(np.diff(bounds), 1)
    total = np.concatenate([[0], np.cumsum(lengths)])
    comments = np.concatenate([[0], np.cumsum(_comment_lines(codepoints, lines.starts, lines.ends))])
    longest = np.zeros(len(bounds) - 1)
    nonempty = bounds[1:] > bounds[:-1]
    if len(lengths):
        longest[nonempty] = np.maximum.reduceat(lengths, bounds[:-1][nonempty])
    return {
        "max_line_chars": longest,
        "mean_code_line_chars": np.diff(total[bounds]) / num_lines,
        "comment_share": np.diff(comments[bounds]) / num_lines,
    }


@kernel
def _comment_lines(codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    is_comment = np.empty(starts.shape[0], np.bool_)
    for line in range(starts.shape[0]):
        is_comment[line] = _is_comment(codepoints, starts[line], ends[line])
    return is_comment


@kernel
def _is_comment(codepoints: np.ndarray, start: int, end: int) -> bool:
    """Whether a line of code starts with #, //, /*, *, --, ; or <!--."""
    first = codepoints[start]
    second = codepoints[start + 1] if start + 1 < end else np.uint32(0)
    if first == 0x2F:
        return bool(second in (0x2F, 0x2A))
    if first in (0x2D, 0x3C):
        return bool(second == (0x2D if first == 0x2D else 0x21))
    return bool(first in (0x23, 0x2A, 0x3B))
