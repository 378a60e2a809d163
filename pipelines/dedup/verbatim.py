"""Shingles of a text as it is, hashed as datasketch hashes bytes: windows of characters, SHA-1 of their UTF-8.

No folding, no scripts, no words: what the CT-LLM authors did, and what any datasketch index over character n-grams
holds. An own SHA-1 (FIPS 180-4) over all windows at once, for `hashlib` is called once a window: a tenth of the speed.
"""

import numba as nb
import numpy as np

_BYTES_PER_CHAR = 4  # UTF-8, at most
_BLOCK_BYTES = 64  # FIPS 180-4, 5.2.1
_LENGTH_BYTES = 8
_INITIAL = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0], np.uint32)  # FIPS 180-4, 5.3.1
_ROUND_1, _ROUND_2, _ROUND_3, _ROUND_4 = (
    np.uint32(each) for each in (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)
)  # FIPS 180-4, 4.2.1


def verbatim_tokens(codepoints: np.ndarray) -> np.ndarray:
    """A token for every character, whatever it is: (code points,), uint64."""
    return codepoints.astype(np.uint64) + np.uint64(1)


def verbatim_shingles(
    codepoints: np.ndarray, offsets: np.ndarray, *, num_chars: int, min_shingles: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct windows of every text, ascending: (shingles,), uint64, and (texts + 1,) int64 offsets.

    A shingle is datasketch's `sha1_hash64` of the window, its lower half `sha1_hash32`. A text of fewer than
    `min_shingles` has none.
    """
    shingles = np.empty(len(codepoints), np.uint64)
    shingle_offsets = np.empty(len(offsets), np.int64)
    used = _windows(codepoints, offsets, num_chars, min_shingles, shingles, shingle_offsets)
    return shingles[:used], shingle_offsets


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _windows(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    num_chars: int,
    min_shingles: int,
    shingles: np.ndarray,
    shingle_offsets: np.ndarray,
) -> int:
    message = np.zeros(
        (num_chars * _BYTES_PER_CHAR + 1 + _LENGTH_BYTES + _BLOCK_BYTES - 1) // _BLOCK_BYTES * _BLOCK_BYTES, np.uint8
    )
    words = np.empty(80, np.uint32)
    used = 0
    shingle_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        own = codepoints[offsets[text] : offsets[text + 1]]
        num_own = max(0, own.shape[0] - num_chars + 1)
        for i in range(num_own):
            shingles[used + i] = _sha1_hash64(message, _encode(own[i : i + num_chars], message), words)
        distinct = np.unique(shingles[used : used + num_own])
        if distinct.shape[0] >= min_shingles:
            shingles[used : used + distinct.shape[0]] = distinct
            used += distinct.shape[0]
        shingle_offsets[text + 1] = used
    return used


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _encode(window: np.ndarray, message: np.ndarray) -> int:
    """Writes the characters as UTF-8 and gives their number of bytes."""
    size = 0
    for i in range(window.shape[0]):
        codepoint = window[i]
        if codepoint < 0x80:
            message[size] = codepoint
            size += 1
            continue
        if codepoint < 0x800:
            message[size] = 0xC0 | (codepoint >> 6)
            size += 1
        elif codepoint < 0x10000:
            message[size] = 0xE0 | (codepoint >> 12)
            message[size + 1] = 0x80 | ((codepoint >> 6) & 0x3F)
            size += 2
        else:
            message[size] = 0xF0 | (codepoint >> 18)
            message[size + 1] = 0x80 | ((codepoint >> 12) & 0x3F)
            message[size + 2] = 0x80 | ((codepoint >> 6) & 0x3F)
            size += 3
        message[size] = 0x80 | (codepoint & 0x3F)
        size += 1
    return size


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _rotated(value: np.uint32, bits: int) -> np.uint32:
    return np.uint32((value << np.uint32(bits)) | (value >> np.uint32(32 - bits)))


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _swapped(value: np.uint32) -> np.uint64:
    """The bytes of a big-endian word read in little-endian order."""
    return np.uint64(
        (value >> np.uint32(24))
        | ((value >> np.uint32(8)) & np.uint32(0xFF00))
        | ((value << np.uint32(8)) & np.uint32(0xFF0000))
        | ((value << np.uint32(24)) & np.uint32(0xFF000000))
    )


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _sha1_hash64(message: np.ndarray, size: int, words: np.ndarray) -> np.uint64:
    """The first eight bytes of SHA-1 as a little-endian number. Pads `message` behind its `size` bytes."""
    padded = (size + _LENGTH_BYTES) // _BLOCK_BYTES * _BLOCK_BYTES + _BLOCK_BYTES
    message[size] = 0x80
    message[size + 1 : padded] = 0
    bits = size * 8
    message[padded - 1] = bits & 0xFF
    message[padded - 2] = (bits >> 8) & 0xFF
    h0, h1, h2, h3, h4 = _INITIAL[0], _INITIAL[1], _INITIAL[2], _INITIAL[3], _INITIAL[4]
    for block in range(0, padded, _BLOCK_BYTES):
        for t in range(16):
            at = block + 4 * t
            words[t] = (
                (np.uint32(message[at]) << np.uint32(24))
                | (np.uint32(message[at + 1]) << np.uint32(16))
                | (np.uint32(message[at + 2]) << np.uint32(8))
                | np.uint32(message[at + 3])
            )
        for t in range(16, 80):
            words[t] = _rotated(words[t - 3] ^ words[t - 8] ^ words[t - 14] ^ words[t - 16], 1)
        a, b, c, d, e = h0, h1, h2, h3, h4
        for t in range(80):
            if t < 20:
                mixed = np.uint32(((b & c) | (~b & d)) + _ROUND_1)
            elif t < 40:
                mixed = np.uint32((b ^ c ^ d) + _ROUND_2)
            elif t < 60:
                mixed = np.uint32(((b & c) | (b & d) | (c & d)) + _ROUND_3)
            else:
                mixed = np.uint32((b ^ c ^ d) + _ROUND_4)
            mixed = np.uint32(mixed + _rotated(a, 5) + e + words[t])
            e, d, c, b, a = d, c, _rotated(b, 30), a, mixed
        h0, h1, h2, h3, h4 = (
            np.uint32(h0 + a),
            np.uint32(h1 + b),
            np.uint32(h2 + c),
            np.uint32(h3 + d),
            np.uint32(h4 + e),
        )
    return np.uint64(_swapped(h0) | (_swapped(h1) << np.uint64(32)))
