"""Shingles, against sets of tuples."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.dedup.shingles import distinct_shingles

MIN_SHINGLES = 20


def shingled(sequences: list[list[int]], *, num_chars: int, num_words: int) -> list[list[int]]:
    """Shingle hashes of each token sequence."""
    tokens = np.array([token for each in sequences for token in each], np.uint64)
    offsets = np.cumsum([0, *map(len, sequences)])
    found, bounds = distinct_shingles(
        tokens, offsets, num_chars=num_chars, num_words=num_words, min_shingles=MIN_SHINGLES
    )
    return [found[start:end].tolist() for start, end in itertools.pairwise(bounds)]


def plain(sequence: list[int], *, num_chars: int, num_words: int) -> set[tuple[int, ...]]:
    """Windows as tuples; odd tokens are CJK characters."""
    lengths = [num_chars if token % 2 else num_words for token in sequence]
    windows = {tuple(sequence[i : i + n]) for i, n in enumerate(lengths) if i + n <= len(sequence)}
    return windows if len(windows) >= MIN_SHINGLES else set()


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(2, 9), max_size=60), min_size=1, max_size=5), st.integers(2, 6), st.integers(1, 6))
def test_shingles_are_the_set_of_windows(sequences: list[list[int]], num_chars: int, num_words: int) -> None:
    """Each text has one hash per distinct window, its length given by the window's first token; none crosses texts."""
    found = shingled(sequences, num_chars=num_chars, num_words=num_words)
    hashes: dict[tuple[int, ...], set[int]] = {}
    for sequence, own in zip(sequences, found, strict=True):
        windows = plain(sequence, num_chars=num_chars, num_words=num_words)
        assert len(own) == len(set(own)) == len(windows)
        for window in windows:
            hashes.setdefault(window, set(own)).intersection_update(own)
    assert all(hashes.values())  # equal windows have a hash in common wherever they occur


def test_too_few_distinct_windows_are_none() -> None:
    """A text with 20 distinct shingles has them, one with 19 has none, however long it is."""
    enough, short, repetitive = [2 * i + 1 for i in range(24)], [2 * i + 1 for i in range(23)], [1, 3] * 500
    assert [len(each) for each in shingled([enough, short, repetitive, []], num_chars=5, num_words=5)] == [20, 0, 0, 0]


def test_long_texts_have_the_windows_of_short_ones() -> None:
    """Hashes are made in blocks of 1,024 tokens; windows that begin in one block and end in the next are found."""
    generator = np.random.default_rng(3)
    for num_tokens in (1023, 1024, 1025, 1028, 2048, 5000):
        sequence = generator.integers(2, 40, num_tokens).tolist()
        for num_chars, num_words in ((5, 5), (6, 2), (1, 4)):
            (found,) = shingled([sequence], num_chars=num_chars, num_words=num_words)
            assert len(found) == len(set(found)) == len(plain(sequence, num_chars=num_chars, num_words=num_words))
        (tail,) = shingled([sequence[-30:]], num_chars=5, num_words=5)
        assert set(tail) <= set(shingled([sequence], num_chars=5, num_words=5)[0])
