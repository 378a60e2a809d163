"""Finds benchmark items in training documents: the share of an item's n-grams that a document holds.

N-grams are over units (NFKC, lower case, no punctuation and whitespace): 13 characters where an item is mostly Han, 13
words elsewhere. An item shorter than that counts as one n-gram, with its options when it is a multiple-choice question.
N-grams that many items share are exams' manner of speaking and do not count. Traditional and simplified characters are
one. Phrasing anew hides an item; this finds copies only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ctllm.pipelines.decontaminate.benchmark_files import BenchmarkItem, read_items
from ctllm.pipelines.signals.phrases import PhraseIndex, hash_phrases
from ctllm.pipelines.signals.words import Units, units_of
from ctllm.schemas.curation_config import DecontaminationConfig

MIN_ITEM_UNITS = 10  # shorter texts are phrases of the language, not items; chosen, untested


@dataclass(frozen=True)
class BestItems:
    """The best covered item of each text."""

    items: np.ndarray
    """(texts,), int64: number of the item, -1 where no n-gram of any was found"""
    shares: np.ndarray
    """(texts,), float64"""


@dataclass(frozen=True)
class CoveredItem:
    """One item in one text."""

    item: BenchmarkItem
    share: float
    """Of the item's n-grams, rounded to float32."""
    spans: list[tuple[int, int]]
    """Units of the text that they cover, the second not included, in order. Those less than an n-gram apart are one."""


@dataclass(frozen=True)
class BenchmarkIndex:
    """N-grams of benchmark items."""

    items: tuple[BenchmarkItem, ...]
    _grams: PhraseIndex
    _gram_items: np.ndarray
    """(n-grams of all items,), int64: items that hold the gram, gram after gram"""
    _gram_offsets: np.ndarray
    """(distinct n-grams + 1,), int64, into `_gram_items`"""
    _item_sizes: np.ndarray
    """(items,), int64: distinct n-grams of each item"""

    @classmethod
    def load(cls, config: DecontaminationConfig) -> "BenchmarkIndex":
        """The index over the configured files; empty when none are configured. Raises InputError for unusable files."""
        items = tuple(item for pattern in config.benchmarks for item in read_items(pattern))
        return cls.build(items, config=config)

    @classmethod
    def build(cls, items: tuple[BenchmarkItem, ...], *, config: DecontaminationConfig) -> "BenchmarkIndex":
        """The index over `items`."""
        units, starts, sizes, owners = _grams(items, config)
        hashes = hash_phrases(units, starts, sizes)
        order = np.lexsort((owners, hashes))
        is_first = np.ones(len(order), bool)  # of equal n-grams in one item
        is_first[1:] = (np.diff(hashes[order]) != 0) | (np.diff(owners[order]) != 0)
        chosen = order[is_first]
        _, gram, counts = np.unique(hashes[chosen], return_inverse=True, return_counts=True)
        chosen = chosen[counts[gram] <= config.max_items_per_ngram]
        _, counts = np.unique(hashes[chosen], return_counts=True)
        return cls(
            items,
            PhraseIndex.build(units, starts[chosen], sizes[chosen]),
            owners[chosen],
            np.concatenate([[0], np.cumsum(counts)]),
            np.bincount(owners[chosen], minlength=len(items)),
        )

    def best(self, units: Units) -> BestItems:
        """For each text the item whose n-grams it covers best; of equals the first."""
        num_texts = len(units.offsets) - 1
        best = BestItems(np.full(num_texts, -1), np.zeros(num_texts))
        if not self.items:
            return best
        matches = self._grams.find(units)
        bounds = np.searchsorted(matches.starts, units.offsets)  # matches come in the order of their first unit
        for text in np.flatnonzero(np.diff(bounds)):
            items, shares = self._shares(np.unique(matches.phrases[bounds[text] : bounds[text + 1]]))
            best.items[text] = items[np.argmax(shares)]
            best.shares[text] = shares.max()
        return best

    def covered(self, units: Units, *, min_share: np.float32) -> Iterator[CoveredItem]:
        """The items that a single text covers to at least `min_share`, best first, of equals in the index's order."""
        matches = self._grams.find(units)
        starts, sizes, grams = matches.starts, matches.lengths, matches.phrases
        if not len(grams):
            return
        items, exact = self._shares(np.unique(grams))
        shares = exact.astype(np.float32)
        num_owners = np.diff(self._gram_offsets)[grams]
        match = np.repeat(np.arange(len(grams)), num_owners)
        place = np.arange(len(match)) - np.repeat(np.cumsum(num_owners) - num_owners, num_owners)
        owner = self._gram_items[self._gram_offsets[grams][match] + place]
        by_owner = np.argsort(owner, kind="stable")
        for at in np.argsort(-shares, kind="stable"):
            if shares[at] < min_share:
                return
            bounds = np.searchsorted(owner, [items[at], items[at] + 1], sorter=by_owner)
            hits = match[by_owner[slice(*bounds)]]
            yield CoveredItem(self.items[items[at]], float(shares[at]), _spans(starts[hits], sizes[hits]))

    def _shares(self, grams: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The items that hold any of the distinct `grams`, ascending, and which share of each they are."""
        owners = [self._gram_items[self._gram_offsets[gram] : self._gram_offsets[gram + 1]] for gram in grams]
        items, counts = np.unique(np.concatenate(owners), return_counts=True)
        return items, counts / self._item_sizes[items]

    def best_item(self, text: str) -> tuple[str, str, float] | None:
        """Benchmark, item id and covered share of the item that `text` covers best; None when it holds no n-gram."""
        best = self.best(units_of([text]))
        if best.items[0] < 0:
            return None
        item = self.items[best.items[0]]
        return item.benchmark, item.item_id, float(best.shares[0])


def _spans(starts: np.ndarray, sizes: np.ndarray) -> list[tuple[int, int]]:
    """First unit and the one after the last of what sequences cover together; they come in the order of `starts`."""
    stops = np.maximum.accumulate(starts + sizes)
    begins = np.ones(len(starts), bool)
    begins[1:] = starts[1:] >= stops[:-1] + sizes[1:]  # a misprint, or a word put in, does not divide an item
    ends = np.append(np.flatnonzero(begins)[1:], len(starts)) - 1
    return list(zip(starts[begins].tolist(), stops[ends].tolist(), strict=True))


def _grams(
    items: tuple[BenchmarkItem, ...], config: DecontaminationConfig
) -> tuple[Units, np.ndarray, np.ndarray, np.ndarray]:
    """Units of the items; first unit, length and item of each of their n-grams."""
    questions = units_of([item.question for item in items])
    is_short = np.diff(questions.offsets) < [_gram_size(questions, item, config) for item in range(len(items))]
    units = units_of(
        [item.with_options if short else item.question for item, short in zip(items, is_short, strict=True)]
    )
    starts, sizes, owners = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for item in range(len(items)):
        first, count = units.offsets[item], np.diff(units.offsets)[item]
        if count < MIN_ITEM_UNITS:
            continue
        size = min(_gram_size(units, item, config), count)
        starts.append(np.arange(first, first + count - size + 1))
        sizes.append(np.full(count - size + 1, size))
        owners.append(np.full(count - size + 1, item))
    return units, np.concatenate(starts), np.concatenate(sizes), np.concatenate(owners)


def _gram_size(units: Units, item: int, config: DecontaminationConfig) -> int:
    """Units per n-gram: characters for an item whose units are mostly single characters, words elsewhere."""
    lengths = units.lengths[units.offsets[item] : units.offsets[item + 1]]
    return config.ngram_chars if 2 * np.count_nonzero(lengths == 1) >= len(lengths) else config.ngram_words
