"""Keys and tokens in text: which forms they have, and which texts need not be searched for them.

Token forms are the vendors' own documented prefixes. A quoted value assigned to a name such as `api_key` counts when it
looks random. The prefilter reads bytes, so text without candidates costs next to nothing.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from ctllm.pipelines.batch import kernel


class Secret(NamedTuple):
    """One key or token: characters `start` to `end` of the text."""

    kind: str
    start: int
    end: int


class _Form(NamedTuple):
    kind: str
    anchors: tuple[str, ...]
    """Four ASCII characters each; every secret of this form holds one of them."""
    pattern: re.Pattern[str]
    """The secret itself is group 1."""


_ALONE = r"(?<![0-9A-Za-z_\-])"
_KEY_OWNERS = r"(?:api|access|secret|client|account|private|service|auth|encryption|app)"

TOKENS = (
    _Form(
        "private_key",
        ("--BE",),
        re.compile(
            r"(-----BEGIN (?:[A-Z]{2,10} )?PRIVATE KEY(?: BLOCK)?-----[\w+/=\\:,.\s\"'\-]{64,20000}?-----END)", re.ASCII
        ),
    ),
    _Form("aws_key", ("AKIA", "ASIA"), re.compile(_ALONE + r"(A[KS]IA[A-Z2-7]{16})(?![0-9A-Za-z])")),
    _Form(
        "github_token",
        ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "b_pa"),
        re.compile(_ALONE + r"(gh[pousr]_[0-9A-Za-z]{36}|github_pat_[0-9A-Za-z_]{60,90})(?![0-9A-Za-z])"),
    ),
    _Form("gitlab_token", ("glpa",), re.compile(_ALONE + r"(glpat-[0-9A-Za-z_\-]{20,64})")),
    _Form("slack_token", ("xoxb", "xoxa", "xoxp", "xoxr", "xoxs"), re.compile(r"(xox[baprs]-\d[0-9A-Za-z\-]{20,250})")),
    _Form("google_key", ("AIza",), re.compile(_ALONE + r"(AIza[0-9A-Za-z_\-]{35})(?![0-9A-Za-z_\-])")),
    _Form("stripe_key", ("k_li",), re.compile(_ALONE + r"([sr]k_live_[0-9A-Za-z]{20,250})")),
    _Form("model_api_key", ("sk-p", "sk-a"), re.compile(_ALONE + r"(sk-(?:proj|ant)-[0-9A-Za-z_\-]{20,250})")),
    _Form(
        "jwt",
        ("eyJ0", "eyJh", "eyJr", "eyJj", "eyJl"),  # base64 of {"t, {"a, {"k, {"c, {"e
        re.compile(_ALONE + r"(eyJ[\w\-]{10,4000}\.eyJ[\w\-]{10,4000}\.[\w\-]{10,4000})", re.ASCII),
    ),
)
"""Forms that tell what they are."""

ASSIGNMENT = _Form(
    "assigned_secret",
    ("_key", "-key", "ikey", "skey", "tkey", "ekey", "hkey", "nkey", "pkey", "secr", "toke", "assw"),
    re.compile(
        rf"(?:{_KEY_OWNERS}[_\-]?key|secret|token|passw(?:or)?d)[\w\-]{{0,20}}[\"'\]]{{0,2}}\s{{0,3}}(?::=|=>|=|:)\s{{0,3}}"
        r"[\"'`]([^\s\"'`]{16,200})[\"'`]",
        re.ASCII | re.IGNORECASE,
    ),
)
"""A quoted value that a name declares secret; `_looks_random` sorts out words and placeholders."""

MIN_VALUE_ENTROPY = 3.0  # bits per character over 16 and more: random hex has 3.1 to 4, xxxx and 0000 under 2
_PLACEHOLDER = re.compile(
    r"example|sample|your|here|\.\.\.|placeholder|dummy|change|insert|replace|secret|token|passw|test|fake|abcd|1234|xxx|\*\*|[<>{}$()]",
    re.IGNORECASE,
)
_MIN_VALUE_DIGITS = 3  # of 16: identifiers have fewer, random hex 10, random base64 3; chosen, checked on source code
_REST_OF_NAME = re.compile(r"[\w\-]{4,44}[\"'\]]{0,2}\s{0,3}(?::=|=>|=|:)\s{0,3}[\"'`]", re.ASCII)
_LOWER_CASE = {upper: upper | 0x20 for upper in range(ord("A"), ord("Z") + 1)}
_MAX_OWNER_CHARS, _MAX_ASSIGNMENT_CHARS = 24, 300  # of `ASSIGNMENT` before its anchor, and from there on
_MAX_NAME_BYTES, _MAX_JOIN_BYTES, _MIN_VALUE_BYTES = 40, 8, 16


def find_secrets(text: str, *, forms: int = -1) -> Iterator[Secret]:
    """Every key and token of `text`, form after form, of those in `forms`: what `may_hold_secrets` says, or all."""
    for number, form in enumerate(TOKENS):
        if forms >> number & 1 and any(anchor in text for anchor in form.anchors):
            yield from (Secret(form.kind, *match.span(1)) for match in form.pattern.finditer(text))
    for start, end in _assigned_values(text) if forms >> len(TOKENS) else ():
        value = text[start:end]
        if _looks_random(value) and not any(form.pattern.search(value) for form in TOKENS):
            yield Secret(ASSIGNMENT.kind, start, end)


def _assigned_values(text: str) -> list[tuple[int, int]]:
    """Values of `ASSIGNMENT`, sought around its anchors only: over whole texts the pattern reads 7 MB/s."""
    lowered = text.lower()
    if len(lowered) != len(text):  # İ became two characters
        lowered = text.translate(_LOWER_CASE)
    found = set()
    for anchor in ASSIGNMENT.anchors:
        at = lowered.find(anchor)
        while at >= 0:
            if _REST_OF_NAME.match(text, at):
                window = max(0, at - _MAX_OWNER_CHARS), at + _MAX_ASSIGNMENT_CHARS
                found |= {match.span(1) for match in ASSIGNMENT.pattern.finditer(text, *window)}
            at = lowered.find(anchor, at + len(anchor))
    return sorted(found)


def _looks_random(value: str) -> bool:
    if _PLACEHOLDER.search(value) or sum(map(str.isdigit, value)) < _MIN_VALUE_DIGITS:
        return False
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares) >= MIN_VALUE_ENTROPY


def may_hold_secrets(data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """The forms that `find_secrets` should look for in each text: (texts,), uint32, a bit for each; mostly 0.

    `data` (bytes,), uint8, and `offsets` (texts + 1,), int64, are those of `batch.text_buffers`.
    """
    forms: np.ndarray = _find_forms(data, offsets, *_anchor_table())
    return forms


@cache
def _anchor_table() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Anchors in lower case by slot of their hash, 0 where free, as they must stand, bit of form: (4096,), uint32."""
    anchors, exact, bits = (np.zeros(4096, np.uint32) for _ in range(3))
    for number, form in enumerate((*TOKENS, ASSIGNMENT)):
        for anchor in form.anchors:
            value = int.from_bytes(bytes(byte | 0x20 for byte in anchor.encode()), "big")
            slot = ((value * _ANCHOR_FACTOR) & 0xFFFFFFFF) >> 20
            if anchors[slot] not in (0, value):
                raise AssertionError(f"anchors {anchors[slot]:#x} and {value:#x} share a slot: change _ANCHOR_FACTOR")
            anchors[slot] = value
            exact[slot] = 0 if form is ASSIGNMENT else int.from_bytes(anchor.encode(), "big")
            bits[slot] = 1 << number
    return anchors, exact, bits


_ANCHOR_FACTOR = 0x9E3779B1  # spreads the anchors over 4096 slots without a clash, which `_anchor_table` checks
_BLOCK = 512  # bytes asked at once; of 256 half as fast, and of 1,024 more hold what must be read again (2026-11)


@kernel
def _find_forms(
    data: np.ndarray, offsets: np.ndarray, anchors: np.ndarray, exact: np.ndarray, bits: np.ndarray
) -> np.ndarray:
    forms = np.zeros(offsets.shape[0] - 1, np.uint32)
    for text in range(offsets.shape[0] - 1):
        end = offsets[text + 1]
        for block in range(offsets[text], end, _BLOCK):
            stop = min(block + _BLOCK, end)  # anchors that begin in the block reach three bytes further
            if _may_hold_anchor(data[block : min(stop + 3, end)]):
                forms[text] |= _forms_of_block(data, block, stop, end, anchors, exact, bits)
    return forms


@kernel
def _may_hold_anchor(data: np.ndarray) -> bool:
    """Whether three bytes of an anchor stand in a block; without a branch and into one truth value: on vectors."""
    found = False
    first, second, third, last = data[:-3], data[1:-2], data[2:-1], data[3:]
    for i in range(last.shape[0]):
        a, b, c, d = first[i], second[i], third[i], last[i]
        found |= (
            ((a == 0x2D) & (b == 0x2D) & (c == 0x42))  # --B
            | ((a == 0x41) & (b != 0x20) & (c == 0x49) & (d == 0x41))  # A?IA
            | ((a == 0x67) & (b == 0x68) & (d == 0x5F))  # gh?_
            | ((a == 0x62) & (b == 0x5F) & (c == 0x70))  # b_p
            | ((a == 0x67) & (b == 0x6C) & (c == 0x70))  # glp
            | ((a == 0x78) & (b == 0x6F) & (c == 0x78))  # xox
            | ((a == 0x41) & (b == 0x49) & (c == 0x7A))  # AIz
            | ((a == 0x6B) & (b == 0x5F) & (c == 0x6C))  # k_l
            | ((a == 0x73) & (b == 0x6B) & (c == 0x2D))  # sk-
            | ((a == 0x65) & (b == 0x79) & (c == 0x4A))  # eyJ
        )
        a, b, c, d = a | 0x20, b | 0x20, c | 0x20, d | 0x20  # letters in lower case
        found |= (
            ((b == 0x6B) & (c == 0x65) & (d == 0x79))  # ?key
            | ((b == 0x65) & (c == 0x63) & (d == 0x72))  # ?ecr
            | ((a == 0x74) & (c == 0x6B) & (d == 0x65))  # t?ke
            | ((b == 0x73) & (c == 0x73) & (d == 0x77))  # ?ssw
        )
    return found


@kernel
def _forms_of_block(  # noqa: PLR0917 - a kernel takes its arrays by position
    data: np.ndarray, start: int, stop: int, end: int, anchors: np.ndarray, exact: np.ndarray, bits: np.ndarray
) -> np.uint32:
    """Forms with an anchor from `start` to `stop` that a secret may follow, in a text that ends at `end`."""
    window = cased = found = np.uint32(0)
    for i in range(start, min(stop + 3, end)):
        cased = np.uint32(cased << np.uint32(8)) | np.uint32(data[i])
        window = cased | np.uint32(0x20202020)  # letters in lower case
        slot = np.uint32(window * np.uint32(_ANCHOR_FACTOR)) >> np.uint32(20)
        if anchors[slot] == window and (
            exact[slot] == cased or (exact[slot] == 0 and _assigns_value(data, i + 1, end))
        ):
            found |= bits[slot]
    return found


@kernel
def _assigns_value(data: np.ndarray, at: int, end: int) -> bool:
    """Whether the name that goes on at `at` is followed by = or :, a quote and 16 bytes without blank and quote."""
    stop = min(end, at + _MAX_NAME_BYTES)
    while at < stop and _is_name_byte(data[at]):
        at += 1
    stop = min(end, at + _MAX_JOIN_BYTES + 4)
    is_assigned = False
    while at < stop and not (is_assigned and _is_quote(data[at])):
        if not (_is_quote(data[at]) or data[at] in (0x20, 0x09, 0x0A, 0x0D, 0x3A, 0x3D, 0x3E, 0x5D)):
            return False
        is_assigned |= data[at] in (0x3A, 0x3D)
        at += 1
    if at + _MIN_VALUE_BYTES >= end or at == stop:
        return False
    is_value = True
    for i in range(at + 1, at + 1 + _MIN_VALUE_BYTES):
        is_value &= data[i] > 0x20 and not _is_quote(data[i])
    return is_value


@kernel
def _is_name_byte(byte: int) -> bool:
    letter = byte | 0x20
    return 0x61 <= letter <= 0x7A or 0x30 <= byte <= 0x39 or byte in (0x2D, 0x5F)


@kernel
def _is_quote(byte: int) -> bool:
    return byte in (0x22, 0x27, 0x60)
