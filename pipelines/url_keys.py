"""Addresses as numbers: one for every domain above a URL's host, one for every prefix of its path.

Compared without scheme, user, port, `www.`, closing dot, case of the host, fragment, with hosts in punycode and paths
percent-decoded. A number is a 64-bit hash; with 5 million listed ones, one address in some 10^11 is taken for listed.
"""

import re
import unicodedata
from urllib.parse import unquote

import numpy as np

from ctllm.pipelines.batch import kernel

MAX_PREFIXES = 256  # a host has at most 127 labels; path segments beyond are not looked up

BLANK, USABLE, UNUSABLE = 0, 1, 2
"""A line of a list: empty or a comment, an entry, or neither."""

_BITS_PER_ENTRY = 16  # the filter before the search lets one of 16 unlisted numbers through
_URL = re.compile(r"\s*((?:[A-Za-z0-9+.-]*:)?//)?([^/?#\s]*)(.*)", re.DOTALL)

_SLASH, _QUESTION, _AMPERSAND, _HASH, _PERCENT, _AT, _COLON, _DOT = (ord(mark) for mark in "/?&#%@:.")
_BRACKET, _CLOSING_BRACKET, _DASH, _UNDERSCORE, _PLUS = (ord(mark) for mark in "[]-_+")


def entry_numbers(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each line of a list as the number that addresses below it have too: (lines,), uint64; and its state, uint8.

    A line is a domain, or a URL with or without scheme; a comment may follow it.
    """
    data, starts, ends = _with_ascii_hosts(data, starts, ends)
    numbers, states = np.zeros(len(starts), np.uint64), np.zeros(len(starts), np.uint8)
    _number_entries(data, starts, ends, numbers, states)
    return numbers, states


def smallest_codes(
    data: np.ndarray, offsets: np.ndarray, *, numbers: np.ndarray, codes: np.ndarray, bits: np.ndarray
) -> np.ndarray:
    """The smallest of the `codes` whose ascending `numbers` are among a URL's own, 0 for none: (urls,), int32."""
    found = np.zeros(len(offsets) - 1, np.int32)
    spans = _with_ascii_hosts(data, offsets[:-1], offsets[1:])
    _find(*spans, numbers, codes, bits, found)
    return found


def site_numbers(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The number of each URL's host, 0 where it has none: (urls,), uint64."""
    numbers = np.zeros(len(offsets) - 1, np.uint64)
    _number_sites(*_with_ascii_hosts(data, offsets[:-1], offsets[1:]), numbers)
    return numbers


def bit_filter(numbers: np.ndarray) -> np.ndarray:
    """(a power of two,), uint8: a bit is set where one of `numbers` may be."""
    bits = np.zeros(1 << max(10, (_BITS_PER_ENTRY * len(numbers)).bit_length()), bool)
    bits[(numbers >> np.uint64(20)).astype(np.int64) & (len(bits) - 1)] = True
    return np.packbits(bits, bitorder="little")


def _with_ascii_hosts(
    data: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same spans of `data`, those with other hosts than ASCII ones standing rewritten behind it."""
    rows = np.flatnonzero(_has_other_host(data, starts, ends))
    if not len(rows):
        return data, starts, ends
    rewritten = [_ascii_host(data[starts[row] : ends[row]].tobytes().decode("utf-8", "replace")) for row in rows]
    sizes = np.array([len(each) for each in rewritten])
    starts, ends = starts.copy(), ends.copy()
    starts[rows] = len(data) + np.cumsum(sizes) - sizes
    ends[rows] = starts[rows] + sizes
    return np.concatenate([data, np.frombuffer(b"".join(rewritten), np.uint8)]), starts, ends


def _ascii_host(url: str) -> bytes:
    """`url` with its host percent-decoded and every label that needs it in punycode, without user.

    `http://例子.测试/a` → `http://xn--fsqu00a.xn--0zwm56d/a`. Mapped by NFKC and lower case, which differs
    from browsers (UTS 46) for a few rare characters.
    """
    scheme, authority, rest = _URL.fullmatch(url).groups()  # type: ignore[union-attr]  # every string matches
    host, colon, port = unicodedata.normalize("NFKC", unquote(authority.rpartition("@")[2])).partition(":")
    labels = host.lower().replace("。", ".").split(".")
    ascii_labels = (each if each.isascii() else f"xn--{each.encode('punycode').decode()}" for each in labels)
    return f"{scheme or ''}{'.'.join(ascii_labels)}{colon}{port}{rest}".encode("utf-8", "replace")


@kernel
def _has_other_host(data: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Whether the host of each span holds bytes beyond ASCII or percent signs: (spans,), bool."""
    found = np.zeros(starts.shape[0], np.bool_)
    for row in range(starts.shape[0]):
        first, last = _authority(data, starts[row], ends[row])
        for i in range(first, last):
            found[row] |= data[i] >= 0x80 or data[i] == _PERCENT
    return found


@kernel
def _authority(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Where the authority begins and ends: behind `scheme://` or `//`, before path, query, fragment and whitespace."""
    while start < end and data[start] <= 0x20:
        start += 1
    i = start
    while i < end and (_is_letter_or_digit(data[i]) or data[i] in (_PLUS, _DASH, _DOT)):
        i += 1
    if i + 2 < end and data[i] == _COLON and data[i + 1] == _SLASH and data[i + 2] == _SLASH:
        start = i + 3
    elif start + 1 < end and data[start] == _SLASH and data[start + 1] == _SLASH:
        start += 2
    last = start
    while last < end and data[last] > 0x20 and data[last] not in (_SLASH, _QUESTION, _HASH):
        last += 1
    return start, last


@kernel
def _host(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """The host within an authority, without user, port, outer dots and `www.`; empty when it is none."""
    for i in range(start, end):
        if data[i] == _AT:
            start = i + 1
    if start < end and data[start] == _BRACKET:  # IPv6
        for i in range(start, end):
            if data[i] == _CLOSING_BRACKET:
                return start + 1, i
        return start, start
    for i in range(start, end):
        if data[i] == _COLON:
            end = i
            break
    start, end = _without_outer_dots(data, start, end)
    dots = 0
    for i in range(start, end):
        dots += data[i] == _DOT
        if not (_is_letter_or_digit(data[i]) or data[i] in (_DASH, _UNDERSCORE, _DOT)):
            return start, start
    if dots == 0:
        return start, start
    if dots > 1 and data[start + 3] == _DOT and _is_www(data, start):
        start += 4
    return start, end


@kernel
def _without_outer_dots(data: np.ndarray, start: int, end: int) -> tuple[int, int]:
    while start < end and data[end - 1] == _DOT:
        end -= 1
    while start < end and data[start] == _DOT:
        start += 1
    return start, end


@kernel
def _is_www(data: np.ndarray, start: int) -> bool:
    return bool(_lower(data[start]) == 0x77 and _lower(data[start + 1]) == 0x77 and _lower(data[start + 2]) == 0x77)


@kernel
def _is_letter_or_digit(byte: int) -> bool:
    return 0x30 <= byte <= 0x39 or 0x61 <= (byte | 0x20) <= 0x7A


@kernel
def _lower(byte: int) -> int:
    return byte | 0x20 if 0x41 <= byte <= 0x5A else byte


@kernel
def _is_address(data: np.ndarray, start: int, end: int) -> bool:
    """Whether a host is an IP address, which has no domains above it."""
    for i in range(start, end):
        if not (0x30 <= data[i] <= 0x39 or data[i] == _DOT):
            return bool(data[i] == _COLON)
    return True


@kernel
def _step(value: np.uint64, byte: int) -> np.uint64:
    return np.uint64((value ^ np.uint64(byte)) * np.uint64(0x100000001B3))


@kernel
def _mixed(value: np.uint64) -> np.uint64:
    value = np.uint64((value ^ (value >> np.uint64(31))) * np.uint64(0x7FB5D329728EA185))
    return np.uint64(value ^ (value >> np.uint64(29)))


@kernel
def _code_of(value: np.uint64, hashes: np.ndarray, codes: np.ndarray, bits: np.ndarray) -> int:
    """The code of an entry's hash, 0 when it is none."""
    slot = (value >> np.uint64(20)) & np.uint64(8 * bits.shape[0] - 1)
    if not (bits[slot >> np.uint64(3)] >> (slot & np.uint64(7))) & 1:
        return 0
    row = np.searchsorted(hashes, value)
    return codes[row] if row < hashes.shape[0] and hashes[row] == value else 0


@kernel
def _hex(byte: int) -> int:
    """Value of a hexadecimal digit, -1 for another byte."""
    if 0x30 <= byte <= 0x39:
        return byte - 0x30
    return (byte | 0x20) - 0x57 if 0x61 <= (byte | 0x20) <= 0x66 else -1


@kernel
def _walk(data: np.ndarray, start: int, end: int, prefixes: np.ndarray) -> tuple[int, int]:
    """Writes the hashes of all domains above a URL's host, then of all its path prefixes; how many of both there are.

    (0, 0) when there is no host. The last domain is the host itself, the last prefix the whole path.
    """
    authority_start, i = _authority(data, start, end)
    host_start, host_end = _host(data, authority_start, i)
    value = np.uint64(0xCBF29CE484222325)
    whole_only = _is_address(data, host_start, host_end)
    found = 0
    for at in range(host_end - 1, host_start - 1, -1):
        value = _step(value, _lower(data[at]))
        is_domain = at == host_start or (data[at - 1] == _DOT and not whole_only)
        if is_domain and found < prefixes.shape[0]:
            prefixes[found] = _mixed(value)
            found += 1
    domains = found
    value = _step(value, 0x100)  # what follows the host, so that a path never equals a domain
    before = 0
    while i < end and data[i] > 0x20 and data[i] != _HASH and domains:
        byte = int(data[i])
        is_border = byte in (_SLASH, _QUESTION, _AMPERSAND)
        if is_border and before not in (0, _SLASH, _QUESTION, _AMPERSAND) and found < prefixes.shape[0]:
            prefixes[found] = _mixed(value)
            found += 1
        if byte == _PERCENT and i + 2 < end and _hex(data[i + 1]) >= 0 and _hex(data[i + 2]) >= 0:
            byte = 16 * _hex(data[i + 1]) + _hex(data[i + 2])
            i += 2
        if not (byte == _SLASH and before == _SLASH):
            value = _step(value, byte)
        before = byte if is_border else 1
        i += 1
    if before == 1 and found < prefixes.shape[0]:
        prefixes[found] = _mixed(value)
        found += 1
    return domains, found - domains


@kernel
def _number_entries(
    data: np.ndarray, starts: np.ndarray, ends: np.ndarray, numbers: np.ndarray, states: np.ndarray
) -> None:
    prefixes = np.empty(MAX_PREFIXES, np.uint64)
    for row in range(starts.shape[0]):
        first, last = starts[row], ends[row]
        while first < last and data[first] <= 0x20:
            first += 1
        while first < last and data[last - 1] <= 0x20:
            last -= 1
        if first == last or data[first] == _HASH:
            continue
        domains, paths = _walk(data, first, last, prefixes)
        states[row] = USABLE if domains and not _has_second_word(data, first, last) else UNUSABLE
        if domains:
            numbers[row] = prefixes[domains + paths - 1]


@kernel
def _has_second_word(data: np.ndarray, start: int, end: int) -> bool:
    """Whether more than a comment follows the first word: a hosts file, a table, prose."""
    i = start
    while i < end and data[i] > 0x20:
        i += 1
    while i < end and data[i] <= 0x20:
        i += 1
    return bool(i < end and data[i] != _HASH)


@kernel
def _find(  # noqa: PLR0917 - a kernel takes its arrays by position
    data: np.ndarray,
    starts: np.ndarray,
    ends: np.ndarray,
    hashes: np.ndarray,
    codes: np.ndarray,
    bits: np.ndarray,
    found: np.ndarray,
) -> None:
    prefixes = np.empty(MAX_PREFIXES, np.uint64)
    for row in range(starts.shape[0]):
        domains, paths = _walk(data, starts[row], ends[row], prefixes)
        best = 0
        for i in range(domains + paths):
            code = _code_of(prefixes[i], hashes, codes, bits)
            if code and (best == 0 or code < best):
                best = code
        found[row] = best


@kernel
def _number_sites(data: np.ndarray, starts: np.ndarray, ends: np.ndarray, numbers: np.ndarray) -> None:
    prefixes = np.empty(MAX_PREFIXES, np.uint64)
    for row in range(starts.shape[0]):
        domains, _ = _walk(data, starts[row], ends[row], prefixes)
        if domains:
            numbers[row] = prefixes[domains - 1]
