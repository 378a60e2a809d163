"""What the CT-LLM authors' filter measures of a Chinese document, for the rules `ctllm_zh` (docs/decisions/0006).

Their code works on a text it has rewritten: 34 full-width marks become ASCII, links are cut out, and most measures
look at that text after NFKC. Here this happens to copies that live as long as the measuring; documents keep theirs.
"""

import re
import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import decode_utf8, kernel, text_buffers
from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.signals.jieba_words import count_jieba_words
from ctllm.schemas.signals import SIGNAL_NAMES

CTLLM_SIGNALS: tuple[str, ...] = tuple(name for name in SIGNAL_NAMES if name.startswith("ctllm_"))

WORD, SPACE, DIGIT, PUNCTUATION, END_MARK, BULLET = 1, 2, 4, 8, 16, 32
"""Bits of a code point's class: `\\w`, `\\s` and `str.isdigit` of Python, then the sets below."""

END_MARKS = '.!…?;"'  # their C1
PUNCTUATION_MARKS = string.punctuation + "…"  # their C10
BULLETS = "•‣▶◀◦■□▪▫–●○◆◇★☆►▷"  # their C9 has about 18, en dash among them, asterisk not; the others are our guess
READMORE = ("readmore", "展开", "更多")  # their C8; its fourth, 。。。, cannot occur once 。 is a full stop

_HAN = "\u4e00-\u9fa5"
_LINK = re.compile(rf"(?:https?://|www\.)[^\s,{_HAN}]+")
_LONG_NAME = re.compile(r"(?:[A-Za-z0-9_-]+\.){3,}[A-Za-z0-9_-]+")
_DOMAIN = re.compile(rf"(?<![{_HAN}])\b[A-Za-z0-9_.-]+\.[a-z]{{2,6}}\b")
_NUM_CODEPOINTS = 0x110000


def _ascii_marks() -> dict[int, str]:
    """Their 34 marks: 。 and curly quotes, and the full-width form of all other ASCII marks. 、《》【】 stay."""
    wide = {chr(ord(mark) + 0xFEE0): mark for mark in string.punctuation if mark not in ".\"'"}
    return str.maketrans(wide | {"。": ".", "“": '"', "”": '"', "‘": "'", "’": "'"})


ASCII_MARKS = _ascii_marks()


def rewritten(text: str) -> str:
    """A text as their filter leaves it: ASCII marks (A2), then without links, long dotted names and domains (B2)."""
    text = text.translate(ASCII_MARKS)
    if "." in text or "://" in text:
        for pattern in (_LINK, _LONG_NAME, _DOMAIN):
            text = pattern.sub("", text)
    return text


@dataclass(frozen=True)
class _Texts:
    """Code points of a batch, their classes, and where each text starts and ends."""

    codepoints: np.ndarray
    classes: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> "_Texts":
        codepoints, offsets = decode_utf8(*text_buffers(pa.array(texts, pa.large_string())))
        return cls(codepoints, _class_table()[codepoints], offsets)

    @property
    def lengths(self) -> np.ndarray:
        """Code points of each text, at least 1, so that a share of nothing is 0."""
        return np.maximum(np.diff(self.offsets), 1)

    def count(self, hits: np.ndarray) -> np.ndarray:
        """How many code points of each text are marked in `hits`: (texts,), int64."""
        return np.diff(np.concatenate([[0], np.cumsum(hits)])[self.offsets])

    def only(self, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The marked code points, and where each text starts and ends among them."""
        return self.codepoints[hits], np.concatenate([[0], np.cumsum(hits)])[self.offsets]


@cache
def _class_table() -> np.ndarray:
    """Class of every code point: (1,114,112,), uint8 bits; 0.5 s, once a process."""
    table = np.zeros(_NUM_CODEPOINTS, np.uint8)
    characters = [chr(codepoint) for codepoint in range(_NUM_CODEPOINTS)]
    table |= np.array([WORD * (each.isalnum() or each == "_") for each in characters], np.uint8)
    table |= np.array([SPACE * each.isspace() for each in characters], np.uint8)
    table |= np.array([DIGIT * each.isdigit() for each in characters], np.uint8)
    for marks, bit in ((PUNCTUATION_MARKS, PUNCTUATION), (END_MARKS, END_MARK), (BULLETS, BULLET)):
        table[[*map(ord, marks)]] |= bit
    return table


class CtllmMeasurer:
    """Measures Chinese texts as the authors' filter does. Holds the language model: make one per worker."""

    def __init__(self) -> None:
        self._identifier = LanguageIdentifier.load()

    def measure(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """`CTLLM_SIGNALS` by name, each (texts,), float64."""
        copies = [rewritten(text) for text in texts]
        plain, normal = _Texts.of(copies), _Texts.of([unicodedata.normalize("NFKC", copy) for copy in copies])
        # Their unify stage looks at brackets before anything is rewritten.
        original = _Texts.of([unicodedata.normalize("NFKC", text) for text in texts])
        one_line = [copy.replace("\n", "") for copy in copies]
        return {
            "ctllm_bracket_share": _bracket_chars(original.codepoints, original.offsets) / original.lengths,
            "ctllm_num_sentences": _sentences(plain.classes, plain.offsets).astype(np.float64),
            "ctllm_num_chars": np.diff(normal.offsets).astype(np.float64),
            "ctllm_mean_word_chars": _mean_word_chars(normal),
            **_measure_marks(plain),
            **_measure_characters(normal),
            "ctllm_lang_score": np.array(self._identifier.best_scores(one_line)),
            **{f"ctllm_top_{n}gram_share": _top_share(plain, n) for n in (2, 3, 4)},
        }


def _mean_word_chars(normal: _Texts) -> np.ndarray:
    """Mean length of jieba's words, whitespace ones included, once only word characters and whitespace are left."""
    codepoints, offsets = normal.only(normal.classes & (WORD | SPACE) != 0)
    means: np.ndarray = np.diff(offsets) / np.maximum(count_jieba_words(codepoints, offsets), 1)
    return means


def _measure_marks(plain: _Texts) -> dict[str, np.ndarray]:
    """Runs of `#`, runs of full stops or ellipses, punctuation and lines."""
    counts = _count_marks(plain.codepoints, plain.offsets)
    lines = _count_lines(plain.codepoints, plain.classes, plain.offsets, *_readmore_table())
    return {
        "ctllm_hash_share": counts[:, 0] / plain.lengths,
        "ctllm_ellipsis_share": counts[:, 1] / plain.lengths,
        "ctllm_readmore_line_share": lines[:, 1] / lines[:, 0],
        "ctllm_bullet_line_share": lines[:, 2] / lines[:, 0],
        "ctllm_num_punctuation": plain.count(plain.classes & PUNCTUATION != 0).astype(np.float64),
    }


def _measure_characters(normal: _Texts) -> dict[str, np.ndarray]:
    is_read = normal.classes & (WORD | SPACE) != 0
    distinct, entropy = _variety(normal.codepoints, normal.offsets, np.zeros(_NUM_CODEPOINTS, np.int32))
    return {
        "ctllm_digit_share": normal.count(normal.classes & DIGIT != 0) / np.maximum(normal.count(is_read), 1),
        "ctllm_distinct_char_share": distinct / normal.lengths,
        "ctllm_char_entropy": entropy,
    }


def _readmore_table() -> tuple[np.ndarray, np.ndarray]:
    codepoints = np.array([ord(each) for phrase in READMORE for each in phrase], np.uint32)
    return codepoints, np.cumsum([0, *map(len, READMORE)])


def _top_share(plain: _Texts, size: int) -> np.ndarray:
    """(count - 1) · n / length of the most frequent n-gram of characters; above 1 where it overlaps itself."""
    most = _most_frequent(plain.codepoints, plain.offsets, size)
    shares: np.ndarray = np.maximum(most - 1, 0) * size / plain.lengths
    return shares


@kernel
def _bracket_chars(codepoints: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Characters between each 【 and the next 】 on its line, marks not counted: (texts,), int64."""
    totals = np.zeros(offsets.shape[0] - 1, np.int64)
    for text in range(totals.shape[0]):
        start = -1
        for i in range(offsets[text], offsets[text + 1]):
            c = codepoints[i]
            if c == 0x3010 and start < 0:
                start = i
            elif c == 0x3011 and start >= 0:
                totals[text] += i - start - 1
                start = -1
            elif c == 0x0A:
                start = -1
    return totals


@kernel
def _sentences(classes: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Stretches between end marks that hold more than whitespace: (texts,), int64."""
    counts = np.zeros(offsets.shape[0] - 1, np.int64)
    for text in range(counts.shape[0]):
        is_begun = False
        for i in range(offsets[text], offsets[text + 1]):
            if classes[i] & END_MARK:
                is_begun = False
            elif not classes[i] & SPACE and not is_begun:
                counts[text] += 1
                is_begun = True
    return counts


@kernel
def _count_marks(codepoints: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Runs of `#`, and runs of … or of at least two full stops: (texts, 2), int64."""
    counts = np.zeros((offsets.shape[0] - 1, 2), np.int64)
    for text in range(counts.shape[0]):
        before = np.uint32(0)
        run = 0
        for i in range(offsets[text], offsets[text + 1]):
            c = codepoints[i]
            run = run + 1 if c == before else 1
            before = c
            counts[text, 0] += c == 0x23 and run == 1
            counts[text, 1] += (c == 0x2026 and run == 1) or (c == 0x2E and run == 2)
    return counts


@kernel
def _count_lines(
    codepoints: np.ndarray, classes: np.ndarray, offsets: np.ndarray, phrases: np.ndarray, phrase_offsets: np.ndarray
) -> np.ndarray:
    """Lines, empty ones too; those that end in a read-more phrase; those that start with a bullet: (texts, 3)."""
    counts = np.zeros((offsets.shape[0] - 1, 3), np.int64)
    for text in range(counts.shape[0]):
        begin = offsets[text]
        for i in range(offsets[text], offsets[text + 1] + 1):
            if i < offsets[text + 1] and codepoints[i] != 0x0A:
                continue
            start, end = begin, i
            while start < end and classes[start] & SPACE:
                start += 1
            while end > start and classes[end - 1] & SPACE:
                end -= 1
            counts[text, 0] += 1
            counts[text, 1] += _ends_in_phrase(codepoints[start:end], phrases, phrase_offsets)
            counts[text, 2] += start < end and classes[start] & BULLET != 0
            begin = i + 1
    return counts


@kernel
def _ends_in_phrase(line: np.ndarray, phrases: np.ndarray, phrase_offsets: np.ndarray) -> bool:
    for phrase in range(phrase_offsets.shape[0] - 1):
        length = phrase_offsets[phrase + 1] - phrase_offsets[phrase]
        matched = 0
        while matched < min(length, line.shape[0]):
            if line[line.shape[0] - 1 - matched] != phrases[phrase_offsets[phrase + 1] - 1 - matched]:
                break
            matched += 1
        if matched == length:
            return True
    return False


@kernel
def _variety(codepoints: np.ndarray, offsets: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct characters and entropy in nats, whitespace included, of each text. `seen` is all zero."""
    distinct = np.zeros(offsets.shape[0] - 1, np.int64)
    entropy = np.zeros(offsets.shape[0] - 1)
    for text in range(distinct.shape[0]):
        length = offsets[text + 1] - offsets[text]
        for i in range(offsets[text], offsets[text + 1]):
            seen[codepoints[i]] += 1
        for i in range(offsets[text], offsets[text + 1]):
            occurrences = seen[codepoints[i]]
            if occurrences:
                distinct[text] += 1
                entropy[text] -= occurrences / length * np.log(occurrences / length)
                seen[codepoints[i]] = 0
    return distinct, entropy


@kernel
def _most_frequent(codepoints: np.ndarray, offsets: np.ndarray, size: int) -> np.ndarray:
    """Occurrences, overlapping ones too, of the most frequent n-gram of `size` characters: (texts,), int64."""
    most = np.zeros(offsets.shape[0] - 1, np.int64)
    longest = 0
    for text in range(most.shape[0]):
        longest = max(longest, offsets[text + 1] - offsets[text])
    slots = 4
    while slots < 2 * longest:
        slots *= 2
    firsts, counts = np.empty(slots, np.int64), np.empty(slots, np.int32)
    for text in range(most.shape[0]):
        part = codepoints[offsets[text] : offsets[text + 1]]
        most[text] = _most_frequent_in(part, size, firsts, counts)
    return most


@kernel
def _most_frequent_in(text: np.ndarray, size: int, firsts: np.ndarray, counts: np.ndarray) -> int:
    slots = 4
    while slots < 2 * text.shape[0]:
        slots *= 2
    firsts[:slots] = -1
    mask = np.uint64(slots - 1)
    most = 0
    for at in range(text.shape[0] - size + 1):
        value = np.uint64(0)
        for k in range(size):
            value = (value ^ np.uint64(text[at + k])) * np.uint64(0x9E3779B97F4A7C15)  # golden ratio
            value ^= value >> np.uint64(32)
        slot = value & mask
        while firsts[slot] >= 0 and not _same(text, firsts[slot], at, size):
            slot = (slot + np.uint64(1)) & mask
        if firsts[slot] < 0:
            firsts[slot], counts[slot] = at, 0
        counts[slot] += 1
        most = max(most, counts[slot])
    return most


@kernel
def _same(text: np.ndarray, one: int, other: int, size: int) -> bool:
    k = 0
    while k < size and text[one + k] == text[other + k]:
        k += 1
    return k == size
