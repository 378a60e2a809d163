"""How much of a text is links, hash signs, ellipses and brackets: shares of its characters, by walking its signs."""

import numpy as np

from ctllm.pipelines.batch import kernel
from ctllm.pipelines.signals.signs import BRACKET, ELLIPSIS, HASH, PAIR, Signs

LINKS = (np.array([*map(ord, "http://")]), np.array([*map(ord, "https://")]), np.array([*map(ord, "www.")]))
_SLASH, _LOWER_W = 0x2F, 0x77

MAX_BRACKET_CHARS = 200  # a 【 without its 】 must not swallow the page; chosen, untested

COLUMNS = ("url_share", "hash_share", "ellipsis_share", "bracket_share")


def measure_sign_shares(codepoints: np.ndarray, offsets: np.ndarray, signs: Signs) -> dict[str, np.ndarray]:
    """The signals of `COLUMNS` by name, each (texts,), float64.

    A link goes from http://, https:// or www. to the next character outside printable ASCII, or one of `"<>`. Ellipses
    are … and ⋯, and runs of three or more `.` or `。`. Brackets are 【 to 】 with what is between them.
    """
    values = np.zeros((len(COLUMNS), len(offsets) - 1))
    _measure(codepoints, offsets, signs.places, signs.kinds, signs.offsets, values)
    return dict(zip(COLUMNS, values, strict=True))


@kernel
def _measure(  # noqa: PLR0917 - a kernel takes its arrays by position
    codepoints: np.ndarray,
    offsets: np.ndarray,
    places: np.ndarray,
    kinds: np.ndarray,
    sign_offsets: np.ndarray,
    out: np.ndarray,
) -> None:
    for text in range(offsets.shape[0] - 1):
        part = codepoints[offsets[text] : offsets[text + 1]]
        links = hashes = ellipses = brackets = link_end = run_end = 0
        for k in range(sign_offsets[text], sign_offsets[text + 1]):
            kind, at = kinds[k], np.int64(places[k]) - offsets[text]
            hashes += kind & HASH != 0
            ellipses += kind & ELLIPSIS != 0
            brackets += kind & BRACKET != 0
            if not kind & PAIR:
                continue
            if part[at] not in (0x2E, 0x3002):
                begin = _link_begin(part, at)
                if begin >= link_end:
                    link_end = _link_end(part, begin)
                    links += link_end - begin
            elif at >= run_end:
                run_end = _run_end(part, at)
                ellipses += run_end - at if run_end - at > 2 else 0
        count = max(part.shape[0], 1)
        out[0, text], out[1, text], out[2, text] = links / count, hashes / count, ellipses / count
        out[3, text] = _bracket_chars(part) / count if brackets > 1 else 0


@kernel
def _link_begin(codepoints: np.ndarray, at: int) -> int:
    """Where the link begins whose slashes, or whose www, stand at `at`; -1 where there is none."""
    if codepoints[at] | 0x20 == _LOWER_W:
        return at if _stands_at(codepoints, at, LINKS[2]) else -1
    if codepoints[at] == _SLASH and at >= 5 and _stands_at(codepoints, at - 5, LINKS[0]):
        return at - 5
    return at - 6 if codepoints[at] == _SLASH and at >= 6 and _stands_at(codepoints, at - 6, LINKS[1]) else -1


@kernel
def _stands_at(codepoints: np.ndarray, at: int, lower_word: np.ndarray) -> bool:
    if at + lower_word.shape[0] > codepoints.shape[0]:
        return False
    for k in range(lower_word.shape[0]):
        c = codepoints[at + k]
        c += 32 if 65 <= c <= 90 else 0
        if c != lower_word[k]:
            return False
    return True


@kernel
def _link_end(codepoints: np.ndarray, at: int) -> int:
    while at < codepoints.shape[0] and 0x20 < codepoints[at] < 0x7F and codepoints[at] not in (0x22, 0x3C, 0x3E):
        at += 1
    return at


@kernel
def _run_end(codepoints: np.ndarray, at: int) -> int:
    end = at
    while end < codepoints.shape[0] and codepoints[end] == codepoints[at]:
        end += 1
    return end


@kernel
def _bracket_chars(codepoints: np.ndarray) -> int:
    """Characters from each 【 to the next 】 on its line, marks included."""
    total = 0
    start = -1
    for i in range(codepoints.shape[0]):
        c = codepoints[i]
        if c == 0x3010 and start < 0:
            start = i
        elif c == 0x3011 and start >= 0:
            total += i - start + 1
            start = -1
        elif c == 0x0A or i - start >= MAX_BRACKET_CHARS:
            start = -1
    return total
