"""Finds benchmark items in training documents: the share of an item's n-grams that a document holds.

N-grams are over units (NFKC, lower case, no punctuation and whitespace): 13 characters where an item is mostly Han, 13
words elsewhere. An item shorter than that counts as one n-gram, with its options when it is a multiple-choice question.
Phrasing anew hides an item; this finds copies only.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

import fsspec
import numpy as np

from ctllm.pipelines.signals.phrases import PhraseIndex, hash_phrases
from ctllm.pipelines.signals.words import Units, units_of
from ctllm.schemas.curation_config import DecontaminationConfig
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import packaged

TEXT_FIELDS = ("question", "text", "prompt")
OPTION_FIELDS = ("A", "B", "C", "D")
MIN_ITEM_UNITS = 6  # shorter texts are phrases of the language, not items; chosen, untested


@dataclass(frozen=True)
class BenchmarkItem:
    """One question as a benchmark file holds it."""

    benchmark: str
    """File name without directory and ending."""
    item_id: str
    """The `id` field, or the line number from 1."""
    question: str
    options: tuple[str, ...]

    @property
    def with_options(self) -> str:
        """The question and its options, labelled as exams print them."""
        return " ".join(
            [self.question, *(f"{label} {text}" for label, text in zip("ABCD", self.options, strict=False))]
        )


@dataclass(frozen=True)
class BestItems:
    """The best covered item of each text."""

    items: np.ndarray
    """(texts,), int64: number of the item, -1 where no n-gram of any was found"""
    shares: np.ndarray
    """(texts,), float64"""


@dataclass(frozen=True)
class BenchmarkIndex:
    """N-grams of benchmark items."""

    items: tuple[BenchmarkItem, ...]
    _phrases: PhraseIndex
    _gram_items: np.ndarray
    """(n-grams of all items,), int64: items that hold the gram, gram after gram"""
    _gram_offsets: np.ndarray
    """(distinct n-grams + 1,), int64, into `_gram_items`"""
    _item_sizes: np.ndarray
    """(items,), int64: distinct n-grams of each item"""

    @classmethod
    def load(cls, config: DecontaminationConfig) -> "BenchmarkIndex":
        """The index over the configured files; empty when none are configured. Raises InputError for unusable files."""
        items = tuple(item for pattern in config.benchmarks for item in _read_items(pattern))
        return cls.build(items, config=config)

    @classmethod
    def build(cls, items: tuple[BenchmarkItem, ...], *, config: DecontaminationConfig) -> "BenchmarkIndex":
        """The index over `items`."""
        units, starts, sizes, owners = _grams(items, config)
        owner_of_gram = np.stack([hash_phrases(units, starts, sizes), owners.astype(np.uint64)])
        hashes, gram_items = np.unique(owner_of_gram, axis=1)  # ascending by hash, as the index numbers its phrases
        _, counts = np.unique(hashes, return_counts=True)
        return cls(
            items,
            PhraseIndex.build(units, starts, sizes),
            gram_items.astype(np.int64),
            np.concatenate([[0], np.cumsum(counts)]),
            np.bincount(gram_items.astype(np.int64), minlength=len(items)),
        )

    def best(self, units: Units) -> BestItems:
        """For each text the item whose n-grams it covers best; of equals the first."""
        num_texts = len(units.offsets) - 1
        best = BestItems(np.full(num_texts, -1), np.zeros(num_texts))
        matches = self._phrases.find(units)
        texts = np.searchsorted(units.offsets, matches.starts, side="right") - 1
        for text in np.unique(texts):
            grams = np.unique(matches.phrases[texts == text])
            owners = [self._gram_items[self._gram_offsets[gram] : self._gram_offsets[gram + 1]] for gram in grams]
            shares = np.bincount(np.concatenate(owners), minlength=len(self.items)) / np.maximum(self._item_sizes, 1)
            best.items[text] = np.argmax(shares)
            best.shares[text] = shares.max()
        return best

    def best_item(self, text: str) -> tuple[str, str, float] | None:
        """Benchmark, item id and covered share of the item that `text` covers best; None when it holds no n-gram."""
        best = self.best(units_of([text]))
        if best.items[0] < 0:
            return None
        item = self.items[best.items[0]]
        return item.benchmark, item.item_id, float(best.shares[0])


def _read_items(pattern: str) -> Iterator[BenchmarkItem]:
    fs, location = fsspec.core.url_to_fs(packaged(pattern))
    paths = sorted(fs.glob(location))
    if not paths:
        raise InputError(f"decontamination.benchmarks: nothing matches {pattern}; check the path, or drop it")
    for path in paths:
        try:
            with fs.open(path, "rt", encoding="utf-8", compression="infer") as file:
                yield from _parse_items(file, path)
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"decontamination.benchmarks: cannot read {path} ({error}); give JSONL files") from error


def _parse_items(lines: Iterator[str], path: str) -> Iterator[BenchmarkItem]:
    benchmark = path.rsplit("/", 1)[-1].partition(".")[0]
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"{path}, line {number}: not JSON ({error})") from error
        question = next((row[name] for name in TEXT_FIELDS if isinstance(row.get(name), str)), None)
        if question is None:
            raise InputError(f"{path}, line {number}: none of the fields {', '.join(TEXT_FIELDS)} holds a text")
        options = tuple(str(row[name]) for name in OPTION_FIELDS if name in row)
        yield BenchmarkItem(benchmark, str(row.get("id", number)), question, options)


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
