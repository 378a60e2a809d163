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


def measure_scripts(codepoints: np.ndarray, offsets: np.ndarray, counts: CharacterCounts) -> dict[str, np.ndarray]:
    """`simplified_share`, `traditional_share`, `kana_share`, `hangul_share`, `mixed_share`: (texts,), float64.

    Japanese writes Han and kana together, so where kana are, both count as one script for `mixed_share`.
    """
    by_script = np.zeros((len(offsets) - 1, NUM_CLASSES), np.int64)
    _sum_counts(counts.codepoints, counts.counts, counts.offsets, script_table(), by_script)
    for text in np.flatnonzero(np.diff(offsets) > NUM_COUNTED_CHARS).tolist():  # of these the beginning counts
        by_script[text] = count_scripts(TextBatch(codepoints, offsets).slice(text, text + 1))
    return _shares(by_script)


def _shares(counts: np.ndarray) -> dict[str, np.ndarray]:
    letters = np.maximum(counts[:, LATIN:].sum(axis=1), 1)
    all_han = counts[:, HAN : HANT + 1].sum(axis=1)
    scripts = [counts[:, LATIN], all_han + counts[:, KANA], counts[:, HANGUL], counts[:, OTHER]]
    majority = np.max(scripts, axis=0)
    return {
        "simplified_share": counts[:, HANS] / np.maximum(all_han, 1),
        "traditional_share": counts[:, HANT] / np.maximum(all_han, 1),
        "kana_share": counts[:, KANA] / letters,
        "hangul_share": counts[:, HANGUL] / letters,
        "mixed_share": np.where(majority > 0, 1 - majority / letters, 0.0),
    }


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
        for script in range(4):
            by_script[text, script] = (low >> np.uint64(16 * script)) & np.uint64(0xFFFF)
            by_script[text, 4 + script] = (high >> np.uint64(16 * script)) & np.uint64(0xFFFF)
