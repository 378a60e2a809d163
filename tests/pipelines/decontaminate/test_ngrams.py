"""The table of n-grams against plain Python sets."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.decontaminate.ngrams import NgramTable, hash_grams
from ctllm.pipelines.signals.words import units_of

TEXTS = st.lists(st.text("甲乙丙", max_size=30), min_size=1, max_size=4)


@settings(deadline=None)  # the first call compiles
@given(TEXTS, TEXTS, st.integers(1, 9), st.integers(0, 6))
def test_every_occurrence_is_found_once(items: list[str], texts: list[str], shortest: int, more: int) -> None:
    """Whatever sizes are mixed, each place in each text where an n-gram stands is found, in order, and no other."""
    grams = {
        item[at : at + size]
        for item in items
        for size in {shortest, shortest + more}
        for at in range(len(item) - size + 1)
    }
    listed = sorted(grams)
    units = units_of(listed)
    table = NgramTable.build(units, units.offsets[:-1], units.offsets[1:] - units.offsets[:-1])
    number = dict(
        zip(listed, hash_grams(units.ids, units.offsets[:-1], units.offsets[1:] - units.offsets[:-1]), strict=True)
    )
    searched = units_of(texts)
    starts, sizes, rows = table.find(searched)
    expected = [
        (int(searched.offsets[row]) + at, size, number[text[at : at + size]])
        for row, text in enumerate(texts)
        for at in range(len(text))
        for size in sorted({shortest, shortest + more})
        if text[at : at + size] in grams and at + size <= len(text)
    ]
    found = list(zip(starts.tolist(), sizes.tolist(), (table.hashes[row] for row in rows), strict=True))
    assert found == expected
