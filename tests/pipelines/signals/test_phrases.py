"""Phrases are found wherever a plain search finds them, and never across texts."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.signals.phrases import PhraseIndex, hash_phrases
from ctllm.pipelines.signals.words import units_of

WORDS = st.lists(st.sampled_from("甲乙丙丁"), min_size=1, max_size=5).map("".join)


@settings(deadline=None)  # the first call compiles
@given(st.lists(WORDS, max_size=6), st.lists(st.text(st.sampled_from("甲乙丙丁"), max_size=20), max_size=4))
def test_matches_equal_a_plain_search(phrases: list[str], texts: list[str]) -> None:
    """Every occurrence of every phrase is found once, shorter before longer at one place."""
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
