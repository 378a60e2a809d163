"""How much of a text the vocabularies of spam cover."""

import hashlib
import json

import fsspec
import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.phrases import Matches, PhraseIndex, hash_phrases
from ctllm.pipelines.signals.vocabulary import GAMBLING_TERMS, PORN_TERMS, PROFANITY_TERMS, SENSITIVE_TERMS
from ctllm.pipelines.signals.words import Units, units_of
from ctllm.schemas.curation_config import BUILTIN, VocabulariesConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import packaged

_BUILTIN_TERMS = {
    "gambling": GAMBLING_TERMS,
    "porn": PORN_TERMS,
    "sensitive": SENSITIVE_TERMS,
    "profanity": PROFANITY_TERMS,
    "custom": "",
}


class SpamVocabulary:
    """The configured word lists, ready for matching."""

    def __init__(self, config: VocabulariesConfig) -> None:
        """Raises InputError for a file that cannot be read or holds no term."""
        self._listings = {
            category: sorted({term for name in names for term in _read_terms(category, name)})
            for category, names in config
        }
        listings = list(self._listings.values())
        self.terms = [term for listing in listings for term in listing]
        self.index = PhraseIndex.of_terms(self.terms)
        terms = units_of(self.terms)
        lists = np.repeat(np.uint64(1) << np.arange(len(listings), dtype=np.uint64), [len(each) for each in listings])
        sizes = np.diff(terms.offsets)
        has_units = sizes > 0  # a term of symbols alone can be nowhere
        starts, sizes, lists = terms.offsets[:-1][has_units], sizes[has_units], lists[has_units]
        self._lists_of_phrase = np.zeros(len(self.index.hashes), np.uint64)
        rows = np.searchsorted(self.index.hashes, hash_phrases(terms, starts, sizes))
        np.bitwise_or.at(self._lists_of_phrase, rows, lists)

    def digest(self) -> str:
        """16 hex digits that change when a term of a category does."""
        return hashlib.sha256(json.dumps(self._listings).encode()).hexdigest()[:16]

    @property
    def signals(self) -> list[str]:
        """The signal of each list, in their order."""
        return [f"{category}_share" for category in self._listings]

    def places(self, units: Units) -> dict[str, list[tuple[int, int]]]:
        """Signal to what its terms cover: first character of the batch and the one after the last, in order."""
        found = self.index.find(units)
        last = found.starts + found.lengths - 1
        begins, ends = units.starts[found.starts].tolist(), (units.starts[last] + units.lengths[last]).tolist()
        lists = self._lists_of_phrase[found.phrases]
        return {
            signal: [(begins[at], ends[at]) for at in np.flatnonzero((lists >> np.uint64(number)) & np.uint64(1))]
            for number, signal in enumerate(self.signals)
        }

    def measure(self, units: Units, matches: Matches | None = None) -> dict[str, np.ndarray]:
        """Share of unit characters that the terms of each list cover, overlaps once, by signal: (texts,), float64.

        `matches` of `index` where they are found already.
        """
        matches = matches or self.index.find(units)
        lists = self._lists_of_phrase[matches.phrases]
        covered_LT = np.zeros((len(self._listings), len(units.offsets) - 1))
        _cover(units.lengths, units.offsets, matches.starts, matches.lengths, lists, covered_LT)
        shares_LT = covered_LT / np.maximum(units.chars, 1)
        return dict(zip(self.signals, shares_LT, strict=True))


def _read_terms(category: str, name: str) -> list[str]:
    if name == BUILTIN:
        return [term.replace("_", " ") for term in _BUILTIN_TERMS[category].split()]
    try:
        with fsspec.open(packaged(name), "rt", encoding="utf-8-sig", compression="infer") as file:
            lines = [line.partition("#")[0].strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"vocabularies.{category}: cannot read {name} ({error}); correct or drop it") from error
    if not any(lines):
        raise InputError(f"vocabularies.{category}: {name} holds no term; write one a line, or drop it")
    return [line for line in lines if line]


@kernel
def _cover(  # noqa: PLR0917 - a kernel takes its arrays by position
    unit_lengths: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    sizes: np.ndarray,
    lists: np.ndarray,
    covered_LT: np.ndarray,
) -> None:
    """Adds the characters that matches cover, per list (a bit of `lists`) and text."""
    done = np.zeros(covered_LT.shape[0], np.int64)
    text = 0
    for match in range(starts.shape[0]):
        while offsets[text + 1] <= starts[match]:
            text += 1
        end = starts[match] + sizes[match]
        for number in range(covered_LT.shape[0]):
            if (lists[match] >> np.uint64(number)) & np.uint64(1):
                for unit in range(max(done[number], starts[match]), end):
                    covered_LT[number, text] += unit_lengths[unit]
                done[number] = max(done[number], end)
