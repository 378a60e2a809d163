"""How the letters of a text divide among scripts, from its first 20,000 characters."""

import numpy as np

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.scripts import HAN, HANGUL, HANS, HANT, KANA, LATIN, OTHER, count_scripts


def measure_scripts(codepoints: np.ndarray, offsets: np.ndarray) -> dict[str, np.ndarray]:
    """`simplified_share`, `traditional_share`, `kana_share`, `hangul_share`, `mixed_share`: (texts,), float64.

    Japanese writes Han and kana together, so where kana are, both count as one script for `mixed_share`.
    """
    counts = count_scripts(TextBatch(codepoints, offsets))
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
