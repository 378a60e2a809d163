"""Replaces personal data in text to be published: Chinese mobile numbers, resident ID numbers, e-mail addresses.

Found by form *and* by rule (number segments, dates, check digits), so versions, dates, prices and serial numbers stay.
Names, postal addresses and bank cards are not looked for.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Literal, TypedDict

from ctllm.schemas.curation_config import PrivacyConfig


class Edit(TypedDict):
    """One change, as schemas.document.EDITS holds it: characters `start` to `end` of the text before edits."""

    kind: str
    start: int
    end: int
    replacement: str


MOBILE = re.compile(
    r"(?<![0-9A-Za-z.\-_/=&])(?:(?:\+|00)?86[ \-]?)?"
    r"(1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9]))([ \-]?)\d{4}\2\d{4}(?![0-9A-Za-z_]|[.\-]\d)"
)
"""11 digits of a segment in use (Ministry of Industry numbering plan, 2023), plain or as 3-4-4 with one separator."""

ID_CARD = re.compile(r"(?<![0-9A-Za-z])([1-9]\d{5})(\d{8})(\d{3})([0-9Xx])(?![0-9A-Za-z])")
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
ID_CHECK_DIGITS = "10X98765432"
ID_PROVINCES = frozenset(
    (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
     64, 65, 71, 81, 82, 83)
)  # fmt: skip  # GB/T 2260, first two digits

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-@/])[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![A-Za-z0-9@])"
)
"""ASCII only, so an address that touches Han characters on both sides is found and the Han characters stay."""

TAGS = {"mobile": "<手机号>", "id_card": "<身份证号>", "email": "<邮箱>"}


def redact(texts: list[str], *, config: PrivacyConfig) -> list[tuple[str, list[Edit]]]:
    """Each text with personal data replaced by tags such as `<手机号>`, and the edits in order of their place."""
    wanted = [kind for kind in _FINDERS if getattr(config, kind) == "redact"]
    return [_redact(text, wanted) for text in texts]


def _redact(text: str, kinds: list["Kind"]) -> tuple[str, list[Edit]]:
    found = [(start, end, kind) for kind in kinds for start, end in _FINDERS[kind](text)]
    pieces: list[str] = []
    edits: list[Edit] = []
    done = 0
    for start, end, kind in sorted(found):
        if start < done:
            continue
        pieces += [text[done:start], TAGS[kind]]
        edits.append(Edit(kind=f"pii:{kind}", start=start, end=end, replacement=TAGS[kind]))
        done = end
    return "".join([*pieces, text[done:]]), edits


def _find_mobiles(text: str) -> Iterator[tuple[int, int]]:
    for match in MOBILE.finditer(text):
        yield match.span()


def _find_id_cards(text: str) -> Iterator[tuple[int, int]]:
    for match in ID_CARD.finditer(text):
        if is_id_number(match.group()):
            yield match.span()


def _find_emails(text: str) -> Iterator[tuple[int, int]]:
    for match in EMAIL.finditer(text) if "@" in text else ():
        yield match.span()


def is_id_number(number: str) -> bool:
    """Whether 18 characters are a resident ID number: province, a date from 1900 to today's century, check digit."""
    year, month, day = int(number[6:10]), int(number[10:12]), int(number[12:14])
    try:
        date(year, month, day)
    except ValueError:
        return False
    total = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, number, strict=False))
    is_plausible = int(number[:2]) in ID_PROVINCES and 1900 <= year < 2100
    return is_plausible and ID_CHECK_DIGITS[total % 11] == number[17].upper()


Kind = Literal["mobile", "id_card", "email"]

_FINDERS: dict[Kind, Callable[[str], Iterator[tuple[int, int]]]] = {
    "id_card": _find_id_cards,
    "mobile": _find_mobiles,
    "email": _find_emails,
}
