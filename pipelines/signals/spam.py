"""How much of a text the vocabularies of spam cover."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.phrases import Matches, PhraseIndex, hash_phrases
from ctllm.pipelines.signals.vocabulary import GAMBLING_TERMS, PORN_TERMS
from ctllm.pipelines.signals.words import Units, units_of

LISTS = {"gambling_share": GAMBLING_TERMS, "porn_share": PORN_TERMS}
"""Signal to the terms it counts. No term stands in two lists."""


class SpamVocabulary:
    """The word lists of `vocabulary`, ready for matching."""

    def __init__(self) -> None:
        listings = [[term.replace("_", " ") for term in terms.split()] for terms in LISTS.values()]
        terms = units_of([term for listing in listings for term in listing])
        starts, sizes = terms.offsets[:-1], np.diff(terms.offsets)
        self._index = PhraseIndex.build(terms, starts, sizes)
        self._list_of_phrase = np.empty(len(self._index.hashes), np.int64)
        rows = np.searchsorted(self._index.hashes, hash_phrases(terms, starts, sizes))
        self._list_of_phrase[rows] = np.repeat(np.arange(len(listings)), [len(listing) for listing in listings])

    def measure(self, units: Units) -> dict[str, np.ndarray]:
        """Share of unit characters that the terms of each list cover, overlaps once, by signal: (texts,), float64."""
        matches = self._index.find(units)
        listed = self._list_of_phrase[matches.phrases]
        total = np.maximum(units.chars, 1)
        return {name: _covered_chars(units, matches, listed == number) / total for number, name in enumerate(LISTS)}


def _covered_chars(units: Units, matches: Matches, is_wanted: np.ndarray) -> np.ndarray:
    starts, sizes = matches.starts[is_wanted], matches.lengths[is_wanted]
    text_of_match = np.searchsorted(units.offsets, starts, side="right") - 1
    covered = np.zeros(len(units.offsets) - 1)
    _add_covered(units.lengths, starts, sizes, text_of_match, covered)
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
