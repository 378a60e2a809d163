"""Bytes to text: byte order mark, UTF-8, what the server or the page declares, what the bytes look like, in this order.

UTF-8 goes before declarations because multi-byte text that is valid UTF-8 by accident does not occur, while pages that
declare gb2312 and send UTF-8 do. Two declarations never fail and so are checked against the bytes: windows-1252 (and
iso-8859-1, which many servers put on everything), and one of GB18030 and Big5 for the other. GB2312 and GBK are read as
GB18030, their superset, Big5 with Hong Kong's additions.
"""

import codecs
import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,100}?encoding=["']([\w.:-]+)""", re.I
)
_CODECS = {"gbk": ("gb18030",), "gb2312": ("gb18030",), "big5": ("big5hkscs", "cp950")}
_NEIGHBOURS = frozenset({"euc_jp", "shift_jis", "iso2022_jp", "euc_kr"})
_CHINESE = {"gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030", "big5": "big5hkscs"}
_WESTERN = "cp1252"  # what resiliparse calls iso-8859-1, us-ascii and windows-1252, as browsers do
_NAMES = {"big5hkscs": "big5", "cp950": "big5"}

DECLARATION_BYTES = 8192  # browsers look at 1,024; portals of 2019 put keywords first (web_zh_pages)
MAX_REPLACED_SHARE = 0.01  # a page cut in the middle of a character keeps its text; chosen, untested
SAMPLE_BYTES = 1024  # what a guess reads of the bytes outside ASCII; as 4,096 on 17,266 pages and texts (2026-11)
MIN_EVERYDAY_SHARE = 0.6  # right charset: above 0.8 even for classical verse; wrong one of the two: below 0.6

_SAMPLE_WINDOW_BYTES = 1 << 13  # of a page looked at first for a sample; the next window is twice as long

_MOST_COMMON = "的一是不了在有人我他这這个個们們中来來上大为為和国國地到以说說时時要就出会會可也你"
_PAIRS = re.compile(rb"(?:[\x81-\xfe][\x40-\x7e\x80-\xfe])+")  # runs of two-byte characters of either charset
_WIDE_BYTES = re.compile(rb"[\x80-\xff]+")


class Decoded(NamedTuple):
    """A text and the name of the charset it was read in."""

    text: str
    charset: str


def decode(data: bytes, *, http_charset: str | None = None, is_html: bool = False) -> Decoded | None:
    """The text of `data`, or None when no charset fits.

    A charset that fits without error wins; else the one with the fewest U+FFFD, if they are at most
    `MAX_REPLACED_SHARE` of the characters.
    """
    for mark, name in _BOMS:
        if data.startswith(mark):
            return _first_fitting(data[len(mark) :], iter([name]))
    try:
        return Decoded(data.decode(), "utf-8")
    except UnicodeDecodeError:
        pass
    wide = _WideBytes(data)
    if _is_damaged_utf8(wide):
        return _first_fitting(data, iter(["utf-8"]))
    declared = [http_charset] if http_charset else []
    if is_html and (match := _DECLARED.search(data, 0, DECLARATION_BYTES)):
        declared.append((match[1] or match[2]).decode("ascii", "replace"))
    return _first_fitting(data, _candidates(data, wide, declared))


def _first_fitting(data: bytes, candidates: Iterator[str]) -> Decoded | None:
    tried: list[str] = []
    for codec in candidates:
        try:
            return Decoded(data.decode(codec), _NAMES.get(codec, codec))
        except UnicodeDecodeError:
            tried.append(codec)
    lossy = [Decoded(data.decode(codec, "replace"), _NAMES.get(codec, codec)) for codec in dict.fromkeys(tried)]
    best = min(lossy, key=lambda decoded: decoded.text.count("\ufffd"))
    return best if best.text.count("\ufffd") <= MAX_REPLACED_SHARE * len(best.text) else None


class _WideBytes:
    """What stands outside ASCII at the beginning of a page, looked for in windows that are each twice as long."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._windows: list[bytes] = []

    def sample(self, runs: re.Pattern[bytes]) -> bytes:
        """The first `SAMPLE_BYTES` that `runs` of wide characters finds, a space after each run."""
        number, found = 0, self._find(runs, 0)
        while len(found) <= SAMPLE_BYTES and _SAMPLE_WINDOW_BYTES << number < len(self._data):
            number += 1
            found = self._find(runs, number)
        return found[:SAMPLE_BYTES]

    def _find(self, runs: re.Pattern[bytes], number: int) -> bytes:
        """All that `runs` finds in a window, a space after each."""
        if number == len(self._windows):
            values = np.frombuffer(self._data[: _SAMPLE_WINDOW_BYTES << number], np.uint8)
            is_wide = values >= 0x80
            is_wide[1:] |= is_wide[:-1] & (values[1:] >= 0x40)  # trail bytes; searching ASCII takes ten times as long
            self._windows.append(b" ".join(np.where(is_wide, values, np.uint8(0x20)).tobytes().split()))
        return b" ".join([*runs.findall(self._windows[number]), b""])


def _is_damaged_utf8(wide: _WideBytes) -> bool:
    """Whether invalid UTF-8 with bytes knocked out is likelier than any other charset; Windows-1252 would "fit" always.

    Texts in other charsets have at most 0.53 whole UTF-8 characters for one U+FFFD (1,200 Chinese, some others).
    """
    text = wide.sample(_WIDE_BYTES).decode("utf-8", "replace")  # of all of it, errors would cost 0.1 µs each
    num_replaced = text.count("\ufffd")
    num_wide = len(text) - text.count(" ") - num_replaced  # nothing else in it is ASCII
    return num_replaced < 1.5 * num_wide


def _candidates(data: bytes, wide: _WideBytes, declared: list[str]) -> Iterator[str]:
    """Codec names to try, best first.

    uchardet is asked after our own look at Chinese: it misses 15 % of texts of 20 characters, ours none. It never takes
    Chinese for Japanese or Korean, which ours may. Where the declaration and our look agree nobody else is asked first.
    """
    yield "utf-8"
    names = [str(map_encoding_to_html5(label)) for label in declared]
    chinese = _likely_chinese(wide)
    if names and chinese and _CHINESE.get(names[0]) == chinese:
        yield from _CODECS.get(names[0], (names[0],))
    detected = str(detect_encoding(data))
    likely = detected if detected in _NEIGHBOURS else chinese
    for name in names:
        if name.startswith("utf-16"):
            continue  # a declaration of UTF-16 that reads as ASCII is wrong by itself (WHATWG)
        if likely and name == _WESTERN:
            continue  # it fits everything, so it says nothing
        if likely in _CHINESE.values() and name in _CHINESE and likely != _CHINESE[name]:
            yield str(likely)
        yield from _CODECS.get(name, (name,))
    if likely:
        yield likely
    yield from _CODECS.get(detected, (detected,))


def likely_chinese(data: bytes) -> str | None:
    """`"gb18030"` or `"big5hkscs"` where the bytes look like everyday Chinese in it, the better one; else None."""
    return _likely_chinese(_WideBytes(data))


def _likely_chinese(wide: _WideBytes) -> str | None:
    sample = wide.sample(_PAIRS)
    shares = {codec: _everyday_share(sample, codec) for codec in ("gb18030", "big5hkscs")}
    likely = max(shares, key=lambda codec: shares[codec])
    return likely if shares[likely] >= MIN_EVERYDAY_SHARE else None


def _everyday_share(data: bytes, codec: str) -> float:
    """How Chinese `data` looks in `codec`: everyday characters among those outside ASCII; 0 without a very common one.

    Very common ones count twice. Korean in EUC-KR reads as everyday Chinese characters too, but not as those.
    """
    codepoints = np.frombuffer(data.decode(codec, "replace").encode("utf-32-le"), np.uint32)
    weights = _everyday_weights()[codepoints]
    if not (weights > 1).any():
        return 0.0
    return float(weights.sum() / np.count_nonzero(codepoints > 0x7F))


@cache
def _everyday_weights() -> np.ndarray:
    """By code point, uint8: 2 very common, 1 everyday: the first levels of GB 2312 (3,755) and Big5 (5,401)."""
    gb = (bytes((lead, trail)).decode("gb2312", "ignore") for lead in range(0xB0, 0xD8) for trail in range(0xA1, 0xFF))
    trails = (*range(0x40, 0x7F), *range(0xA1, 0xFF))
    big5 = (bytes((lead, trail)).decode("big5", "ignore") for lead in range(0xA4, 0xC7) for trail in trails)
    weights = np.zeros(0x110000, np.uint8)
    weights[[ord(each) for text in (*gb, *big5, "，。、；：？！「」“”") for each in text]] = 1
    weights[[ord(each) for each in _MOST_COMMON]] = 2
    return weights
