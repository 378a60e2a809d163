"""A text as it is: its characters as tokens, and their windows hashed as datasketch hashes bytes, SHA-1 of their UTF-8.

No folding, no scripts, no words. SHA-1 is what the CT-LLM authors used, and what any datasketch index over character
n-grams holds; without it the tokens go the way of all others, through `shingles`. An own SHA-1 (FIPS 180-4), for
`hashlib` is called once a window: here `_LANES` windows lie side by side, and every step is taken for all on vectors.
"""

import numba as nb
import numpy as np

_BYTES_PER_CHAR = 4  # UTF-8, at most
_LANES = 64  # windows at a time; of 32 … 256 as fast, and a short text wastes the rest of them (2026-11)
_WORDS = 16  # of a block: FIPS 180-4, 5.2.1
_BLOCK_BYTES = 4 * _WORDS
_LENGTH_BYTES = 8
_INITIAL = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0], np.uint32)  # FIPS 180-4, 5.3.1
_ROUND_1, _ROUND_2, _ROUND_3, _ROUND_4 = (
    np.uint32(each) for each in (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)
)  # FIPS 180-4, 4.2.1
State = tuple[np.uint32, np.uint32, np.uint32, np.uint32, np.uint32]  # a to e of FIPS 180-4
Words = tuple[np.uint32, ...]


def verbatim_tokens(codepoints: np.ndarray) -> np.ndarray:
    """A token for every character, whatever it is: (code points,), uint64, odd as those of Han characters are."""
    found = np.empty(len(codepoints), np.uint64)
    _number(codepoints, found)
    return found


def sha1_shingles(
    codepoints: np.ndarray, offsets: np.ndarray, *, num_chars: int, min_shingles: int
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct windows of every text as they appear: (shingles,), uint64, and (texts + 1,) int64 offsets.

    A shingle is datasketch's `sha1_hash64` of the window, its lower half `sha1_hash32`. A text of fewer than
    `min_shingles` has none.
    """
    shingles = np.empty(len(codepoints), np.uint64)
    shingle_offsets = np.empty(len(offsets), np.int64)
    longest = int(np.diff(offsets).max(initial=1))
    seen = np.empty(1 << (4 * longest).bit_length(), np.uint32)
    used = _distinct(codepoints, offsets, num_chars, min_shingles, seen, shingles, shingle_offsets)
    return shingles[:used], shingle_offsets


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _number(codepoints: np.ndarray, found: np.ndarray) -> None:
    for i in range(codepoints.shape[0]):
        found[i] = (np.uint64(codepoints[i]) << np.uint64(1)) | np.uint64(1)


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _distinct(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    num_chars: int,
    min_shingles: int,
    seen: np.ndarray,
    shingles: np.ndarray,
    shingle_offsets: np.ndarray,
) -> int:
    """`seen` is a table as in `shingles`: the number of a shingle within its text, from 1."""
    one = np.uint64(1)
    used = np.int64(0)
    shingle_offsets[0] = 0
    for text in range(offsets.shape[0] - 1):
        own = codepoints[offsets[text] : offsets[text + 1]]
        hashes = shingles[used : used + max(0, own.shape[0] - num_chars + 1)]
        _hash_windows(own, num_chars, hashes)
        size = 4
        while size < 4 * hashes.shape[0]:
            size *= 2
        seen[:size] = 0
        mask, num_own = np.uint64(size - 1), np.uint64(0)
        for shingle in hashes:
            slot = shingle & mask
            while seen[slot] != 0 and hashes[np.uint64(seen[slot]) - one] != shingle:
                slot = (slot + one) & mask
            if seen[slot] == 0:
                hashes[num_own] = shingle
                num_own += one
                seen[slot] = num_own
        used += np.int64(num_own) if np.int64(num_own) >= min_shingles else 0
        shingle_offsets[text + 1] = used
    return int(used)


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _hash_windows(codepoints: np.ndarray, num_chars: int, hashes: np.ndarray) -> None:
    """`sha1_hash64` of the windows that begin at the first characters: as many as `hashes` has room for."""
    longest = num_chars * _BYTES_PER_CHAR + _LENGTH_BYTES + _BLOCK_BYTES  # padded
    utf8 = np.zeros(codepoints.shape[0] * _BYTES_PER_CHAR + longest, np.uint8)
    starts = np.empty(codepoints.shape[0] + 1, np.int64)
    _encode(codepoints, utf8, starts)
    lanes = np.zeros((_WORDS + _INITIAL.shape[0]) * _LANES, np.uint32)
    for first in range(0, hashes.shape[0], _LANES):
        found = hashes[first : first + _LANES]
        sizes = starts[first + num_chars : first + num_chars + found.shape[0]] - starts[first : first + found.shape[0]]
        for value in range(_INITIAL.shape[0]):
            lanes[(_WORDS + value) * _LANES : (_WORDS + value + 1) * _LANES] = _INITIAL[value]
        num_blocks = 0
        for size in sizes:
            num_blocks = max(num_blocks, _blocks_of(size))
        for block in range(num_blocks):
            _lay_out(utf8, starts[first:], sizes, block, lanes)
            _sha1_block(lanes)
            for lane in range(found.shape[0]):
                if _blocks_of(sizes[lane]) == block + 1:
                    high = lanes[_WORDS * _LANES + lane], lanes[(_WORDS + 1) * _LANES + lane]
                    found[lane] = _swapped(high[0]) | (_swapped(high[1]) << np.uint64(32))


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _blocks_of(size: int) -> int:
    """How many blocks a message of `size` bytes is, with the bit behind it and its length at the end."""
    blocks: int = (size + _LENGTH_BYTES) // _BLOCK_BYTES + 1
    return blocks


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _encode(codepoints: np.ndarray, utf8: np.ndarray, starts: np.ndarray) -> None:
    """Writes the characters as UTF-8, and where each begins."""
    size = 0
    for i in range(codepoints.shape[0]):
        starts[i] = size
        codepoint = codepoints[i]
        if codepoint < 0x80:
            utf8[size] = codepoint
            size += 1
            continue
        if codepoint < 0x800:
            utf8[size] = 0xC0 | (codepoint >> 6)
            size += 1
        elif codepoint < 0x10000:
            utf8[size] = 0xE0 | (codepoint >> 12)
            utf8[size + 1] = 0x80 | ((codepoint >> 6) & 0x3F)
            size += 2
        else:
            utf8[size] = 0xF0 | (codepoint >> 18)
            utf8[size + 1] = 0x80 | ((codepoint >> 12) & 0x3F)
            utf8[size + 2] = 0x80 | ((codepoint >> 6) & 0x3F)
            size += 3
        utf8[size] = 0x80 | (codepoint & 0x3F)
        size += 1
    starts[codepoints.shape[0]] = size


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _lay_out(utf8: np.ndarray, starts: np.ndarray, sizes: np.ndarray, block: int, lanes: np.ndarray) -> None:
    """Words of that block of each padded message, big-endian: word after word, lane beside lane."""
    longest = sizes.max()
    for word in range(_WORDS):
        row = lanes[word * _LANES : (word + 1) * _LANES]
        before = block * _BLOCK_BYTES + 4 * word  # bytes of the message
        if before > longest:
            row[:] = 0
            continue
        for lane in range(sizes.shape[0]):
            at, left = np.uint64(starts[lane] + before), sizes[lane] - before
            value = np.uint32(0)
            for byte in range(4):
                value = (value << np.uint32(8)) | np.uint32(utf8[at + np.uint64(byte)])
            if left < 4:  # by branches, which are foretold: twice as fast as without
                value = _ended(value, left) if left >= 0 else np.uint32(0)
            row[lane] = value
    for lane in range(sizes.shape[0]):
        if _blocks_of(sizes[lane]) == block + 1:
            lanes[(_WORDS - 1) * _LANES + lane] = 8 * sizes[lane]


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _ended(value: np.uint32, size: int) -> np.uint32:
    """The first bytes of a word, fewer than four, and the bit behind them that ends the message."""
    behind = np.uint32(0xFFFFFFFF) >> np.uint32(8 * size)
    return np.uint32((value & ~behind) | (np.uint32(0x80000000) >> np.uint32(8 * size)))


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
def _step(state: State, mixed: np.uint32, word: np.uint32) -> State:
    a, b, c, d, e = state
    return np.uint32(_rotated(a, 5) + mixed + e + word), a, _rotated(b, 30), c, d


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _choose(state: State, word: np.uint32) -> State:
    _, b, c, d, _ = state
    after: State = _step(state, np.uint32((d ^ (b & (c ^ d))) + _ROUND_1), word)
    return after


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _parity(state: State, word: np.uint32, constant: np.uint32) -> State:
    _, b, c, d, _ = state
    after: State = _step(state, np.uint32((b ^ c ^ d) + constant), word)
    return after


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _majority(state: State, word: np.uint32) -> State:
    _, b, c, d, _ = state
    after: State = _step(state, np.uint32(((b & c) | (d & (b | c))) + _ROUND_3), word)
    return after


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _choose_4(state: State, words: Words) -> State:
    """Four steps of the first round."""
    after: State = _choose(_choose(_choose(_choose(state, words[0]), words[1]), words[2]), words[3])
    return after


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _parity_4(state: State, words: Words, constant: np.uint32) -> State:
    """Four steps of the second round or of the fourth."""
    middle: State = _parity(_parity(state, words[0], constant), words[1], constant)
    after: State = _parity(_parity(middle, words[2], constant), words[3], constant)
    return after


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _majority_4(state: State, words: Words) -> State:
    """Four steps of the third round."""
    after: State = _majority(_majority(_majority(_majority(state, words[0]), words[1]), words[2]), words[3])
    return after


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _scheduled(a: np.uint32, b: np.uint32, c: np.uint32, d: np.uint32) -> np.uint32:
    word: np.uint32 = _rotated(a ^ b ^ c ^ d, 1)
    return word


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _next_words(words: Words) -> Words:
    """The 16 words of the message schedule that follow 16 others; each needs new ones before it."""
    a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p = words  # noqa: E741 - sixteen of a kind
    a, b, c = _scheduled(a, c, i, n), _scheduled(b, d, j, o), _scheduled(c, e, k, p)
    d, e, f = _scheduled(d, f, l, a), _scheduled(e, g, m, b), _scheduled(f, h, n, c)
    g, h, i = _scheduled(g, i, o, d), _scheduled(h, j, p, e), _scheduled(i, k, a, f)
    j, k, l = _scheduled(j, l, b, g), _scheduled(k, m, c, h), _scheduled(l, n, d, i)  # noqa: E741
    m, n, o = _scheduled(m, o, e, j), _scheduled(n, p, f, k), _scheduled(o, a, g, l)
    return a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, _scheduled(p, b, h, m)


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _row(lanes: np.ndarray, row: int, lane: int) -> np.uint32:
    value: np.uint32 = lanes[np.uint64(row * _LANES) + np.uint64(lane)]
    return value


@nb.njit(nogil=True, cache=True, boundscheck=False, error_model="numpy")
def _sha1_block(lanes: np.ndarray) -> None:
    """One block of each lane: rows of 16 words, then of the 5 values of the hash, which it goes on from.

    The steps stand here without a loop, and in one array: else the loop over lanes is not vectorised (9 times slower).
    """
    for lane in range(_LANES):
        words = (
            _row(lanes, 0, lane), _row(lanes, 1, lane), _row(lanes, 2, lane), _row(lanes, 3, lane),
            _row(lanes, 4, lane), _row(lanes, 5, lane), _row(lanes, 6, lane), _row(lanes, 7, lane),
            _row(lanes, 8, lane), _row(lanes, 9, lane), _row(lanes, 10, lane), _row(lanes, 11, lane),
            _row(lanes, 12, lane), _row(lanes, 13, lane), _row(lanes, 14, lane), _row(lanes, 15, lane),
        )  # fmt: skip
        before = (
            _row(lanes, 16, lane), _row(lanes, 17, lane), _row(lanes, 18, lane), _row(lanes, 19, lane),
            _row(lanes, 20, lane),
        )  # fmt: skip
        state = _choose_4(_choose_4(before, words[0:4]), words[4:8])
        state = _choose_4(_choose_4(state, words[8:12]), words[12:16])
        words = _next_words(words)
        state = _parity_4(_choose_4(state, words[0:4]), words[4:8], _ROUND_2)
        state = _parity_4(_parity_4(state, words[8:12], _ROUND_2), words[12:16], _ROUND_2)
        words = _next_words(words)
        state = _parity_4(_parity_4(state, words[0:4], _ROUND_2), words[4:8], _ROUND_2)
        state = _majority_4(_majority_4(state, words[8:12]), words[12:16])
        words = _next_words(words)
        state = _majority_4(_majority_4(state, words[0:4]), words[4:8])
        state = _parity_4(_majority_4(state, words[8:12]), words[12:16], _ROUND_4)
        words = _next_words(words)
        state = _parity_4(_parity_4(state, words[0:4], _ROUND_4), words[4:8], _ROUND_4)
        state = _parity_4(_parity_4(state, words[8:12], _ROUND_4), words[12:16], _ROUND_4)
        for value in range(5):
            lanes[np.uint64((_WORDS + value) * _LANES) + np.uint64(lane)] = before[value] + state[value]
