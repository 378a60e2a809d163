"""How the letters of a text divide among scripts, from its first 20,000 characters."""

import numpy as np

from ctllm.pipelines.batch import TextBatch, kernel
from ctllm.pipelines.scripts import (
    HAN,
    HANGUL,
    HANS,
    HANT,
    KANA,
    LATIN,
    NUM_CLASSES,
    NUM_COUNTED_CHARS,
    OTHER,
    count_scripts,
    script_table,
)
from ctllm.pipelines.signals.character_counts import CharacterCounts

COLUMNS = ("simplified_share", "traditional_share", "kana_share", "hangul_share", "mixed_share")


def measure_scripts(codepoints: np.ndarray, offsets: np.ndarray, counts: CharacterCounts) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64.

    Japanese writes Han and kana together, so where kana are, both count as one script for `mixed_share`.
    """
    by_script = np.zeros((len(offsets) - 1, NUM_CLASSES), np.int64)
    _sum_counts(counts.codepoints, counts.counts, counts.offsets, script_table(), by_script)
    for text in np.flatnonzero(np.diff(offsets) > NUM_COUNTED_CHARS).tolist():  # of these the beginning counts
        by_script[text] = count_scripts(TextBatch(codepoints, offsets).slice(text, text + 1))
    values = np.zeros((len(COLUMNS), len(by_script)))
    _measure(by_script, values)
    return dict(zip(COLUMNS, values, strict=True))


@kernel
def _measure(by_script: np.ndarray, out: np.ndarray) -> None:
    for text in range(by_script.shape[0]):
        counts = by_script[text]
        letters = max(counts[LATIN:].sum(), 1)
        all_han = counts[HAN] + counts[HANS] + counts[HANT]
        majority = max(counts[LATIN], all_han + counts[KANA], counts[HANGUL], counts[OTHER])
        out[0, text], out[1, text] = counts[HANS] / max(all_han, 1), counts[HANT] / max(all_han, 1)
        out[2, text], out[3, text] = counts[KANA] / letters, counts[HANGUL] / letters
        out[4, text] = 1 - majority / letters if majority > 0 else 0.0


@kernel
def _sum_counts(
    codepoints: np.ndarray, counts: np.ndarray, offsets: np.ndarray, scripts: np.ndarray, by_script: np.ndarray
) -> None:
    """Four sums of 16 bits in a number, enough for `NUM_COUNTED_CHARS`: adding to an array waits for what it wrote."""
    for text in range(offsets.shape[0] - 1):
        low = high = np.uint64(0)
        for k in range(offsets[text], offsets[text + 1]):
            script = np.uint64(scripts[codepoints[k]])
            added = np.uint64(counts[k]) << ((script & np.uint64(3)) << np.uint64(4))
            low += added if script < 4 else np.uint64(0)
            high += added if script >= 4 else np.uint64(0)
        for place in range(4):
            by_script[text, place] = (low >> np.uint64(16 * place)) & np.uint64(0xFFFF)
            by_script[text, 4 + place] = (high >> np.uint64(16 * place)) & np.uint64(0xFFFF)
