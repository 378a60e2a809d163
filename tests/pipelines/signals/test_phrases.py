"""Phrases are found wherever a plain search finds them, and never across texts."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.signals.phrases import PhraseIndex, hash_phrases
from ctllm.pipelines.signals.words import units_of

WORDS = st.lists(st.sampled_from("甲乙丙丁"), min_size=1, max_size=5).map("".join)


LONG_WORDS = st.lists(st.sampled_from("甲乙"), min_size=6, max_size=14).map("".join)
TEXTS = st.lists(st.text(st.sampled_from("甲乙丙丁"), max_size=20), max_size=4)
LONG_TEXTS = st.lists(st.text(st.sampled_from("甲乙"), max_size=60), max_size=4)


@given(st.one_of(
    st.tuples(st.lists(WORDS, max_size=6), TEXTS),
    st.tuples(st.lists(LONG_WORDS, min_size=1, max_size=9), LONG_TEXTS),
))  # fmt: skip
def test_matches_equal_a_plain_search(drawn: tuple[list[str], list[str]]) -> None:
    """Every occurrence of every phrase is found once, shorter before longer at one place, short phrases and n-grams."""
    phrases, texts = drawn
    listed = units_of(phrases)
    sizes = np.diff(listed.offsets)
    index = PhraseIndex.build(listed, listed.offsets[:-1], sizes)
    matches = index.find(units_of(texts))
    numbers = dict(
        zip(phrases, np.searchsorted(index.hashes, hash_phrases(listed, listed.offsets[:-1], sizes)), strict=True)
    )
    starts = np.cumsum([0, *map(len, texts)])
    expected = [
        (int(starts[i]) + at, len(phrase), int(numbers[phrase]))
        for i, text in enumerate(texts)
        for at in range(len(text))
        for phrase in sorted(set(phrases), key=len)
        if text.startswith(phrase, at)
    ]
    found = zip(matches.starts.tolist(), matches.lengths.tolist(), matches.phrases.tolist(), strict=True)
    assert list(found) == expected


def test_a_phrase_does_not_reach_into_the_next_text() -> None:
    """The end of one document and the beginning of the next make no match."""
    phrase = units_of(["甲乙丙丁"])
    index = PhraseIndex.build(phrase, phrase.offsets[:-1], np.diff(phrase.offsets))
    assert index.find(units_of(["甲乙丙", "丁甲乙丙丁"])).starts.tolist() == [4]


def test_n_grams_are_looked_for_at_some_places_only() -> None:
    """Thirteen units hold nine heads of five, so one place in nine is looked at; beside a short phrase all are."""
    listed = units_of(["甲乙丙丁戊己庚辛壬癸子丑寅", "甲乙"])
    sizes = np.diff(listed.offsets)
    index = PhraseIndex.build(listed, listed.offsets[:1], sizes[:1])
    assert (index.head_units, index.stride) == (5, 9)
    both = PhraseIndex.build(listed, listed.offsets[:-1], sizes)
    assert (both.head_units, both.stride) == (2, 1)


def test_an_n_gram_is_found_at_every_place_of_a_text() -> None:
    """However it falls on the places that are looked at, and right up to both ends of a text, it is found."""
    listed = units_of(["甲乙丙丁戊己庚辛壬癸"])
    index = PhraseIndex.build(listed, listed.offsets[:-1], np.diff(listed.offsets))
    assert index.stride == 6
    texts = ["子" * at + "甲乙丙丁戊己庚辛壬癸" + "丑" * after for at in range(13) for after in (0, 1, 7)]
    units = units_of(texts)
    expected = [int(units.offsets[row]) + text.index("甲") for row, text in enumerate(texts)]
    assert index.find(units).starts.tolist() == expected


@given(st.lists(WORDS, max_size=5), st.lists(WORDS, max_size=5), TEXTS)
def test_one_index_over_two_lists_finds_what_each_would(one: list[str], other: list[str], texts: list[str]) -> None:
    """Renumbered, the matches of both lists together are those of a list alone."""
    units = units_of(texts)
    both, alone = PhraseIndex.of_terms(one + other), PhraseIndex.of_terms(one)
    found, expected = both.find(units).renumbered(both.rows_in(alone)), alone.find(units)
    for name in ("starts", "lengths", "phrases"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()
