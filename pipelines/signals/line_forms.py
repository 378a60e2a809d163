"""Lines by their length and end: what FineWeb and Gopher count of English pages."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.lines import Lines

BRIEF_LINE_CHARS = 30  # FineWeb, short_line_length


def measure_line_forms(codepoints: np.ndarray, lines: Lines) -> dict[str, np.ndarray]:
    """`brief_line_share` and `ellipsis_line_share`, lines among lines: (texts,), float64."""
    shares = np.zeros((2, len(lines.offsets) - 1))
    _measure(codepoints, lines.starts, lines.ends, lines.offsets, shares)
    return {"brief_line_share": shares[0], "ellipsis_line_share": shares[1]}


@kernel
def _measure(
    codepoints: np.ndarray, starts: np.ndarray, ends: np.ndarray, offsets: np.ndarray, shares: np.ndarray
) -> None:
    for text in range(offsets.shape[0] - 1):
        brief = ended = 0
        for line in range(offsets[text], offsets[text + 1]):
            brief += ends[line] - starts[line] <= BRIEF_LINE_CHARS
            if codepoints[ends[line] - 1] in (0x2E, 0x2026, 0x22EF):
                ended += _ends_in_ellipsis(codepoints, starts[line], ends[line])
        num_lines = max(offsets[text + 1] - offsets[text], 1)
        shares[0, text], shares[1, text] = brief / num_lines, ended / num_lines


@kernel
def _ends_in_ellipsis(codepoints: np.ndarray, start: int, end: int) -> bool:
    """Whether a line that ends in … or ⋯ or a full stop ends in an ellipsis: three full stops, or the others."""
    if codepoints[end - 1] != 0x2E:
        return True
    return bool(end - start > 2 and codepoints[end - 2] == 0x2E and codepoints[end - 3] == 0x2E)
