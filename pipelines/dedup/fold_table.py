"""One table that says, for every code point, what becomes of it in the hashing form and which class it belongs to.

An entry is a uint32: bits 0-20 the folded code point, bits 21-23 its class, bit 24 set where a table is not enough and
NFKC must see the neighbours (`hashing_form.normalised`). Folding is NFKC, lower case, and traditional to simplified.
"""

import functools
import unicodedata

import numpy as np
import opencc

NUM_CODEPOINTS = 0x110000
FOLDED_MASK = 0x1FFFFF
CLASS_SHIFT = 21
CLASS_MASK = 7
NEEDS_CONTEXT = 1 << 24

SEPARATOR = 0  # ends a word, is no token: white space, punctuation, symbols
DROPPED = 1  # as if it were not there: zero-width characters, variation selectors
LETTER = 2  # part of a word: letters and digits of scripts that use words
MARK = 3  # part of the word before it, nothing elsewhere: accents
SYMBOL = 4  # from here on a token of its own: punctuation and operators, in code
CJK = 5  # Han, kana, hangul, bopomofo

_ASSIGNED = np.array([*range(1, 0xD800), *range(0xE000, 0x40000), *range(0xE0000, 0xE0200)])  # else empty or private
_CJK_RANGES = (  # Unicode 17 blocks; punctuation in them is a separator by its category
    (0x1100, 0x11FF), (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x312F), (0x3130, 0x31FF), (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF), (0xA960, 0xA97F), (0xAC00, 0xD7FF), (0xF900, 0xFAFF), (0x1B000, 0x1B16F), (0x20000, 0x3FFFF),
)  # fmt: skip


def fold_table(*, fold_variants: bool, code: bool) -> np.ndarray:
    """The table: (NUM_CODEPOINTS,), uint32, read-only; built once a process, 0.1 s for prose and code together.

    `code` makes punctuation and symbols tokens (SYMBOL) instead of separators and lets `_` belong to words.
    """
    return _tables(fold_variants)[code]


@functools.cache
def _tables(fold_variants: bool) -> tuple[np.ndarray, np.ndarray]:
    """The tables of prose and of code."""
    groups, is_format = _categories()
    classes = _classes(groups, is_format)
    compatible, starts = _parts(unicodedata.normalize("NFKC", _text(_ASSIGNED)))
    folded = _folded(compatible, simplified_variants() if fold_variants else {})
    prose = np.zeros(NUM_CODEPOINTS, np.uint32)  # unassigned and private code points separate
    prose[_ASSIGNED] = folded | classes[folded] << CLASS_SHIFT
    code = prose.copy()
    is_several = np.diff(starts, append=len(compatible)) > 2  # ㎡, ℃, ﬁ; a NUL follows each
    separates = np.logical_and.reduceat((classes[compatible] == SEPARATOR) | (compatible == 0), starts)
    several = _ASSIGNED[is_several]  # not … in prose, where three separators are as good as one
    prose[several] = np.where(separates[is_several], several | SEPARATOR << CLASS_SHIFT, NEEDS_CONTEXT)
    code[several] = NEEDS_CONTEXT
    composes = _composing()
    flagged = _ASSIGNED[~is_several & (composes[_ASSIGNED] | composes[compatible[starts]])]
    prose[flagged] |= NEEDS_CONTEXT
    code[flagged] |= NEEDS_CONTEXT
    _make_symbols_tokens(code, groups)
    prose.flags.writeable = code.flags.writeable = False
    return prose, code


def _text(codepoints: np.ndarray) -> str:
    """These characters with a NUL after each, which keeps them apart: what is done to the text is done to each."""
    separated = np.zeros((len(codepoints), 2), np.uint32)
    separated[:, 0] = codepoints
    return separated.tobytes().decode("utf-32-le")


def _parts(text: str) -> tuple[np.ndarray, np.ndarray]:
    """The code points of what has become of such a text, uint32, and where each part begins; NULs are still there."""
    codepoints = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return codepoints, np.append(0, np.flatnonzero(codepoints == 0)[:-1] + 1)


def _folded(compatible: np.ndarray, variants: dict[str, str]) -> np.ndarray:
    """The first character of each part in lower case, the simplified one of its variants: (n,), uint32."""
    lower, starts = _parts(compatible.tobytes().decode("utf-32-le").lower())  # only İ becomes two
    others = np.arange(NUM_CODEPOINTS, dtype=np.uint32)
    for one, other in {"ς": "σ", **variants}.items():
        others[ord(one)] = ord(other)
    folded: np.ndarray = others[lower[starts]]
    return folded


def _categories() -> tuple[np.ndarray, np.ndarray]:
    """First letter of the Unicode category of every code point, as its number: (NUM_CODEPOINTS,), uint8; 0 unassigned.

    And where the category is that of format characters: (NUM_CODEPOINTS,), bool.
    """
    names = "".join(map(unicodedata.category, map(chr, _ASSIGNED.tolist()))).encode("ascii")
    letters = np.frombuffer(names, np.uint8).reshape(-1, 2)
    groups, is_format = np.zeros(NUM_CODEPOINTS, np.uint8), np.zeros(NUM_CODEPOINTS, bool)
    groups[_ASSIGNED] = letters[:, 0]
    is_format[_ASSIGNED] = (letters == [ord("C"), ord("f")]).all(axis=1)
    return groups, is_format


def _classes(groups: np.ndarray, is_format: np.ndarray) -> np.ndarray:
    """The class of every code point: (NUM_CODEPOINTS,), uint32; of unassigned ones it is LETTER."""
    classes = np.full(NUM_CODEPOINTS, LETTER, np.uint32)
    for first, last in _CJK_RANGES:
        classes[first : last + 1] = CJK
    classes[groups == ord("M")] = MARK
    classes[np.isin(groups, [*b"ZCPS"])] = SEPARATOR
    classes[is_format] = classes[0xFE00:0xFE10] = classes[0xE0000:] = DROPPED
    return classes


def _composing() -> np.ndarray:
    """Characters that NFKC may join with or reorder around the one before them: (NUM_CODEPOINTS,), bool."""
    found = np.zeros(NUM_CODEPOINTS, bool)
    found[0x1161:0x1176] = found[0x11A8:0x11C3] = True  # conjoining vowels and finals
    characters = list(map(chr, _ASSIGNED.tolist()))
    found[_ASSIGNED] |= np.fromiter(map(unicodedata.combining, characters), np.uint8, len(characters)) > 0
    for decomposition in filter(None, map(unicodedata.decomposition, characters)):
        parts = decomposition.split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            found[int(parts[1], 16)] = True
    return found


@functools.cache
def simplified_variants() -> dict[str, str]:
    """Han character to the one that stands for all its variants (Hong Kong, Taiwan, traditional), where they differ.

    Character by character: on opencc's own s2t, s2tw and s2hk of 3.2 M Chinese characters 2 in 10,000 differ
    afterwards (了/瞭, 复/覆, which need the word around them); measured 2026-11.
    """
    han = "\n".join(chr(each) for first, last in _CJK_RANGES if first >= 0x3400 for each in range(first, last + 1)
                    if not 0xA000 <= each < 0xF900)  # fmt: skip
    folded = opencc.OpenCC("tw2s").convert(opencc.OpenCC("hk2s").convert(han))
    return {one: other for one, other in zip(han.split("\n"), folded.split("\n"), strict=True) if one != other}


def _make_symbols_tokens(table: np.ndarray, groups: np.ndarray) -> None:
    points = _ASSIGNED[table[_ASSIGNED] & NEEDS_CONTEXT == 0]
    folded = table[points] & FOLDED_MASK  # its category decides: the radical ⼀ is a symbol, 一 a character
    is_symbol = np.isin(groups[folded], [*b"PS"])
    kinds = np.where(folded == ord("_"), LETTER, SYMBOL).astype(np.uint32)
    table[points[is_symbol]] = (folded | kinds << CLASS_SHIFT)[is_symbol]
