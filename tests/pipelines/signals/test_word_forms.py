"""Numbers, capitals and marks are counted by word, as Gopher counts them."""

import re
import unicodedata

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.signals.characters import class_table
from ctllm.pipelines.signals.signs import find_signs
from ctllm.pipelines.signals.word_forms import measure_word_forms
from ctllm.pipelines.signals.words import split_units, units_of


def measured(texts: list[str]) -> list[dict[str, float]]:
    """The signals of every text by name, measured as one batch."""
    codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
    classes = class_table()[codepoints]
    units = split_units(codepoints, offsets, classes=classes)
    signs = find_signs(codepoints, offsets)
    signals = measure_word_forms(codepoints, offsets, units, classes=classes, signs=signs)
    return [{name: float(values[row]) for name, values in signals.items()} for row in range(len(texts))]


def plain(text: str) -> dict[str, float]:
    """The same with regular expressions, for the characters below."""
    runs = re.findall(r"[A-Za-zéÉя１2½Ω\u0301]+", text)
    letters = [[char for char in run if unicodedata.category(char)[0] == "L"] for run in runs]
    latin = [word for run, word in zip(runs, letters, strict=True) if re.match("[A-Za-zéÉ½]{2}", run)]
    capitals = [word for word in latin if word and all("LATIN CAPITAL" in unicodedata.name(char) for char in word)]
    numbers = [run for run, word in zip(runs, letters, strict=True) if run[0] in "１2" and not word]
    num_units = max(len(units_of([text]).ids), 1)
    return {
        "non_alpha_word_share": len(numbers) / num_units,
        "upper_case_word_share": len(capitals) / max(len(latin), 1),
        "symbols_per_word": len(re.findall(r"[#＃]|[…⋯]+|\.{3,}", text)) / num_units,
        "curly_bracket_share": sum(char in "{}" for char in text) / max(len(text), 1),
    }


@settings(max_examples=300)  # the first call compiles
@given(st.lists(st.text("汉のABaéÉяΩ１2½\u0301 \n.....…⋯#＃{}-", max_size=30), max_size=4))
def test_word_forms_equal_a_plain_version(texts: list[str]) -> None:
    """Several texts at once, with accents, wide digits and letters of other scripts."""
    for found, text in zip(measured(texts), texts, strict=True):
        assert found == pytest.approx(plain(text), abs=1e-12), text


def test_a_worked_example() -> None:
    """Two of six words are numbers, two of three words of two letters are in capitals, two marks stand between them."""
    (found,) = measured(["BUY NOW a 100 items 2.... #{}"])
    assert found == pytest.approx(
        {
            "non_alpha_word_share": 2 / 6,
            "upper_case_word_share": 2 / 3,
            "symbols_per_word": 2 / 6,
            "curly_bracket_share": 2 / 29,
        }
    )
