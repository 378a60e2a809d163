"""Units are Han characters and words; equal units under NFKC and lower case have equal numbers."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.signals.vocabulary import EN_STOP_WORDS, ZH_FUNCTION_CHARACTERS
from ctllm.pipelines.signals.words import measure_words, units_of

TEXT = st.text(
    st.sampled_from("汉的𠀀〇かカｶ한a bTHEthe1٣é\u0301\ufe0f\u200d👩，.\n'") | st.characters(exclude_categories=["Cs"]),
    max_size=60,
)


def is_single(char: str) -> bool:
    """Whether a character is a unit of its own."""
    han = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFD))
    kana = ((0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FC, 0x30FF), (0xFF66, 0xFF9F))
    ranges = (*han, *kana, (0xAC00, 0xD7A3))
    return char in "々〇" or any(first <= ord(char) <= last for first, last in ranges)


def plain_units(text: str) -> list[str]:
    """Units with Python's own Unicode data, folded."""
    units: list[str] = []
    is_open = False
    for char in text:
        kind = "S" if is_single(char) else unicodedata.category(char)[0]
        if is_single(char):
            units.append(char)
            is_open = False
        elif kind in "LN" or (kind == "M" and is_open):
            units[-1:] = [units[-1] + char] if is_open else [*units[-1:], char]
            is_open = True
        else:
            is_open = False
    return ["".join(map(fold, unit)) for unit in units]


def fold(char: str) -> str:
    """What a character counts as in comparisons."""
    folded = unicodedata.normalize("NFKC", char).lower()
    return folded if len(folded) == 1 else char


@given(TEXT, TEXT)
def test_units_equal_a_plain_python_version(first: str, second: str) -> None:
    """Two texts have equal unit numbers where, and only where, their units fold alike; lengths count characters."""
    units = units_of([first, second])
    expected = plain_units(first) + plain_units(second)
    assert units.offsets.tolist() == [0, len(plain_units(first)), len(expected)]
    assert units.lengths.tolist() == [len(unit) for unit in expected]
    assert (
        len(set(zip(units.ids.tolist(), expected, strict=True))) == len(set(units.ids.tolist())) == len(set(expected))
    )


@given(TEXT)
def test_word_signals_equal_a_plain_python_version(text: str) -> None:
    """Counts, mean length and function-word share are what Python lists give."""
    units = plain_units(text)
    stops = [unit for unit in units if unit in ZH_FUNCTION_CHARACTERS | EN_STOP_WORDS]
    signals = {name: values[0] for name, values in measure_words(units_of([text])).items()}
    assert signals == {
        "num_words": len(units),
        "mean_word_chars": pytest.approx(sum(map(len, units)) / max(len(units), 1)),
        "stop_word_share": pytest.approx(len(stops) / max(len(units), 1)),
    }


def test_width_and_case_do_not_part_words() -> None:
    """Ｌｉｎｕｘ, LINUX and linux are one word."""
    assert len(set(units_of(["Ｌｉｎｕｘ", "LINUX", "linux"]).ids.tolist())) == 1


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 255, 256])
def test_words_of_any_length_differ_in_any_letter(length: int) -> None:
    """A word's number counts every one of its letters and nothing behind it, also where the loop over places begins."""
    changed = ["a" * place + "b" + "a" * (length - place - 1) for place in range(length)]
    ids = units_of(["a" * length, *changed]).ids
    assert len(set(ids.tolist())) == length + 1
    assert units_of(["b " + "a" * length + " b"]).ids[1] == ids[0]


def test_a_unit_knows_where_it_begins() -> None:
    """Starts count the code points of the whole batch; marks and punctuation between units are passed over."""
    units = units_of(["ab，\u0301c汉", "", "汉e\u0301 x"])
    assert units.starts.tolist() == [0, 4, 5, 6, 7, 10]
    assert units.lengths.tolist() == [2, 1, 1, 1, 2, 1]
    assert units.chars.tolist() == [4, 0, 4]
