"""Characters are counted text by text."""

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.character_counts import count_characters


@given(st.lists(st.text("aab汉汉𠀀 \n")))
def test_counts_are_those_of_each_text(texts: list[str]) -> None:
    """In the order in which a text holds them first; the counts of one text are gone when the next begins."""
    found = count_characters(*decode_utf8(*text_buffers(pa.array(texts, pa.large_string()))))
    for row, text in enumerate(texts):
        part = slice(found.offsets[row], found.offsets[row + 1])
        characters, counts = map(chr, found.codepoints[part].tolist()), found.counts[part].tolist()
        assert list(zip(characters, counts, strict=True)) == list(Counter(text).items())
