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


def tokens(
    codepoints: np.ndarray, offsets: np.ndarray, *, is_code: np.ndarray, fold_variants: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Token hashes of every text: (tokens,), uint64, and (texts + 1,), int64 offsets into them.

    `is_code` (texts,), bool, chooses per text between prose and code. Roughly 500 MB/s of Chinese per core.
    """
    prose = fold_table(fold_variants=fold_variants, code=False)
    code = fold_table(fold_variants=fold_variants, code=True) if is_code.any() else prose
    codepoints, offsets = normalised(codepoints, offsets, table=code)  # flags what prose does, and … as well
    found = np.empty(len(codepoints) + 1, np.uint64)  # the kernel writes one ahead
    found_offsets = np.empty(len(offsets), np.int64)
    used = _tokenise(codepoints, offsets, is_code, prose, code, found, found_offsets)
    _mix(found[:used])
    return found[:used], found_offsets


def normalised(codepoints: np.ndarray, offsets: np.ndarray, *, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The texts with NFKC applied wherever one table entry per code point does not give it, e.g. ㎡ or e + accent.

    Only the characters concerned, each with the one before it, are taken out and put back: NFKC reaches no further.
    """
    flagged = _flagged_positions(codepoints, table)
    if not len(flagged):
        return codepoints, offsets
    starts, ends = _segments(flagged, offsets)
    pieces: list[np.ndarray] = []
    growth = np.zeros(len(starts) + 1, np.int64)
    position = 0
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        folded = unicodedata.normalize("NFKC", codepoints[start:end].tobytes().decode("utf-32-le"))
        pieces += [codepoints[position:start], np.frombuffer(folded.encode("utf-32-le"), np.uint32)]
        growth[number + 1] = growth[number] + len(folded) - (end - start)
        position = end
    pieces.append(codepoints[position:])
    return np.concatenate(pieces), offsets + growth[np.searchsorted(ends, offsets, side="right")]


def _segments(flagged: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each run of flagged code points with the one before it, never across two texts."""
    text_starts = offsets[np.searchsorted(offsets, flagged, side="right") - 1]
    starts = np.maximum(flagged - 1, text_starts)
    is_apart = starts[1:] > flagged[:-1]
    return starts[np.append(True, is_apart)], flagged[np.append(is_apart, True)] + 1


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _flagged_positions(codepoints: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Looks in blocks, of which nearly all hold none: only there is it asked which character it was."""
    positions = np.empty(16, np.int64)
    used = 0
    for start in range(0, codepoints.shape[0], _BLOCK_CHARS):
        block = codepoints[start : start + _BLOCK_CHARS]
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
    found: np.ndarray,
    found_offsets: np.ndarray,
) -> int:
    """Only what begins or ends a word is branched on, which Chinese rarely does: 1.8 times as fast as without branches.

    What may be a token is written at `used`, which moves on if it is one.
    """
    used = 0
    found_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        table = code if is_code[text] else prose
        word = _SEED
        is_open = False
        for position in range(offsets[text], offsets[text + 1]):
            entry = table[codepoints[position]]
            kind = (entry >> CLASS_SHIFT) & CLASS_MASK
            folded = np.uint64(entry & FOLDED_MASK)
            if (kind == SEPARATOR) | (kind >= SYMBOL):
                if is_open:
                    found[used] = word & ~_ONE
                    used += 1
                    word = _SEED
                    is_open = False
                found[used] = ((folded << _ONE) | np.uint64(kind == CJK)) * _PRIME
                used += kind >= SYMBOL
            else:
                joins = (kind == LETTER) | ((kind == MARK) & is_open)
                word = (word ^ folded) * _PRIME if joins else word
                is_open |= joins
        found[used] = word & ~_ONE
        used += is_open
        found_offsets[text + 1] = used
    return used


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _mix(found: np.ndarray) -> None:
    """Spreads every token over 64 bits in place and leaves its lowest bit, the script, as it is."""
    for i in range(found.shape[0]):
        raw = found[i]
        mixed = (raw ^ (raw >> _HALF)) * _FINAL
        found[i] = ((mixed ^ (mixed >> _HALF)) & ~_ONE) | (raw & _ONE)
