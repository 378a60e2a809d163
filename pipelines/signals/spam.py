"""How much of a text the vocabularies of spam cover."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.phrases import Matches, PhraseIndex
from ctllm.pipelines.signals.vocabulary import GAMBLING_TERMS, PORN_TERMS
from ctllm.pipelines.signals.words import Units, units_of


class SpamVocabulary:
    """The word lists of `vocabulary`, ready for matching."""

    def __init__(self) -> None:
        self._lists = {"gambling_share": _index(GAMBLING_TERMS), "porn_share": _index(PORN_TERMS)}

    def measure(self, units: Units) -> dict[str, np.ndarray]:
        """`gambling_share` and `porn_share`: unit characters covered by terms, overlaps once; each (texts,), float64."""
        total = np.maximum(units.chars, 1)
        return {name: _covered_chars(units, index.find(units)) / total for name, index in self._lists.items()}


def _index(listing: str) -> PhraseIndex:
    terms = units_of([term.replace("_", " ") for term in listing.split()])
    sizes = np.diff(terms.offsets)
    return PhraseIndex.build(terms, terms.offsets[:-1], sizes)


def _covered_chars(units: Units, matches: Matches) -> np.ndarray:
    text_of_match = np.searchsorted(units.offsets, matches.starts, side="right") - 1
    covered = np.zeros(len(units.offsets) - 1)
    _add_covered(units.lengths, matches.starts, matches.lengths, text_of_match, covered)
    return covered


@kernel
def _add_covered(
    unit_lengths: np.ndarray, starts: np.ndarray, sizes: np.ndarray, texts: np.ndarray, covered: np.ndarray
) -> None:
    done = 0
    for match in range(starts.shape[0]):
        for unit in range(max(done, starts[match]), starts[match] + sizes[match]):
            covered[texts[match]] += unit_lengths[unit]
        done = max(done, starts[match] + sizes[match])
