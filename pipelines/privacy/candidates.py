"""Where personal data may stand: one pass over the bytes of a batch, so that patterns meet only a few windows of text.

Says too much, never too little: long numbers, @ between letters, dotted quads, a province character before a letter,
words such as 微信, QQ, 护照.
"""

from dataclasses import dataclass
from enum import IntEnum
from functools import cache

import numpy as np

from ctllm.pipelines.batch import kernel

MIN_DIGITS = 11  # of a number with its separators: a mobile number
MIN_AREA_DIGITS = 10  # the same where it begins with 0: area code and landline number
MIN_LOCAL_DIGITS = 7  # the same after a closing bracket, which may be that of an area code
MIN_GROUP_DIGITS = 4  # of the longest group in it; lists of small numbers have none
ID_REACH_BYTES = 48  # after a word, within which its number must begin
PLATE_BYTES, MIN_PLATE_DIGITS = 11, 3  # letter, separator, six signs; at most two of five are letters (GA 36-2018)

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"


class Trace(IntEnum):
    """What was seen at a candidate."""

    NUMBER = 0
    ADDRESS = 1
    """An @."""
    HOST = 2
    """A dotted quad, or what may begin an IPv6 address."""
    PLATE = 3
    CONTACT = 4
    """A word that announces a QQ or WeChat id."""
    PASSPORT = 5


@dataclass(frozen=True)
class Candidates:
    """Candidates of a batch, in order of their place."""

    texts: np.ndarray
    """(candidates,), int64: row of the text"""
    traces: np.ndarray
    """(candidates,), int64: a `Trace`"""
    starts: np.ndarray
    """(candidates,), int64, characters of the text"""
    ends: np.ndarray
    """(candidates,), int64"""


def find_candidates(data: np.ndarray, offsets: np.ndarray) -> Candidates:
    """Candidates in UTF-8 texts: (bytes,), uint8, and (texts + 1,), int64."""
    found = np.empty((max(256, len(data) // 256), 4), np.int64)  # enough for ordinary text; else a second pass
    count = _scan(data, offsets, *_tables(), found)
    if count > len(found):
        found = np.empty((count, 4), np.int64)
        _scan(data, offsets, *_tables(), found)
    found = found[:count]
    return Candidates(found[:, 0], found[:, 1], found[:, 2], found[:, 3])


_NUMBER, _ADDRESS, _HOST, _PLATE, _CONTACT, _PASSPORT = map(int, Trace)  # kernels know no enums
_DIGIT, _LETTER, _AT, _WIDE, _DASH = 1, 2, 4, 8, 16
_NAME, _BEGINS = _DIGIT | _LETTER | _DASH, _DIGIT | _LETTER | _AT
_WORDS: tuple[tuple[str, Trace], ...] = (
    *((word, Trace.CONTACT) for word in ("qq", "ＱＱ", "vx", "wx", "wechat", "weixin", "微信", "薇信", "威信", "扣扣")),
    *((word, Trace.PASSPORT) for word in ("passport", "护照", "護照", "通行证", "通行證")),
)
"""Latin ones in any case, at the beginning of a run of letters."""


@cache
def _tables() -> tuple[np.ndarray, ...]:
    """What each byte and each pair of bytes may begin; the words, their offsets and traces; the provinces.

    (256,), uint8 bits; (65536,), bool; (bytes of all words,), uint8; (words + 1,); (words,); (31,), ascending.
    """
    classes = np.zeros(256, np.uint8)
    classes[ord("0") : ord("9") + 1] = _DIGIT
    classes[ord("A") : ord("Z") + 1] = _LETTER
    classes[ord("a") : ord("z") + 1] = _LETTER
    classes[ord("@")] = _AT
    classes[[ord("-"), ord("_")]] = _DASH
    classes[0xEF] = _WIDE  # lead byte of full-width forms
    encoded = [word.encode() for word, _ in _WORDS]
    pairs = np.zeros(1 << 16, bool)
    pairs[0xEFBC] = True  # full-width digits and @
    for word in encoded:
        for first in {word[0], word[:1].upper()[0]}:
            for second in {word[1], word[1:2].upper()[0]}:
                pairs[first << 8 | second] = True
    return (
        classes,
        pairs,
        np.frombuffer(b"".join(encoded), np.uint8),
        np.cumsum([0, *map(len, encoded)]),
        np.array([trace for _, trace in _WORDS]),
        np.sort([int.from_bytes(each.encode(), "big") for each in PROVINCES]),
    )


@kernel
def _scan(  # noqa: PLR0917 - a kernel takes its arrays by position
    data: np.ndarray,
    offsets: np.ndarray,
    classes: np.ndarray,
    pairs: np.ndarray,
    words: np.ndarray,
    word_offsets: np.ndarray,
    word_traces: np.ndarray,
    provinces: np.ndarray,
    found: np.ndarray,
) -> int:
    """How many candidates there are; writes as many as `found` has room for."""
    count = 0
    for text in range(offsets.shape[0] - 1):
        begin, end = offsets[text], offsets[text + 1]
        counted, chars = begin, 0  # `chars` code points lie before byte `counted` of this text
        i = begin
        while i < end:
            lead = data[i]
            bits = classes[lead]
            step = 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4  # i is never inside a character
            is_word = i + 1 < end and pairs[np.int64(lead) << 8 | data[i + 1]]
            if not is_word and (lead >= 0x80 or bits & _BEGINS == 0):  # one branch for all Han: the others mispredict
                i += step
                continue
            if lead == 0xEF and data[i + 2] < 0x90:  # full-width punctuation
                i += step
                continue
            trace, stop = -1, i + step
            if is_word:
                trace, stop = _word_at(data, i, i + step, begin, end, words, word_offsets, word_traces)
            if trace < 0 and bits & _LETTER and (i == begin or data[i - 1] < 0x80):
                stop = i + 1
                while stop < end and classes[data[stop]] & _LETTER:
                    stop += 1
                if stop == end or not classes[data[stop]] & _NAME:  # an ordinary word
                    i = stop
                    continue
            if trace < 0 and bits & (_DIGIT | _WIDE):
                trace, stop = _number_at(data, i, begin, end)
            elif trace < 0 and bits & _AT:
                trace, stop = _address_at(data, i, begin, end)
            if trace < 0 and bits & (_DIGIT | _LETTER):
                trace, stop = _name_at(data, i, begin, end, classes, provinces)
            if trace >= 0:
                start_char = chars + _count_chars(data, counted, i)
                chars = start_char + _count_chars(data, i, stop)
                counted = stop
                count = _note(found, count, text, trace, start_char, chars)
            i = stop
    return count


@kernel
def _note(found: np.ndarray, count: int, text: int, trace: int, start: int, end: int) -> int:  # noqa: PLR0917 - kernel
    """Writes a candidate where there is room; their number with it."""
    if count < found.shape[0]:
        found[count, 0], found[count, 1], found[count, 2], found[count, 3] = text, trace, start, end
    return count + 1


@kernel
def _count_chars(data: np.ndarray, start: int, end: int) -> int:
    chars = 0
    for i in range(start, end):
        chars += (data[i] & 0xC0) != 0x80
    return chars


@kernel
def _is_digit(data: np.ndarray, at: int, end: int) -> int:
    """Bytes of the digit at `at`: 1, 3 for a full-width one, 0 for none."""
    if at < end and 0x30 <= data[at] <= 0x39:
        return 1
    is_wide = at + 2 < end and data[at] == 0xEF and data[at + 1] == 0xBC and 0x90 <= data[at + 2] <= 0x99
    return 3 if is_wide else 0


@kernel
def _is_letter(data: np.ndarray, at: int, end: int) -> bool:
    return bool(at < end and 97 <= (data[at] | 0x20) <= 122)


@kernel
def _word_at(  # noqa: PLR0917 - a kernel takes its arrays by position
    data: np.ndarray,
    at: int,
    following: int,
    begin: int,
    end: int,
    words: np.ndarray,
    word_offsets: np.ndarray,
    word_traces: np.ndarray,
) -> tuple[int, int]:
    """Trace of the word at `at` and where it ends; -1 and `following` when none begins there."""
    if data[at] < 0x80 and at > begin and _is_letter(data, at - 1, end):
        return -1, following
    fold = 0x20 if data[at] < 0x80 else 0
    for word in range(word_traces.shape[0]):
        first, length = word_offsets[word], word_offsets[word + 1] - word_offsets[word]
        if at + length > end or (data[at] | fold) != words[first]:
            continue
        k = 1
        while k < length and (data[at + k] | fold) == words[first + k]:
            k += 1
        if k == length and not (fold and _is_letter(data, at + length, end)):
            is_followed = _may_hold(data, at + length, min(end, at + length + ID_REACH_BYTES), word_traces[word])
            return (word_traces[word] if is_followed else -1), at + length
    return -1, following


@kernel
def _may_hold(data: np.ndarray, start: int, end: int, trace: int) -> bool:
    """Whether bytes may hold a passport number, or an id: a digit, or any Latin sign; full-width ones count."""
    for i in range(start, end):
        if _is_digit(data, i, end) or (trace == _CONTACT and (_is_letter(data, i, end) or data[i] == 0xEF)):
            return True
    return False


@kernel
def _number_at(data: np.ndarray, at: int, begin: int, end: int) -> tuple[int, int]:
    """NUMBER, HOST or -1, and where the digits end."""
    i, digits, longest, group = at, 0, 0, 0
    while i < end:
        size = _is_digit(data, i, end)
        if size:
            digits += 1
            group += 1
            longest = max(longest, group)
            i += size
        elif group and data[i] in (0x20, 0x2D) and _is_digit(data, i + 1, end):
            group = 0
            i += 1
        else:
            break
    if digits == 0:  # another full-width form
        is_at = at + 2 < end and data[at + 1] == 0xBC and data[at + 2] == 0xA0
        return (_ADDRESS if is_at else -1), at + 3
    is_local = at > begin and (
        data[at - 1] == 0x29 or (at - 3 >= begin and data[at - 2] == 0xBC and data[at - 1] == 0x89)
    )
    least = MIN_LOCAL_DIGITS if is_local else MIN_AREA_DIGITS if data[at] in (0x30, 0xEF) else MIN_DIGITS
    if digits >= least and longest >= MIN_GROUP_DIGITS:
        return _NUMBER, i
    host_end = _host_end(data, at, begin, end)
    return (_HOST, host_end) if host_end > at else (-1, at + _is_digit(data, at, end))


@kernel
def _host_end(data: np.ndarray, at: int, begin: int, end: int) -> int:
    """Where a dotted quad that begins at `at`, or what may begin an IPv6 address, ends; `at` when there is none."""
    if at > begin and (data[at - 1] == 0x2E or _is_letter(data, at - 1, end)):
        return at
    if at + 5 < end and data[at] in (0x32, 0x33) and data[at + 4] == 0x3A:
        return at + 5
    i = at
    for part in range(4):
        start = i
        while i < end and 0x30 <= data[i] <= 0x39:
            i += 1
        if i == start or i - start > 3 or (part < 3 and (i >= end or data[i] != 0x2E)):
            return at
        i += part < 3
    return i


@kernel
def _address_at(data: np.ndarray, at: int, begin: int, end: int) -> tuple[int, int]:
    before = at > begin and (
        _is_letter(data, at - 1, end) or data[at - 1] in (0x2D, 0x5F) or _is_digit(data, at - 1, end)
    )
    after = _is_letter(data, at + 1, end) or _is_digit(data, at + 1, end)
    return (_ADDRESS if before and after else -1), at + 1


@kernel
def _name_at(  # noqa: PLR0917 - a kernel takes its arrays by position
    data: np.ndarray, at: int, begin: int, end: int, classes: np.ndarray, provinces: np.ndarray
) -> tuple[int, int]:
    """PLATE or -1; and where the letter ends, or the name that begins at `at`, since no number begins inside one."""
    if at - 3 >= begin and data[at - 1] >= 0x80 and 0x41 <= data[at] <= 0x5A:
        before = (np.int64(data[at - 3]) << 16) | (np.int64(data[at - 2]) << 8) | np.int64(data[at - 1])
        row = np.searchsorted(provinces, before)
        if row < provinces.shape[0] and provinces[row] == before:
            digits = 0
            for i in range(at + 1, min(end, at + PLATE_BYTES)):
                digits += 0x30 <= data[i] <= 0x39
            return (_PLATE if digits >= MIN_PLATE_DIGITS else -1), at + 1
    i = at
    while i < end and classes[data[i]] & _NAME:
        i += 1
    return -1, i
