"""The hashing form of a text: the sequence of its tokens, which is all that dedup ever sees.

A Han, kana or hangul character is a token; elsewhere a word is one. Case, width, accents' encoding, white space, line
breaks and punctuation do not exist in it, nor (if wanted) the difference of traditional and simplified. In code every
operator is a token as well. A token is a 64-bit hash whose lowest bit says that it is a CJK character.
"""

import unicodedata

import numba as nb
import numpy as np

from ctllm.pipelines.dedup.fold_table import (
    CJK,
    CLASS_MASK,
    CLASS_SHIFT,
    FOLDED_MASK,
    LETTER,
    MARK,
    NEEDS_CONTEXT,
    SEPARATOR,
    SYMBOL,
    fold_table,
)

_SEED = np.uint64(0xCBF29CE484222325)  # FNV-1a offset basis
_PRIME = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
_FINAL = np.uint64(0xFF51AFD7ED558CCD)  # MurmurHash3 fmix64
_HALF = np.uint64(32)
_ONE = np.uint64(1)
_BLOCK_CHARS = 256  # a few of a thousand characters need their neighbours, mostly in runs; chosen, untested
_ASCII_CHARS = 128  # looked at together; of 32 and 64 more are ASCII, and looking costs more (2026-11)
_NOT_ASCII = np.uint32(0x80)
_LETTER_BIT = np.uint32(CLASS_SHIFT + 1)  # of the classes that ASCII has, only LETTER has this bit …
_SYMBOL_BIT = np.uint32(CLASS_SHIFT + 2)  # … and only SYMBOL this one


def tokens(
    codepoints: np.ndarray, offsets: np.ndarray, *, is_code: np.ndarray, fold_variants: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Token hashes of every text: (tokens,), uint64, and (texts + 1,), int64 offsets into them.

    `is_code` (texts,), bool, chooses per text between prose and code. Roughly 500 MB/s of Chinese per core.
    """
    prose = fold_table(fold_variants=fold_variants, code=False)
    code = fold_table(fold_variants=fold_variants, code=True) if is_code.any() else prose
    starts, ends, folded, folded_offsets = _composed(codepoints, offsets, code)  # flags what prose does, and …
    growth = max(0, len(folded) - int((ends - starts).sum()))
    found = np.empty(len(codepoints) + growth + 1, np.uint64)  # the kernel writes one ahead
    found_offsets = np.empty(len(offsets), np.int64)
    _tokenise(codepoints, offsets, is_code, prose, code, starts, ends, folded, folded_offsets, found, found_offsets)
    return found[: found_offsets[-1]], found_offsets


def _composed(
    codepoints: np.ndarray, offsets: np.ndarray, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Where one table entry per code point does not give NFKC, as for ㎡ or e + accent, and what it gives there.

    Start and end of each such stretch, int64; the code points that take their places, uint32, and their offsets. The
    characters concerned, each with the one before it, are enough: NFKC reaches no further.
    """
    starts, ends = _segments(_flagged_positions(codepoints, table), offsets)
    stretches = zip(starts.tolist(), ends.tolist(), strict=True)
    folded = [unicodedata.normalize("NFKC", codepoints[a:b].tobytes().decode("utf-32-le")) for a, b in stretches]
    folded_offsets = np.cumsum([0, *map(len, folded)], dtype=np.int64)
    return starts, ends, np.frombuffer("".join(folded).encode("utf-32-le"), np.uint32), folded_offsets


def _segments(flagged: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each run of flagged code points with the one before it, never across two texts."""
    text_starts = offsets[np.searchsorted(offsets, flagged, side="right") - 1]
    starts = np.maximum(flagged - 1, text_starts)
    is_apart = starts > np.concatenate([[-1], flagged])[:-1]
    return starts[is_apart], flagged[np.append(is_apart, True)[1:]] + 1


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _flagged_positions(codepoints: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Looks in blocks, of which nearly all hold none: only there is it asked which character it was."""
    positions = np.empty(16, np.int64)
    used = 0
    for start in range(0, codepoints.shape[0], _BLOCK_CHARS):
        block = codepoints[start : start + _BLOCK_CHARS]
        if _is_ascii(block):
            continue
        together = np.uint32(0)
        for i in range(block.shape[0]):
            together |= table[block[i]]
        if not together & NEEDS_CONTEXT:
            continue
        if used + block.shape[0] > positions.shape[0]:
            grown = np.empty(2 * (used + block.shape[0]), np.int64)
            grown[:used] = positions[:used]
            positions = grown
        for i in range(block.shape[0]):
            if table[block[i]] & NEEDS_CONTEXT:
                positions[used] = start + i
                used += 1
    return positions[:used]


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _tokenise(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    is_code: np.ndarray,
    prose: np.ndarray,
    code: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    folded: np.ndarray,
    folded_offsets: np.ndarray,
    found: np.ndarray,
    found_offsets: np.ndarray,
) -> None:
    """Tokens of each text, in which the stretches `starts` to `ends` read as `folded` does."""
    used = np.uint64(0)  # unsigned, or every index is looked at for being negative
    stretch = 0
    found_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        table = code if is_code[text] else prose
        word = _SEED
        is_open = False
        position, stop = offsets[text], offsets[text + 1]
        while stretch < starts.shape[0] and starts[stretch] < stop:
            plain = codepoints[position : starts[stretch]]
            used, word, is_open = _take(plain, table, found, used, word, is_open)
            composed = folded[folded_offsets[stretch] : folded_offsets[stretch + 1]]
            used, word, is_open = _take(composed, table, found, used, word, is_open)
            position = ends[stretch]
            stretch += 1
        used, word, is_open = _take(codepoints[position:stop], table, found, used, word, is_open)
        found[used] = word & ~_ONE
        used += np.uint64(is_open)
        _mix(found[found_offsets[text] : used])
        found_offsets[text + 1] = used


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _is_ascii(codepoints: np.ndarray) -> bool:
    is_wide = False
    for i in range(codepoints.shape[0]):
        is_wide |= codepoints[i] >= _NOT_ASCII
    return not is_wide


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _take(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray, table: np.ndarray, found: np.ndarray, used: np.uint64, word: np.uint64, is_open: bool
) -> tuple[np.uint64, np.uint64, bool]:
    """Writes the tokens of a piece of text; gives the room used, the word that goes on behind it and if there is one.

    What may be a token is written at `used`, which moves on if it is one.
    """
    start = 0
    while start < codepoints.shape[0]:
        block = codepoints[start : start + _ASCII_CHARS]
        if _is_ascii(block):
            used, word, is_open = _take_ascii(block, table, found, used, word, is_open)
            start += _ASCII_CHARS
        else:
            block = codepoints[start : start + _BLOCK_CHARS]
            used, word, is_open = _take_any(block, table, found, used, word, is_open)
            start += _BLOCK_CHARS
    return used, word, is_open


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _take_ascii(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray, table: np.ndarray, found: np.ndarray, used: np.uint64, word: np.uint64, is_open: bool
) -> tuple[np.uint64, np.uint64, bool]:
    """Without branches, for where words end cannot be foretold: 1.7 times as fast on English and code."""
    was_letter = np.uint64(is_open)
    for position in range(codepoints.shape[0]):
        entry = table[codepoints[position]]
        folded = np.uint64(entry & FOLDED_MASK)
        is_letter = np.uint64(entry >> _LETTER_BIT) & _ONE
        found[used] = word & ~_ONE
        used += was_letter & ~is_letter
        found[used] = (folded << _ONE) * _PRIME
        used += np.uint64(entry >> _SYMBOL_BIT) & _ONE
        longer = (word ^ folded) * _PRIME
        word = longer if is_letter else _SEED
        was_letter = is_letter
    return used, word, was_letter != 0


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _take_any(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray, table: np.ndarray, found: np.ndarray, used: np.uint64, word: np.uint64, is_open: bool
) -> tuple[np.uint64, np.uint64, bool]:
    """Branches on what begins or ends a word alone, which Chinese rarely does: 1.8 times as fast as without."""
    for position in range(codepoints.shape[0]):
        entry = table[codepoints[position]]
        kind = (entry >> CLASS_SHIFT) & CLASS_MASK
        folded = np.uint64(entry & FOLDED_MASK)
        if (kind == SEPARATOR) | (kind >= SYMBOL):
            if is_open:
                found[used] = word & ~_ONE
                used += _ONE
                word = _SEED
                is_open = False
            found[used] = ((folded << _ONE) | np.uint64(kind == CJK)) * _PRIME
            used += np.uint64(kind >= SYMBOL)
        else:
            joins = (kind == LETTER) | ((kind == MARK) & is_open)
            word = (word ^ folded) * _PRIME if joins else word
            is_open |= joins
    return used, word, is_open


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _mix(found: np.ndarray) -> None:
    """Spreads every token over 64 bits in place and leaves its lowest bit, the script, as it is."""
    for i in range(found.shape[0]):
        raw = found[i]
        mixed = (raw ^ (raw >> _HALF)) * _FINAL
        found[i] = ((mixed ^ (mixed >> _HALF)) & ~_ONE) | (raw & _ONE)
