"""How many words jieba cuts a text into, in compiled loops over jieba's own dictionary and hidden Markov model.

The number is that of `len(jieba.lcut(text))` with the default dictionary, exactly: the same sums of double-precision
logarithms in the same order, the same winner among equals. jieba itself does 0.5 MB/s and holds the GIL.
"""

from dataclasses import dataclass
from functools import cache
from math import log
from types import ModuleType

import numpy as np

from ctllm.pipelines.batch import kernel

OTHER, SPACE, WORD, LATIN, HAN = 0, 1, 2, 3, 4
"""What jieba's patterns tell apart: whitespace; marks that may stand in words; ASCII letters and digits; Han."""

_FIRST_HAN, _LAST_HAN = 0x4E00, 0x9FD5
_WORD_MARKS = "+#&._%-"
_NUM_CODEPOINTS = 0x110000
_STATES = "BMES"  # begin, middle and end of a word, single
_BEGIN, _MIDDLE, _END, _SINGLE = range(4)
_PREVIOUS = np.array([[_END, _SINGLE], [_BEGIN, _MIDDLE], [_BEGIN, _MIDDLE], [_END, _SINGLE]], np.int8)
"""The two states that may stand before each state, the one that wins a draw last (the greater letter)."""

_HASH = np.uint64(0x9E3779B97F4A7C15)  # golden ratio
_LABEL_BITS = np.uint64(21)  # of a code point
_NO_NODE, _ROOT = -1, 0


@dataclass(frozen=True)
class _Dictionary:
    """A trie in a hash table, and the model for what the dictionary does not hold."""

    kinds: np.ndarray
    """(1,114,112,), uint8"""
    edges: np.ndarray
    """(slots,), uint64: node << 21 | code point, plus 1; 0 where free"""
    children: np.ndarray
    """(slots,), int32"""
    weights: np.ndarray
    """(nodes,), float64: log probability of the word that ends there, NaN where none does"""
    unknown_weight: float
    """Of a character that is no word"""
    start: np.ndarray
    """(4,), float64"""
    transition: np.ndarray
    """(4, 4), float64, from and to"""
    emission: np.ndarray
    """(4, Han characters), float64"""


@cache
def _dictionary() -> _Dictionary:
    """The default dictionary and model of jieba; about 1.5 s, once a process."""
    import jieba  # noqa: PLC0415 - 1.3 s at first, and only the ctllm_zh rules need it
    from jieba import finalseg  # noqa: PLC0415

    frequencies, total = jieba.Tokenizer.gen_pfdict(jieba.dt.get_dict_file())
    words = [word for word, frequency in frequencies.items() if frequency]
    labels = np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)
    bounds = np.cumsum([0, *map(len, words)])
    weights = np.array([log(frequencies[word]) - log(total) for word in words])
    slots = 1 << (2 * len(frequencies)).bit_length()
    edges, children = np.zeros(slots, np.uint64), np.zeros(slots, np.int32)
    node_weights = np.full(len(frequencies) + 1, np.nan)
    _plant(labels, bounds, weights, edges, children, node_weights)
    return _Dictionary(_kinds(), edges, children, node_weights, 0.0 - log(total), *_model(finalseg))


def _kinds() -> np.ndarray:
    kinds = np.zeros(_NUM_CODEPOINTS, np.uint8)
    kinds[[codepoint for codepoint in range(0x3001) if chr(codepoint).isspace()]] = SPACE
    kinds[_FIRST_HAN : _LAST_HAN + 1] = HAN
    kinds[[*map(ord, _WORD_MARKS)]] = WORD
    kinds[[*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B)]] = LATIN
    return kinds


def _model(finalseg: ModuleType) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log probabilities of starting in, moving between and emitting from the states."""
    start = np.array([finalseg.start_P[state] for state in _STATES])
    transition = np.array([[finalseg.trans_P[a].get(b, finalseg.MIN_FLOAT) for b in _STATES] for a in _STATES])
    emission = np.full((len(_STATES), _LAST_HAN + 1 - _FIRST_HAN), finalseg.MIN_FLOAT)
    for row, state in enumerate(_STATES):
        for character, weight in finalseg.emit_P[state].items():
            if _FIRST_HAN <= ord(character) <= _LAST_HAN:  # jieba never asks the model about others
                emission[row, ord(character) - _FIRST_HAN] = weight
    return start, transition, emission


def count_jieba_words(codepoints: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Words of each text, whitespace characters and lone symbols included: (texts,), int64."""
    d = _dictionary()
    counts = np.zeros(len(offsets) - 1, np.int64)
    tables = (d.kinds, d.edges, d.children, d.weights, d.unknown_weight, d.start, d.transition, d.emission)
    for text in range(len(counts)):
        part = codepoints[offsets[text] : offsets[text + 1]]
        counts[text] = _count_words(part, *tables)
    return counts


@kernel
def _plant(  # noqa: PLR0917 - a kernel takes its arrays by position
    labels: np.ndarray, bounds: np.ndarray, weights: np.ndarray, edges: np.ndarray, children: np.ndarray,
    node_weights: np.ndarray,
) -> None:  # fmt: skip
    used = 1
    for word in range(bounds.shape[0] - 1):
        node = _ROOT
        for at in range(bounds[word], bounds[word + 1]):
            slot = _slot(edges, node, labels[at])
            if edges[slot] == 0:
                edges[slot] = (np.uint64(node) << _LABEL_BITS | np.uint64(labels[at])) + np.uint64(1)
                children[slot] = used
                used += 1
            node = children[slot]
        node_weights[node] = weights[word]


@kernel
def _slot(edges: np.ndarray, node: int, label: int) -> int:
    """Where the edge from `node` by `label` stands, or would stand."""
    edge = (np.uint64(node) << _LABEL_BITS | np.uint64(label)) + np.uint64(1)
    mask = np.uint64(edges.shape[0] - 1)
    slot = ((edge * _HASH) >> np.uint64(32)) & mask
    while edges[slot] != 0 and edges[slot] != edge:
        slot = (slot + np.uint64(1)) & mask
    return int(slot)


@kernel
def _child(edges: np.ndarray, children: np.ndarray, node: int, label: int) -> int:
    slot = _slot(edges, node, label)
    return children[slot] if edges[slot] != 0 else _NO_NODE


@kernel
def _count_words(  # noqa: PLR0917 - a kernel takes its arrays by position
    text: np.ndarray,
    kinds: np.ndarray,
    edges: np.ndarray,
    children: np.ndarray,
    weights: np.ndarray,
    unknown_weight: float,
    start: np.ndarray,
    transition: np.ndarray,
    emission: np.ndarray,
) -> int:
    count = 0
    i = 0
    while i < text.shape[0]:
        if kinds[text[i]] < WORD:
            is_end_of_pair = text[i] == 0x0A and i > 0 and text[i - 1] == 0x0D  # \r\n is one word
            count += 0 if is_end_of_pair else 1
            i += 1
            continue
        begin = i
        while i < text.shape[0] and kinds[text[i]] >= WORD:
            i += 1
        block = text[begin:i]
        ends = _best_ends(block, edges, children, weights, unknown_weight)
        at = 0
        while at < block.shape[0]:
            if ends[at] > at + 1:
                count += 1
                at = ends[at]
                continue
            alone = at
            while at < block.shape[0] and ends[at] == at + 1:
                at += 1
            run = block[alone:at]
            if run.shape[0] == 1 or _is_word(run, edges, children, weights):
                count += run.shape[0]
            else:
                count += _count_unknown(run, kinds, start, transition, emission)
    return count


@kernel
def _best_ends(
    block: np.ndarray, edges: np.ndarray, children: np.ndarray, weights: np.ndarray, unknown_weight: float
) -> np.ndarray:
    """Where the word from each character ends on the likeliest way through the rest: (characters,), int64."""
    num_chars = block.shape[0]
    ends = np.empty(num_chars, np.int64)
    scores = np.zeros(num_chars + 1)
    for begin in range(num_chars - 1, -1, -1):
        best, ends[begin] = -np.inf, begin + 1
        node = _ROOT
        for at in range(begin, num_chars):
            node = _child(edges, children, node, block[at])
            if node == _NO_NODE:
                break
            score = weights[node] + scores[at + 1]
            if score >= best:  # never for NaN; the longer of two equals wins
                best, ends[begin] = score, at + 1
        scores[begin] = best if best > -np.inf else unknown_weight + scores[begin + 1]
    return ends


@kernel
def _is_word(run: np.ndarray, edges: np.ndarray, children: np.ndarray, weights: np.ndarray) -> bool:
    node = _ROOT
    for at in range(run.shape[0]):
        node = _child(edges, children, node, run[at])
        if node == _NO_NODE:
            return False
    return not np.isnan(weights[node])


@kernel
def _count_unknown(
    run: np.ndarray, kinds: np.ndarray, start: np.ndarray, transition: np.ndarray, emission: np.ndarray
) -> int:
    """Words in a run that the dictionary leaves single: Han by the model, else numbers and runs of other marks."""
    count = 0
    i = 0
    while i < run.shape[0]:
        begin = i
        kind = kinds[run[i]]
        while i < run.shape[0] and kinds[run[i]] == kind:
            i += 1
        if kind == HAN:
            count += _count_modelled(run[begin:i], start, transition, emission)
            continue
        count += 1
        if kind == LATIN:
            i = _number_end(run, i)
    return count


@kernel
def _number_end(run: np.ndarray, at: int) -> int:
    """The end of what follows letters and digits within one word: a full stop with digits, a percent sign."""
    end = at
    if at < run.shape[0] and run[at] == 0x2E:
        after = at + 1
        while after < run.shape[0] and 0x30 <= run[after] <= 0x39:
            after += 1
        end = after if after > at + 1 else at
    return end + 1 if end < run.shape[0] and run[end] == 0x25 else end


@kernel
def _count_modelled(han: np.ndarray, start: np.ndarray, transition: np.ndarray, emission: np.ndarray) -> int:
    """Words on the likeliest path through the four states (Viterbi)."""
    num_chars = han.shape[0]
    came_from = np.empty((num_chars, 4), np.int8)
    scores = start + emission[:, han[0] - _FIRST_HAN]
    for at in range(1, num_chars):
        after = np.empty(4)
        for state in range(4):
            emitted = emission[state, han[at] - _FIRST_HAN]
            lesser, greater = _PREVIOUS[state]
            low = scores[lesser] + transition[lesser, state] + emitted
            high = scores[greater] + transition[greater, state] + emitted
            after[state] = max(low, high)
            came_from[at, state] = greater if high >= low else lesser
        scores = after
    state = _SINGLE if scores[_SINGLE] >= scores[_END] else _END
    count = 0
    for at in range(num_chars - 1, -1, -1):
        count += state in (_END, _SINGLE)
        state = int(came_from[at, state])
    return count
