"""Runs of words that two documents share, against comparing every window in Python."""

import random

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.lines import HashedUnits
from ctllm.pipelines.dedup.runs import ANCHOR_WORDS, hash_runs

SIZE = 20


def _runs(*texts: str) -> HashedUnits:
    batch = TextBatch.of(pa.array(texts, pa.large_string()))
    return hash_runs(batch, num_words=SIZE, chosen=np.ones(len(texts), bool))


def _words(chance: random.Random, count: int) -> list[str]:
    return ["".join(chance.choices("abcdefgh", k=5)) for _ in range(count)]


def test_a_long_enough_shared_run_is_found_wherever_it_stands() -> None:
    """Two texts share a window when their common run is 7 words longer than one, never when it is shorter."""
    chance = random.Random(1)
    for extra in range(-1, 12):
        for _ in range(20):
            shared = _words(chance, SIZE + extra)
            one = _words(chance, chance.randrange(40)) + shared + _words(chance, chance.randrange(40))
            other = _words(chance, chance.randrange(40)) + shared + _words(chance, chance.randrange(40))
            runs = _runs(" ".join(one), " ".join(other))
            first, second = (set(runs.hashes_U[runs.texts_U == text].tolist()) for text in (0, 1))
            if extra < 0:
                assert not first & second
            if extra >= ANCHOR_WORDS - 1:
                assert first & second


def test_equal_hashes_are_equal_words() -> None:
    """Windows hash alike exactly when their words are the same, whatever case and marks stand between."""
    chance = random.Random(2)
    words = [chance.choice("abc") for _ in range(400)]
    text = " ".join(words)
    runs = _runs(text, text.upper().replace(" ", ", "))
    windows: dict[int, set[str]] = {}
    for row, start, end, value in zip(runs.texts_U, runs.starts_U, runs.ends_U, runs.hashes_U, strict=True):
        own = (text, text.upper().replace(" ", ", "))[row][start:end].lower().replace(",", "")
        assert len(own.split()) == SIZE
        windows.setdefault(int(value), set()).add(own)
    assert all(len(texts) == 1 for texts in windows.values())
    assert len({text for texts in windows.values() for text in texts}) == len(windows)


def test_anchors_are_a_few_of_all_words() -> None:
    """Of random words two in nine begin a window; of a text of one window exactly one does."""
    chance = random.Random(3)
    runs = _runs(" ".join(_words(chance, 20_000)), " ".join(_words(chance, SIZE)), " ".join(_words(chance, SIZE - 1)))
    counts = np.bincount(runs.texts_U, minlength=3)
    assert abs(counts[0] / 20_000 - 2 / (ANCHOR_WORDS + 1)) < 0.01
    assert counts[1:].tolist() == [1, 0]


def test_texts_that_are_not_chosen_have_none() -> None:
    """Only the texts asked for are looked at."""
    batch = TextBatch.of(pa.array(["a b c " * 30] * 3, pa.large_string()))
    found = hash_runs(batch, num_words=SIZE, chosen=np.array([False, True, False]))
    assert set(found.texts_U.tolist()) == {1}
    assert len(hash_runs(batch, num_words=SIZE, chosen=np.zeros(3, bool)).hashes_U) == 0
