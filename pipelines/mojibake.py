"""Text that was read in a wrong charset, read again in the right one; only where the whole text goes back without loss.

UTF-8 read as latin-1, windows-1252 or GBK, and GBK or Big5 read as latin-1 or windows-1252. ftfy judges Western
mojibake (its encoding fixer alone: widths, quotes, punctuation and ligatures are not its business here), the share of
everyday characters Chinese. What needs guessing, such as lost bytes, stays as it is: `replacement_share` counts it.
"""

from collections.abc import Iterator
from typing import NamedTuple

import ftfy
import ftfy.bad_codecs.sloppy  # registers sloppy-windows-1252: windows-1252 with its five gaps filled
import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.charset import likely_chinese

_ENCODING_ONLY = ftfy.TextFixerConfig(
    unescape_html=False,
    restore_byte_a0=False,
    replace_lossy_sequences=False,
    decode_inconsistent_utf8=False,
    fix_c1_controls=False,
    normalization=None,
)
_WESTERN = ("latin-1", "sloppy-windows-1252")
_UTF8_AS_GBK = ("锛", "銆", "鐨", "鈥")  # ， 。 的 “ and their neighbours; none of them in 3,202 Chinese documents
_ASCII = bytes(range(128))

MIN_WIDE_BYTES = 20  # ten Chinese characters of two bytes; chosen
MIN_WIDE_SHARE = 0.3  # of the bytes; French, German and Vietnamese in one-byte charsets stay below 0.15


class Repaired(NamedTuple):
    """`text` as it was meant, and `steps`, each `read>meant`, in the order in which they were undone.

    The text as it was read comes back by `text.encode(meant).decode(read)`, last step first.
    """

    text: str
    steps: str


def repair(text: str) -> Repaired | None:
    """`text` read again in the right charset, or None where it is right, or not wholly reversible.

    `repair("dÃ©jÃ ")` gives déjà by `latin-1>utf-8`. C1 controls are part of mojibake: ask before `normalise`.
    """
    if text.isascii():
        return None
    if any(mark in text for mark in _UTF8_AS_GBK):
        return _read_again(text, "gb18030", "utf-8")
    for read in _WESTERN:
        try:
            data = text.encode(read)  # ends at the first character that is not Western: nothing is spent on Chinese
        except UnicodeEncodeError:
            continue
        if _is_utf8(data):
            return _judged_by_ftfy(text)
        wide = len(data.translate(None, _ASCII))
        if wide >= MIN_WIDE_BYTES and wide >= MIN_WIDE_SHARE * len(data) and (meant := likely_chinese(data)):
            return _read_again(text, read, meant)
    return None


def may_be_mojibake(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """False for UTF-8 texts that `repair` leaves alone, found without Python: (texts,), bool.

    What remains holds a mark of UTF-8 read as GBK, or has Western characters only, in runs or in numbers.
    """
    may_be = np.empty(len(offsets) - 1, np.bool_)
    _find_marks(data, offsets, may_be)
    _find_western(data, offsets, may_be)
    return may_be


@kernel
def _find_marks(data: np.ndarray, offsets: np.ndarray, found: np.ndarray) -> None:
    """Any of `_UTF8_AS_GBK` (E9 and two bytes each), without branches, and one truth value: vectorised."""
    for text in range(offsets.shape[0] - 1):
        first = data[offsets[text] : offsets[text + 1]]
        second = first[1:]
        third = first[2:]
        seen = False
        for i in range(third.shape[0]):
            two, three = second[i], third[i]
            ends_mark = ((two == 0x94) & (three == 0x9B)) | ((two == 0x8A) & (three == 0x86))
            ends_mark |= ((two == 0x90) & (three == 0xA8)) | ((two == 0x88) & (three == 0xA5))
            seen |= (first[i] == 0xE9) & ends_mark
        found[text] = seen


@kernel
def _find_western(data: np.ndarray, offsets: np.ndarray, found: np.ndarray) -> None:
    """Adds texts of the first bytes that Windows-1252 has in UTF-8, unless their wide characters are few and lone.

    A lone wide character is no UTF-8 read as Western, and few are no Chinese.
    """
    for text in range(offsets.shape[0] - 1):
        own = data[offsets[text] : offsets[text + 1]]
        if _holds_others(own):
            continue
        num_wide = _count_between(own, np.uint8(0xC0), np.uint8(0xFF))
        if num_wide == 0:
            continue
        num_chars = own.shape[0] - _count_between(own, np.uint8(0x80), np.uint8(0xBF))
        is_numerous = num_wide >= MIN_WIDE_BYTES and num_wide >= MIN_WIDE_SHARE * num_chars
        found[text] |= is_numerous or not _has_lone(own)


@kernel
def _holds_others(data: np.ndarray) -> bool:
    """Whether a character begins with a byte that Windows-1252 does not have in UTF-8: above E2, or E0 and E1."""
    found = False
    for i in range(data.shape[0]):
        found |= (data[i] > 0xE2) | (data[i] == 0xE0) | (data[i] == 0xE1)
    return found


@kernel
def _count_between(data: np.ndarray, first: np.uint8, last: np.uint8) -> int:
    """Bytes from `first` to `last`. In blocks that a byte counts: vectorised."""
    total = 0
    for start in range(0, data.shape[0], 128):
        block = data[start : start + 128]
        count = np.uint8(0)
        for i in range(block.shape[0]):
            count += np.uint8((block[i] >= first) & (block[i] <= last))
        total += int(count)
    return total


@kernel
def _has_lone(data: np.ndarray) -> bool:
    """Whether a wide character, of two bytes or E2 and two more, stands between ASCII characters or at an end."""
    size = data.shape[0]
    found = False
    if size >= 5:
        before, lead, second, third = data[:-4], data[1:-3], data[3:-1], data[4:]
        for i in range(before.shape[0]):
            after = second[i] if lead[i] < 0xE0 else third[i]
            found |= (before[i] < 0x80) & (lead[i] >= 0xC0) & (after < 0x80)
    for at in (0, size - 3, size - 2):  # those that the windows of five bytes miss
        if at >= 0 and data[at] >= 0xC0 and (at == 0 or data[at - 1] < 0x80):
            end = at + (2 if data[at] < 0xE0 else 3)
            found |= end >= size or data[end] < 0x80
    return found


def _read_again(text: str, read: str, meant: str) -> Repaired | None:
    try:
        repaired = text.encode(read).decode(meant)
        is_reversible = repaired.encode(meant).decode(read) == text
    except UnicodeError:
        return None
    return Repaired(repaired, f"{read}>{meant}") if is_reversible else None


def _judged_by_ftfy(text: str) -> Repaired | None:
    repaired, plan = ftfy.fix_encoding_and_explain(text, _ENCODING_ONLY)
    steps = list(_rounds(plan or []))
    if not steps or any(meant != "utf-8" for _, meant in steps):
        return None
    return Repaired(repaired, ", ".join(f"{read}>{meant}" for read, meant in steps))


def _rounds(plan: list[ftfy.ExplanationStep]) -> Iterator[tuple[str, str]]:
    """Pairs of the codec that was used and the one that was meant; one that cannot be undone is named as it is."""
    for encode, decode in zip(plan[::2], plan[1::2], strict=False):
        is_round = (encode.action, decode.action) == ("encode", "decode")
        yield (encode.parameter, decode.parameter) if is_round else (encode.action, decode.action)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
