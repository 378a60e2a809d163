"""Repetition signals equal a slow plain version over lists of units."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.signals.repetition import DUPLICATE_SIZES, TOP_SIZES, measure_repetition
from ctllm.pipelines.signals.words import units_of

UNITS = st.lists(st.sampled_from(["一", "二", "三", "ab", "cde"]), max_size=60)
PHRASES = st.lists(st.sampled_from([*"一二甲乙丙", "天地玄黄宇", "地玄黄宇宙洪荒"]), max_size=30).map("".join).map(list)


def measured(text: str) -> dict[str, float]:
    """Signals of one text by name."""
    return {name: float(values[0]) for name, values in measure_repetition(units_of([text])).items()}


def covered(units: list[str], starts: list[int], size: int) -> int:
    """Characters of the units that n-grams at `starts` cover."""
    return sum(len(units[i]) for i in {start + k for start in starts for k in range(size)})


def plain(units: list[str]) -> dict[str, float]:
    """The same shares with dictionaries of tuples and sets of positions."""
    total = max(sum(map(len, units)), 1)
    signals = {"distinct_word_share": len(set(units)) / max(len(units), 1)}
    for size in (*TOP_SIZES, *DUPLICATE_SIZES):
        places: dict[tuple[str, ...], list[int]] = {}
        for i in range(len(units) - size + 1):
            places.setdefault(tuple(units[i : i + size]), []).append(i)
        repeated = [starts for starts in places.values() if len(starts) > 1]
        if size in TOP_SIZES:
            signals[f"top_{size}gram_share"] = (
                max((covered(units, starts, size) for starts in repeated), default=0) / total
            )
        else:
            later = [start for starts in repeated for start in starts[1:]]
            signals[f"duplicate_{size}gram_share"] = covered(units, later, size) / total
    return signals


@given(UNITS | PHRASES)
def test_repetition_equals_a_plain_python_version(units: list[str]) -> None:
    """Skipping what the smaller n-gram ruled out changes no value."""
    assert measured(" ".join(units)) == pytest.approx(plain(units), abs=1e-12)


def test_one_text_does_not_repeat_another() -> None:
    """Repetition is counted within a document, never across the batch."""
    sentence = "每一篇文章都只和自己比较，从不和别人比较。"
    signals = measure_repetition(units_of([sentence, sentence, sentence * 2]))
    assert signals["duplicate_10gram_share"].tolist() == [0.0, 0.0, 0.5]


def test_a_text_three_times_over_has_two_thirds_duplicates() -> None:
    """The first occurrence is free: n copies give (n - 1) / n."""
    text = "The quick brown fox jumps over the lazy dog near a river bank today. "
    assert measured(text * 3)["duplicate_10gram_share"] == pytest.approx(2 / 3)


def test_laughter_is_covered_whole() -> None:
    """Overlapping occurrences count each character once, so a share never exceeds one."""
    signals = measured("哈" * 40)
    assert signals["top_2gram_share"] == 1.0
    assert signals["duplicate_5gram_share"] == pytest.approx(39 / 40)


def test_a_pair_beyond_the_counter_still_covers_most() -> None:
    """A pair that stands more often than its counter counts is not ruled out by one with the larger bound."""
    assert measured("一二" * 200_000 + "abc de " * 40_000)["top_2gram_share"] == pytest.approx(2 / 3, abs=1e-5)
