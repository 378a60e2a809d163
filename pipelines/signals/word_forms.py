"""Words that are numbers or capitals, and marks between words: what Gopher, C4 and the Pretrainer's Guide count."""

import unicodedata
from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import LATIN, MARK, WORD, class_table
from ctllm.pipelines.signals.signs import CAPITAL, CURLY, ELLIPSIS, FULL_STOP, HASH, NUMBER, PAIR, Signs
from ctllm.pipelines.signals.words import Units

COLUMNS = ("non_alpha_word_share", "upper_case_word_share", "symbols_per_word", "curly_bracket_share")
_LETTER, _NO_CAPITAL = 1, 2  # of a code point's form: any letter; a letter that is no Latin capital


def measure_word_forms(
    codepoints: np.ndarray, offsets: np.ndarray, units: Units, *, classes: np.ndarray, signs: Signs
) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64.

    A word is a run of letters, digits and their marks. It is a number when it begins with a digit and has no letter,
    and in capitals when it begins with two Latin letters (½ counts as one), the denominator, and all are capitals.
    """
    values = np.zeros((len(offsets) - 1, len(COLUMNS)))
    num_units = np.maximum(np.diff(units.offsets), 1)
    listed = signs.places, signs.kinds, signs.offsets
    _measure(codepoints, offsets, classes, *listed, _form_table(), num_units, values)
    return {name: values[:, column] for column, name in enumerate(COLUMNS)}


@cache
def _form_table() -> np.ndarray:
    """Form of every code point: (1,114,112,), uint8 bits."""
    classes = class_table()
    table = np.zeros(len(classes), np.uint8)
    for codepoint in np.flatnonzero(classes & WORD).tolist():
        character = chr(codepoint)
        if unicodedata.category(character)[0] == "L":
            is_capital = classes[codepoint] & LATIN and character.isupper()
            table[codepoint] = _LETTER if is_capital else _LETTER | _NO_CAPITAL
    return table


@kernel
def _measure(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    places: np.ndarray,
    kinds: np.ndarray,
    sign_offsets: np.ndarray,
    forms: np.ndarray,
    num_units: np.ndarray,
    out: np.ndarray,
) -> None:
    for text in range(offsets.shape[0] - 1):
        start, end = offsets[text], offsets[text + 1]
        if start == end:
            continue
        symbols = curly = numbers = capitals = 0
        for k in range(sign_offsets[text], sign_offsets[text + 1]):
            kind, at = kinds[k], np.int64(places[k])
            curly += kind & CURLY != 0
            if kind & (HASH | ELLIPSIS) or kind & (FULL_STOP | PAIR) == FULL_STOP | PAIR:
                symbols += kind & HASH != 0 or _begins_ellipsis(codepoints, start, end, at)
            if kind & (NUMBER | CAPITAL) and (at == start or not classes[at - 1] & (WORD | MARK)):
                form = _form_of_word(codepoints, classes, at, end, forms)
                numbers += kind & NUMBER != 0 and form == 0
                capitals += kind & CAPITAL != 0 and at + 1 < end and form == _LETTER
        out[text, 0] = numbers / num_units[text]
        out[text, 1] = capitals / max(_count_latin(classes[start:end]), 1)
        out[text, 2] = symbols / num_units[text]
        out[text, 3] = curly / (end - start)


@kernel
def _begins_ellipsis(codepoints: np.ndarray, start: int, end: int, at: int) -> bool:
    """Whether a run of … begins at `at` of a text, or a run of three full stops or more."""
    before = codepoints[at - 1] if at > start else np.uint32(0)
    if codepoints[at] != 0x2E:
        return bool(before not in (0x2026, 0x22EF))
    if before == 0x2E or at + 2 >= end:
        return False
    return bool(codepoints[at + 1] == 0x2E and codepoints[at + 2] == 0x2E)


@kernel
def _count_latin(classes: np.ndarray) -> int:
    """Words that begin with two Latin letters; a plain sum over slices, to run on vectors."""
    if classes.shape[0] < 2:
        return 0
    words = np.uint32(0)
    before, first, second = classes[:-2], classes[1:-1], classes[2:]
    for i in range(before.shape[0]):
        words += np.uint32(((first[i] & second[i] & LATIN) != 0) & ((before[i] & (WORD | MARK)) == 0))
    return int(words) + int((classes[0] & classes[1] & LATIN) != 0)


@kernel
def _form_of_word(codepoints: np.ndarray, classes: np.ndarray, at: int, end: int, forms: np.ndarray) -> int:
    """Bits of all letters of the word that begins at `at`, up to the first that is no capital."""
    form = np.uint8(0)
    while at < end and classes[at] & (WORD | MARK) and not form & _NO_CAPITAL:
        form |= forms[codepoints[at]]
        at += 1
    return int(form)
