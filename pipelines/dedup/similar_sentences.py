"""Sentences of a document that say what an earlier one of it said: the CT-LLM rule, without its tables of n².

Two sentences are similar when their edit distance is at most a tenth of the longer one; where the shorter has at most
15 characters they have to be equal. Each is compared with the earlier ones that stay; of two the later goes.

How it stays exact: with at most K edits, K a tenth of the length, one of the earlier sentence's disjoint pieces of 6
characters stands unchanged in the later one, at most K places away. So only sentences that share such a piece are
compared, along the diagonals that K allows: at most (K + 1)² steps a pair (Ukkonen 1985), usually a few.
S = sentences of a batch, Q = pieces of a text.
"""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.dedup.sentences import Sentences

MAX_EDIT_SHARE = 0.1  # CT-LLM, similar-line step: of the longer sentence; the pieces below hold for no more than this
MAX_EQUAL_CHARS = 15  # CT-LLM: sentences up to this long have to be equal
PIECE_CHARS = 6  # n // 6 > n // 9 for every n > 15, and K <= n // 9: one piece more than there can be edits
_BINS, _MOST = 32, 0xFFFF  # B: letters of the Latin alphabet fall to one each; counted to the largest uint16
_NEXT, _OWNER, _PLACE, _LENGTH = range(4)  # F: of a piece Q; the last three of its sentence: number, place in it, size
MAX_WALKED_EACH_PLACE, MAX_WALKED = 1700, 4_200_000
"""Pieces looked at for one sentence. Never more in 10,000 characters: n places and (10,000 - n) / 6 pieces."""
EDIT_STEPS, EDIT_STEPS_EACH_CHAR = 3000, 120
"""What comparing one sentence may cost. All that 10,000 characters hold cost less: they are 10,000 / l others, none
shorter than 0.9 of its length n, for at most (n / 9 + 1)² steps each, together under 111 n + 2,917."""


def similar_to_earlier(codepoints: np.ndarray, sentences: Sentences) -> np.ndarray:
    """The earlier sentence of the same text that each resembles, -1 where none does: (S,), int64.

    Sentences with an earlier one do not count as earlier ones themselves. Of several the latest equal one is given,
    else the first that is found similar. Exact up to 10,000 characters; beyond, sentences that share a piece with
    thousands of others are compared with the latest (`MAX_WALKED`, `EDIT_STEPS`), so that time grows as the text does.
    """
    found_S = np.empty(len(sentences.starts_S), np.int64)
    grams = _piece_hashes(codepoints)
    _find(codepoints, grams, sentences.starts_S, sentences.ends_S, sentences.offsets, found_S)
    return found_S


def equal_to_earlier(hashes_S: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The first sentence of the same text with the same hash, -1 for the first itself: (S,), int64."""
    numbers_S = np.arange(len(hashes_S))
    texts_S = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    order = np.lexsort([numbers_S, hashes_S, texts_S])
    is_new = np.ones(len(order), bool)
    is_new[1:] = (np.diff(hashes_S[order]) != 0) | (np.diff(texts_S[order]) != 0)
    firsts = order[np.maximum.accumulate(np.where(is_new, numbers_S, 0))]
    earlier_S = np.empty(len(order), np.int64)
    earlier_S[order] = np.where(is_new, -1, firsts)
    return earlier_S


@kernel
def _piece_hashes(codepoints: np.ndarray) -> np.ndarray:
    """Hash of the 6 characters from every place on: (code points,), uint32; the last five are 0. Vectorised."""
    size = max(codepoints.shape[0] - (PIECE_CHARS - 1), 0)
    hashes = np.zeros(codepoints.shape[0], np.uint32)
    factor = np.uint32(0x9E3779B1)  # 2^32 / golden ratio, prime
    c0, c1, c2 = codepoints[:size], codepoints[1 : size + 1], codepoints[2 : size + 2]
    c3, c4, c5 = codepoints[3 : size + 3], codepoints[4 : size + 4], codepoints[5 : size + 5]
    out = hashes[:size]
    for i in range(size):
        x = np.uint32(np.uint32(c0[i] * factor) + c1[i])
        x = np.uint32(np.uint32(x * factor) + c2[i])
        x = np.uint32(np.uint32(x * factor) + c3[i])
        x = np.uint32(np.uint32(x * factor) + c4[i])
        x = np.uint32(np.uint32(x * factor) + c5[i])
        x = np.uint32((x ^ (x >> np.uint32(15))) * np.uint32(0x2C1B3C6D))
        out[i] = x ^ (x >> np.uint32(12))
    return hashes


@kernel
def _find(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    grams: np.ndarray,
    starts_S: np.ndarray,
    ends_S: np.ndarray,
    offsets: np.ndarray,
    found_S: np.ndarray,
) -> None:
    most_sentences = most_pieces = 1
    longest = 0
    for text in range(offsets.shape[0] - 1):
        first, last = offsets[text], offsets[text + 1]
        pieces = 0
        for sentence in range(first, last):
            length = ends_S[sentence] - starts_S[sentence]
            pieces += length // PIECE_CHARS
            longest = max(longest, length)
        most_sentences, most_pieces = max(most_sentences, last - first), max(most_pieces, pieces)
    equal_shift, piece_shift = _shift_for(most_sentences, np.int64(2)), _shift_for(most_pieces, np.int64(4))
    equal_heads = np.full(np.int64(1) << (np.int64(32) - equal_shift), np.int32(-1))
    piece_heads = np.full(np.int64(1) << (np.int64(32) - piece_shift), np.int32(-1))
    hashes, equal_next = np.empty(most_sentences, np.uint32), np.empty(most_sentences, np.int32)
    compared, bags_SB = np.empty(most_sentences, np.int32), np.empty((most_sentences, _BINS), np.uint16)
    pieces_QF = np.empty((most_pieces, 4), np.int32)
    reach = np.empty((2, 2 * int(longest * MAX_EDIT_SHARE) + 5), np.int64)
    for text in range(offsets.shape[0] - 1):
        first = offsets[text]
        equal_heads[:] = -1
        piece_heads[:] = -1
        num_pieces = 0
        for sentence in range(first, offsets[text + 1]):
            start, end = starts_S[sentence], ends_S[sentence]
            own = sentence - first
            compared[own] = -1
            hashes[own] = _hash(codepoints, start, end)
            slot = hashes[own] >> np.uint32(equal_shift)
            other = equal_heads[slot]
            while other >= 0 and not (
                hashes[other] == hashes[own]
                and _is_equal(codepoints, starts_S[first + other], ends_S[first + other], start, end)
            ):
                other = equal_next[other]
            if other < 0 and end - start > MAX_EQUAL_CHARS:
                _count(codepoints[start:end], bags_SB[own])
                other = _similar(
                    codepoints, grams, starts_S[first:], ends_S[first:], own, piece_heads, piece_shift,
                    pieces_QF, compared, bags_SB, reach,
                )  # fmt: skip
            found_S[sentence] = first + other if other >= 0 else -1
            if other >= 0:
                continue
            equal_next[own] = equal_heads[slot]
            equal_heads[slot] = own
            if end - start > MAX_EQUAL_CHARS:
                for place in range(0, end - start - PIECE_CHARS + 1, PIECE_CHARS):
                    slot = grams[start + place] >> np.uint32(piece_shift)
                    piece = pieces_QF[num_pieces]
                    piece[_NEXT], piece[_OWNER] = piece_heads[slot], own
                    piece[_PLACE], piece[_LENGTH] = place, end - start
                    piece_heads[slot] = num_pieces
                    num_pieces += 1


@kernel
def _similar(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    grams: np.ndarray,
    starts_S: np.ndarray,
    ends_S: np.ndarray,
    own: int,
    piece_heads: np.ndarray,
    piece_shift: int,
    pieces_QF: np.ndarray,
    compared: np.ndarray,
    bags_SB: np.ndarray,
    reach: np.ndarray,
) -> int:
    """The first sentence found among those that share a piece with sentence `own` and are similar; -1.

    What rules most out comes first, and stands with the piece: the sentence itself would be looked for in memory.
    """
    start, end = starts_S[own], ends_S[own]
    length = end - start
    steps_left = EDIT_STEPS + EDIT_STEPS_EACH_CHAR * length
    walks_left = MAX_WALKED
    for place in range(length - PIECE_CHARS + 1):
        gram = grams[start + place]
        piece = piece_heads[gram >> np.uint32(piece_shift)]
        last_walk = max(walks_left - MAX_WALKED_EACH_PLACE, 0)
        while piece >= 0 and walks_left > last_walk:
            walks_left -= 1
            other, other_place, other_length = (
                pieces_QF[piece, _OWNER], pieces_QF[piece, _PLACE], np.int64(pieces_QF[piece, _LENGTH])
            )  # fmt: skip
            piece = pieces_QF[piece, _NEXT]
            limit = int(max(length, other_length) * MAX_EDIT_SHARE)
            if abs(place - other_place) > limit or abs(length - other_length) > limit or compared[other] == own:
                continue
            begin, stop = starts_S[other], ends_S[other]
            if grams[begin + other_place] == gram:
                compared[other] = own
                if _least_edits(bags_SB[other], bags_SB[own]) > limit:
                    continue
                is_similar, steps = _compare(codepoints[begin:stop], codepoints[start:end], limit, steps_left, reach)
                if is_similar:
                    return int(other)
                steps_left -= steps
                if steps_left < 0:
                    return -1
    return -1


@kernel
def _count(codepoints: np.ndarray, bag_B: np.ndarray) -> None:
    """How many characters fall to each bin."""
    bag_B[:] = 0
    for codepoint in codepoints:
        place = codepoint % np.uint32(_BINS)
        bag_B[place] = min(np.int64(bag_B[place]) + 1, _MOST)


@kernel
def _least_edits(one_B: np.ndarray, other_B: np.ndarray) -> int:
    """No fewer edits make one of these sentences of the other: an edit moves a character from a bin to another."""
    more, less = np.int32(0), np.int32(0)
    for place in range(one_B.shape[0]):
        difference = np.int32(one_B[place]) - np.int32(other_B[place])
        more += difference if difference > 0 else np.int32(0)  # not max(): numba does not vectorise it
        less += np.int32(0) if difference > 0 else -difference
    return int(max(more, less))


@kernel
def _compare(one: np.ndarray, other: np.ndarray, limit: int, max_steps: int, reach: np.ndarray) -> tuple[bool, int]:
    """Whether the edit distance is at most `limit`, and the steps that took; given up after `max_steps`.

    For e = 0, 1, … edits: how far into `one` each diagonal gets, along those that can still end in time.
    """
    size, other_size = one.shape[0], other.shape[0]
    goal = other_size - size
    centre = limit + 2
    reach[0, : 2 * limit + 5] = -2
    reach[1, : 2 * limit + 5] = -2
    before, after = 0, 1
    steps = 0
    for edits in range(limit + 1):
        left = limit - edits
        first, last = max(-edits, goal - left), min(edits, goal + left)
        steps += last - first + 1
        if steps > max_steps:
            break
        for diagonal in range(first, last + 1):
            at = centre + diagonal
            i = max(reach[before, at] + 1, reach[before, at + 1] + 1, reach[before, at - 1]) if edits else 0
            i = min(i, size, other_size - diagonal)
            while i < size and i + diagonal < other_size and one[i] == other[i + diagonal]:
                i += 1
            reach[after, at] = i
            if diagonal == goal and i == size:
                return True, steps
        before, after = after, before
    return False, steps


@kernel
def _is_equal(codepoints: np.ndarray, begin: int, stop: int, start: int, end: int) -> bool:
    if stop - begin != end - start:
        return False
    i = 0
    while i < end - start and codepoints[begin + i] == codepoints[start + i]:
        i += 1
    return i == end - start


@kernel
def _hash(codepoints: np.ndarray, start: int, end: int) -> np.uint32:
    value = np.uint64(end - start)
    for i in range(start, end):
        value = (value ^ np.uint64(codepoints[i])) * np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio, odd
        value ^= value >> np.uint64(29)
    return np.uint32(value >> np.uint64(32))


@kernel
def _shift_for(count: int, slots_each: int) -> int:
    """The number of bits that leave a 32-bit hash as an index into at least `slots_each` slots for each of `count`."""
    shift = 31
    while shift > 4 and (np.int64(1) << np.int64(32 - shift)) < slots_each * count:
        shift -= 1
    return shift
