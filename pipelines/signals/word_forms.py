"""Words that are numbers or capitals, and marks between words: what Gopher, C4 and the Pretrainer's Guide count."""

import unicodedata
from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.characters import DIGIT, LATIN, MARK, WORD, class_table
from ctllm.pipelines.signals.words import Units

COLUMNS = ("non_alpha_word_share", "upper_case_word_share", "symbols_per_word", "curly_bracket_share")
_BLOCK = 64  # characters looked at together; chosen, untested
_LETTER, _NO_CAPITAL = 1, 2  # of a code point's form: any letter; a letter that is no Latin capital


def measure_word_forms(
    codepoints: np.ndarray, offsets: np.ndarray, units: Units, *, classes: np.ndarray
) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64.

    A word is a run of letters, digits and their marks. It is a number when it begins with a digit and has no letter,
    and in capitals when it begins with two Latin letters (½ counts as one), the denominator, and all are capitals.
    """
    values = np.zeros((len(offsets) - 1, len(COLUMNS)))
    num_units = np.maximum(np.diff(units.offsets), 1)
    _measure(codepoints, offsets, classes, _form_table(), num_units, values)
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
    forms: np.ndarray,
    num_units: np.ndarray,
    out: np.ndarray,
) -> None:
    for text in range(offsets.shape[0] - 1):
        start, end = offsets[text], offsets[text + 1]
        if start == end:
            continue
        hashes, ellipses, curly = _count_marks(codepoints[start:end])
        numbers, capitals = _count_words(codepoints[start:end], classes[start:end], forms)
        out[text, 0] = numbers / num_units[text]
        out[text, 1] = capitals / max(_count_latin(classes[start:end]), 1)
        out[text, 2] = (hashes + ellipses) / num_units[text]
        out[text, 3] = curly / (end - start)


@kernel
def _count_marks(codepoints: np.ndarray) -> tuple[int, int, int]:
    """Hash signs, ellipses (runs of … or of three full stops and more), curly brackets; plain sums, for vectors."""
    hashes = ellipses = curly = np.uint32(0)
    for i in range(codepoints.shape[0]):
        each = codepoints[i]
        hashes += np.uint32((each == 0x23) | (each == 0xFF03))
        curly += np.uint32((each == 0x7B) | (each == 0x7D))
        ellipses += np.uint32((each == 0x2026) | (each == 0x22EF))
    before, after = codepoints[:-1], codepoints[1:]
    for i in range(after.shape[0]):  # less those that go on
        goes_on = ((before[i] == 0x2026) | (before[i] == 0x22EF)) & ((after[i] == 0x2026) | (after[i] == 0x22EF))
        ellipses -= np.uint32(goes_on)
    first, second, third, fourth = codepoints[:-3], codepoints[1:-2], codepoints[2:-1], codepoints[3:]
    for i in range(fourth.shape[0]):
        dots = (second[i] == 0x2E) & (third[i] == 0x2E) & (fourth[i] == 0x2E)
        ellipses += np.uint32(dots & (first[i] != 0x2E))
    if codepoints.shape[0] > 2:
        ellipses += np.uint32((codepoints[0] == 0x2E) & (codepoints[1] == 0x2E) & (codepoints[2] == 0x2E))
    return int(hashes), int(ellipses), int(curly)


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
def _count_words(codepoints: np.ndarray, classes: np.ndarray, forms: np.ndarray) -> tuple[int, int]:
    """Numbers, and words in capitals. Only blocks that may hold the beginning of one are looked through."""
    numbers = capitals = 0
    size = codepoints.shape[0]
    for start in range(0, size, _BLOCK):
        end = min(start + _BLOCK, size)
        is_inside = start > 0 and end < size
        if is_inside and not _may_hold(codepoints[start : end + 1], classes[start - 1 : end + 1]):
            continue
        for i in range(start, end):
            bits = classes[i]
            if i > 0 and classes[i - 1] & (WORD | MARK):
                continue
            if bits & DIGIT:
                numbers += _form_of_word(codepoints[i:], classes[i:], forms) == 0
            elif bits & LATIN and i + 1 < size and classes[i + 1] & LATIN and _is_no_lower(codepoints[i + 1]):
                capitals += _form_of_word(codepoints[i:], classes[i:], forms) == _LETTER
    return numbers, capitals


@kernel
def _may_hold(codepoints: np.ndarray, classes: np.ndarray) -> bool:
    """Whether a block, given with the class before and both after, may begin a number or a word in capitals."""
    found = np.uint16(0)
    before, this, after = classes[:-2], classes[1:-1], classes[2:]
    each, following = codepoints[:-1], codepoints[1:]
    for i in range(each.shape[0]):
        is_capital = _is_no_lower(each[i]) & _is_no_lower(following[i]) & ((this[i] & after[i] & LATIN) != 0)
        begins = (before[i] & (WORD | MARK)) == 0
        found |= np.uint16((is_capital | ((this[i] & DIGIT) != 0)) & begins)
    return bool(found)


@kernel
def _is_no_lower(codepoint: np.uint32) -> bool:
    """Whether a Latin letter is a capital or none of ASCII."""
    return bool((codepoint <= 0x5A) | (codepoint > 0x7F))


@kernel
def _form_of_word(codepoints: np.ndarray, classes: np.ndarray, forms: np.ndarray) -> int:
    """Bits of all letters of the word at the beginning, up to the first that is no capital."""
    form, end = np.uint8(0), 0
    while end < codepoints.shape[0] and classes[end] & (WORD | MARK) and not form & _NO_CAPITAL:
        form |= forms[codepoints[end]]
        end += 1
    return int(form)
