"""How much of a text stands in paragraphs that it repeats."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.lines import Lines


def measure_paragraphs(
    codepoints: np.ndarray, lines: Lines, *, hashes: np.ndarray, repeats_lines: np.ndarray
) -> dict[str, np.ndarray]:
    """`duplicate_paragraph_share` of each text: (texts,), float64.

    A paragraph is the stripped lines between two blank ones, compared by the `hashes` of its lines. Only texts with
    `repeats_lines`, (texts,), bool, are looked at: a paragraph that stands in a text twice is made of lines that do.
    """
    shares = np.zeros(len(lines.offsets) - 1)
    _measure(codepoints, lines.starts, lines.ends, lines.indents, lines.offsets, hashes, repeats_lines, shares)
    return {"duplicate_paragraph_share": shares}


@kernel
def _measure(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    indents: np.ndarray,
    offsets: np.ndarray,
    hashes: np.ndarray,
    repeats_lines: np.ndarray,
    shares: np.ndarray,
) -> None:
    factor = np.uint64(0x9E3779B97F4A7C15)
    for text in range(offsets.shape[0] - 1):
        if not repeats_lines[text]:
            continue
        seen = {np.uint64(0)}  # typed by one element; no paragraph's hash but by chance
        chars = repeated = inside = 0
        value = np.uint64(0)
        for line in range(offsets[text], offsets[text + 1]):
            value = (((value << np.uint64(29)) | (value >> np.uint64(35))) ^ hashes[line]) * factor
            inside += ends[line] - starts[line]
            is_last = line + 1 == offsets[text + 1]
            begin = ends[line] + 1 if is_last else starts[line + 1] - indents[line + 1]  # of the next line
            if is_last or (begin > ends[line] + 1 and _has_blank_line(codepoints, ends[line], begin)):
                repeated += inside if value in seen else 0
                seen.add(value)
                chars += inside
                value, inside = np.uint64(0), 0
        shares[text] = repeated / chars


@kernel
def _has_blank_line(codepoints: np.ndarray, end: int, begin: int) -> bool:
    """Whether two line feeds or more stand between the end of a line's text and the beginning of the next line."""
    feeds = 0
    for i in range(end, begin):
        feeds += codepoints[i] == 0x0A
    return feeds > 1
