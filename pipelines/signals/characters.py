"""What each code point is, and the signals that follow from counting characters.

The class table is built from Python's `unicodedata` on first use (0.1 s); everything after it is one pass per signal
group over the code points of a batch.
"""

import unicodedata
from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.dedup.fold_table import simplified_variants
from ctllm.pipelines.signals.character_counts import CharacterCounts
from ctllm.pipelines.signals.vocabulary import ZH_SENTENCE_CHARACTERS

SPACE, HAN, LATIN, DIGIT, PUNCTUATION, SYMBOL = 1, 2, 4, 8, 16, 32
WORD, SINGLE, MARK = 64, 128, 256
END_MARK, CLOSER, BULLET, SENTENCE_MARK, CUT, SUSPECT, SENTENCE_WORD = 512, 1024, 2048, 4096, 8192, 16384, 32768
"""Bits of a code point's class. WORD: letter or number of a script that joins into words; SINGLE: Han, kana or
hangul, a unit of its own; MARK: continues a word; END_MARK ends a sentence; CLOSER may follow it; CUT separates menu
entries; SUSPECT: mojibake may begin here; SENTENCE_WORD: menu entries do not hold it."""

END_MARKS = "。．.！!？?…｡⋯"
CLOSERS = "”’」』】）〉》〕］)]\"'*_`"
BULLETS = "•●○◦▪▫■□◆◇★☆►▶▸‣⁃∙·*-–—※"
SENTENCE_MARKS = END_MARKS + "，,、；;：:“”「」『』《》"
CUTS = "|｜>＞»/／·•‧→←↑↓"

_HAN_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFD),
    (0x3005, 0x3005),
    (0x3007, 0x3007),
)
_SYLLABLE_RANGES = (
    (0x3041, 0x3096),
    (0x309D, 0x309F),
    (0x30A1, 0x30FA),
    (0x30FC, 0x30FF),
    (0xFF66, 0xFF9F),
    (0xAC00, 0xD7A3),
)
_LATIN_RANGES = ((0x41, 0x24F), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F), (0xA720, 0xA7FF), (0xFF21, 0xFF5A))
_BROKEN = "\ufffd銆鈥锛鐨"  # what bytes that do not decode, and 。“，的 read as GBK, become; hardly ever real Chinese
_SUSPECTS = (*map(ord, _BROKEN + "锟烫屯"), *range(0xA1, 0x100))
_NUM_CODEPOINTS = 0x110000
_ASSIGNED = (*range(0x33480), *range(0xE0000, 0xE01F0))  # everything between and above is unassigned in Unicode 17

_NUM_WEIGHTS = 1024  # larger counts are few in any text

COLUMNS = (
    "han_share", "latin_share", "digit_share", "punctuation_share", "symbol_share", "whitespace_share", "alnum_share",
    "distinct_char_share", "char_entropy", "replacement_share",
)  # fmt: skip


@cache
def class_table() -> np.ndarray:
    """Class of every code point: (1,114,112,), uint16 bits."""
    table = np.zeros(_NUM_CODEPOINTS, np.uint16)
    for codepoint in _ASSIGNED:
        table[codepoint] = _class_of(chr(codepoint))
    for first, last in _HAN_RANGES:
        table[first : last + 1] = HAN | SINGLE
    for first, last in _SYLLABLE_RANGES:
        table[first : last + 1] = SINGLE
    for first, last in _LATIN_RANGES:
        part = table[first : last + 1]
        part[(part & WORD != 0) & (part & DIGIT == 0)] |= LATIN
    named = ((END_MARKS, END_MARK), (CLOSERS, CLOSER), (BULLETS, BULLET), (SENTENCE_MARKS, SENTENCE_MARK), (CUTS, CUT))
    for characters, bit in named:
        table[[ord(each) for each in characters]] |= bit
    table[list(_SUSPECTS)] |= SUSPECT
    table[[ord(each) for each in ZH_SENTENCE_CHARACTERS]] |= SENTENCE_WORD
    return table


def classify(codepoints: np.ndarray) -> np.ndarray:
    """Class of each code point: (code points,), uint16."""
    classes = np.empty(len(codepoints), np.uint16)
    look_up(codepoints, class_table(), classes)
    return classes


@kernel
def look_up(codepoints: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """Writes `table[codepoints]`, which by itself makes an array of 64-bit indices first."""
    for i in range(codepoints.shape[0]):
        out[i] = table[codepoints[i]]


def _class_of(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace():
        return SPACE
    if category == "Nd":
        return WORD | DIGIT
    return {"L": WORD, "N": WORD, "M": MARK, "P": PUNCTUATION, "S": SYMBOL}.get(category[0], 0)


@cache
def fold_table() -> np.ndarray:
    """What a code point counts as in comparisons, uint32: NFKC and lower case where they give one character.

    Traditional and other variants of Han characters count as the simplified one, so no term or item needs both.
    """
    variants = simplified_variants()
    table = np.arange(_NUM_CODEPOINTS, dtype=np.uint32)
    for codepoint in _ASSIGNED:
        folded = unicodedata.normalize("NFKC", chr(codepoint)).lower()
        if len(folded) == 1:
            table[codepoint] = ord(variants.get(folded, folded))
    return table


@cache
def _entropy_weights() -> np.ndarray:
    """The product n ln n for small n: (`_NUM_WEIGHTS`,), float64; a look-up is cheaper than a logarithm."""
    counts = np.arange(_NUM_WEIGHTS)
    weights: np.ndarray = counts * np.log(np.maximum(counts, 1))
    return weights


def measure_characters(
    codepoints: np.ndarray, offsets: np.ndarray, counts: CharacterCounts, *, classes: np.ndarray
) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64."""
    values = np.zeros((len(COLUMNS), len(offsets) - 1))
    listed = counts.codepoints, counts.counts, counts.offsets
    _measure(codepoints, offsets, classes, *listed, class_table(), _entropy_weights(), values)
    return dict(zip(COLUMNS, values, strict=True))


@kernel
def _measure(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    distinct: np.ndarray,
    all_counts: np.ndarray,
    count_offsets: np.ndarray,
    table: np.ndarray,
    weights: np.ndarray,
    out: np.ndarray,
) -> None:
    """Most follows from the class of each distinct character and how often it stands."""
    all_bits = np.empty(distinct.shape[0], np.uint32)
    for k in range(distinct.shape[0]):
        all_bits[k] = table[distinct[k]]
    for text in range(offsets.shape[0] - 1):
        count = offsets[text + 1] - offsets[text]
        if count == 0:
            continue
        bits = all_bits[count_offsets[text] : count_offsets[text + 1]]
        counts = all_counts[count_offsets[text] : count_offsets[text + 1]]
        space, punctuation = _sum_of(SPACE, bits, counts), _sum_of(PUNCTUATION, bits, counts)
        visible = max(count - space, 1)
        out[0, text] = _sum_of(HAN, bits, counts) / visible
        out[1, text] = _sum_of(LATIN, bits, counts) / visible
        out[2, text] = _sum_of(DIGIT, bits, counts) / max(count - space - punctuation, 1)
        out[3, text] = punctuation / count
        out[4, text] = _sum_of(SYMBOL, bits, counts) / count
        out[5, text] = space / count
        out[6, text] = _sum_of(WORD | SINGLE, bits, counts) / count
        out[7, text], out[8, text] = _variety(weights, bits, counts, visible)
        if _sum_of(SUSPECT, bits, counts):
            part = slice(offsets[text], offsets[text + 1])
            out[9, text] = _mojibake_chars(codepoints[part], classes[part]) / count


@kernel
def _sum_of(kind: int, bits: np.ndarray, counts: np.ndarray) -> int:
    """Characters of a text whose class has a bit of `kind`; without a branch, so that it runs on vectors."""
    total, mask = np.uint32(0), np.uint32(kind)
    for k in range(bits.shape[0]):
        total += counts[k] if bits[k] & mask else np.uint32(0)
    return int(total)


@kernel
def _variety(weights: np.ndarray, bits: np.ndarray, counts: np.ndarray, visible: int) -> tuple[float, float]:
    """Distinct share and entropy of the visible characters: with n of each among v, ln v - sum of n ln n / v."""
    num_distinct = 0
    weight = 0.0
    for k in range(bits.shape[0]):
        count = np.uint32(0) if bits[k] & SPACE else counts[k]
        num_distinct += int(count > 0)
        weight += weights[count] if count < _NUM_WEIGHTS else count * np.log(count)
    return num_distinct / visible, max(np.log(visible) - weight / visible, 0.0)


@kernel
def _mojibake_chars(codepoints: np.ndarray, classes: np.ndarray) -> int:
    """Characters that only a wrong decoding leaves behind."""
    total = done = 0
    for i in range(codepoints.shape[0]):
        if classes[i] & SUSPECT and i >= done:
            length = _latin1_length(codepoints, i) if codepoints[i] <= 0xFF else _gbk_length(codepoints, i)
            total += length
            done = i + length
    return total


@kernel
def _gbk_length(codepoints: np.ndarray, at: int) -> int:
    """Length of what another charset read as GBK leaves at `at`; 0 when it is real text."""
    c = codepoints[at]
    if c == 0x951F:  # 锟斤拷: U+FFFD written as UTF-8 and read as GBK
        is_whole = at + 2 < codepoints.shape[0] and codepoints[at + 1] == 0x65A4 and codepoints[at + 2] == 0x62F7
        return 3 if is_whole else 0
    if c in (0x70EB, 0x5C6F):  # 烫烫烫, 屯屯屯: uninitialised memory read as GBK
        return int(_run_length(codepoints, at, c, c, 3))
    return 1


@kernel
def _latin1_length(codepoints: np.ndarray, at: int) -> int:
    """Length of what UTF-8 or GBK read as Latin-1 or cp1252 leaves at `at`; 0 when it is real text."""
    run = _run_length(codepoints, at, np.uint32(0xA1), np.uint32(0xFF), 6)
    c = codepoints[at]
    second = codepoints[at + 1] if at + 1 < codepoints.shape[0] else np.uint32(0)
    third = codepoints[at + 2] if at + 2 < codepoints.shape[0] else np.uint32(0)
    continues = 0x80 <= second <= 0xBF
    if run or (c in (0xC2, 0xC3) and continues):  # Ã©
        return run if run else 2
    if 0xE2 <= c <= 0xEF and (continues or second == 0x20AC):  # ä¸­, â€™
        return 3 if 0x80 <= third <= 0xBF or 0x2013 <= third <= 0x2122 else 0
    return 0


@kernel
def _run_length(codepoints: np.ndarray, at: int, first: int, last: int, shortest: int) -> int:
    end = at
    while (
        end < codepoints.shape[0] and first <= codepoints[end] <= last and codepoints[end] != 0xB7
    ):  # ···· is no mojibake
        end += 1
    return end - at if end - at >= shortest else 0
