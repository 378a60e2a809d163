"""Personal numbers: mobile and landline telephones, resident identity numbers, bank cards.

Each must have a form *and* obey its rule (number segments, area codes, dates, check digits); words before it can speak
for it (卡号) or against it (订单号).
"""

import re
from collections.abc import Iterator
from datetime import date

from ctllm.pipelines.privacy.context import Span, Window

REACH_CHARS = 8  # a number may begin so far before the digits that were seen: +86, brackets, area codes
_FREE = r"(?<![0-9A-Za-z.\-_/=&%#$¥￥€£])"
_END = r"(?![0-9A-Za-z_$]|[.\-]\d)"

MOBILE = re.compile(
    rf"(?:{_FREE}|(?<=phone=)|(?<=mobile=)|(?<=tel=))(?:\(?(?:\+|00)?86\)?[ \-]?)?"
    r"1(?:3\d|4[5-9]|5[0-35-9]|6[2567]|7[0-8]|8\d|9[0-35-9])(?:\d{8}|([ \-])\d{4}\1\d{4}|-\d{8})"
    rf"{_END}"
)
"""11 digits of a segment in use (Ministry of Industry numbering plan, 2023), plain, as 3-4-4 or as 3-8."""

_AREA = r"(?:10|2[0-57-9]|[3-9]\d\d)"  # area codes without their 0: 010, 020 to 029 but 026, 0310 to 0999
_LOCAL = r"[2-9](?:\d{6,7}|\d{2,3}[ \-]\d{4})"
LANDLINE = re.compile(
    rf"{_FREE}(?:(?:\+|00)?86[ \-]?)?(?:\(0?{_AREA}\)[ \-]?|0{_AREA}[ \-]){_LOCAL}(?:[\-转]\d{{1,5}})?{_END}"
)
PLAIN_LANDLINE = re.compile(rf"{_FREE}0{_AREA}[2-9]\d{{6,7}}{_END}")
_TELEPHONE = re.compile(
    r"(?:手机|手機|电话|電話|座机|传真|傳真|热线|熱線|联系|聯繫|(?i:tel|fax|phone|mobile|\bcall))[^\d\n]{0,8}$"
)

ID_CARD = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{5}([ \-]?)\d{8}\1\d{3}[0-9Xx](?![0-9A-Za-z])")
OLD_ID_CARD = re.compile(r"(?<![0-9A-Za-z])[1-9]\d{14}(?![0-9A-Za-z])")
_IDENTITY = re.compile(r"(?:身份|身分|证件|證件|公民|(?i:\bid card))[^\d\n]{0,12}$")
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)  # GB 11643-1999, ISO 7064 MOD 11-2
ID_CHECK_DIGITS = "10X98765432"
ID_PROVINCES = frozenset(
    (11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52, 53, 54, 61, 62, 63,
     64, 65, 71, 81, 82, 83)
)  # fmt: skip  # GB/T 2260, first two digits

BANK_CARD = re.compile(
    rf"{_FREE}(?<!\d )(?:\d{{15,19}}|\d{{4}}([ \-])\d{{4}}\1\d{{4}}\1\d{{4}}(?:\1\d{{1,3}})?"
    rf"|3[47]\d\d([ \-])\d{{6}}\2\d{{5}}){_END}(?! \d)"
)
_CHINESE_CARD = re.compile(r"62[0-8]\d{13}(?:\d{3})?|(?:9558|9559|436742|456351|601382)\d+")
"""UnionPay (ISO/IEC 7812 range 62) of the two usual lengths, and the older debit cards of ICBC, ABC, CCB and BOC."""
_OTHER_CARD = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01])\d{13}|3[47]\d{13}|35(?:2[89]|[3-8]\d)\d{12}|6(?:011|5\d\d|4[4-9]\d)\d{12}"
    r"|62\d{14,17}"
)
"""Visa, Mastercard, American Express, JCB, Discover by their published ranges, UnionPay of any length."""
_CARD = re.compile(
    r"(?:卡|账号|帐号|帳號|账户|帐户|帳戶|银行|銀行|(?i:\b(?:card|visa|master|bank|unionpay|account|pan|cc)))[^\d\n]{0,16}$"
)

_SERIAL = re.compile(
    r"(?:订单|訂單|单号|單號|运单|编号|編號|序列|流水|货号|条码|條碼|批号|型号|期号|案号|文号|快递|代码|学号|工号|ISBN|ISSN|DOI"
    r"|(?i:(?<![a-z])(?:order|serial|tracking|sku|isbn|issn|doi|invoice|build|part|model|timestamp|uid|pid|id)))"
    r"[^\d\n]{0,8}$"
)
"""Words that make a number the name of a thing."""
_ARITHMETIC_BEFORE = re.compile(r"[*×÷^<>≈=]\s*$")
_ARITHMETIC_AFTER = re.compile(
    r"\s*(?:[*×÷^<>≈=]\s*\d|\+\s*\d|元|人次|人民币|美元|万|亿|千米|公里|吨|字节|(?i:km|kg|bytes|ms)\b)"
)


def find_mobiles(window: Window) -> Iterator[Span]:
    """Mobile numbers."""
    for match in _matches(MOBILE, window):
        is_named = _TELEPHONE.search(window.before(match.start(), 16)) is not None
        if is_named or not (_counts_things(window, match) or _is_in_a_list(window, match)):
            yield match.span()


def find_landlines(window: Window) -> Iterator[Span]:
    """Landline numbers with their area code apart, or in one piece after a word such as 电话."""
    for match in _matches(LANDLINE, window):
        if not _SERIAL.search(window.before(match.start(), 16)):
            yield match.span()
    for match in _matches(PLAIN_LANDLINE, window):
        if _TELEPHONE.search(window.before(match.start(), 16)):
            yield match.span()


def find_id_cards(window: Window) -> Iterator[Span]:
    """Resident identity numbers; those of 15 digits, without check digit, only after a word such as 身份证."""
    for match in _matches(ID_CARD, window):
        if is_id_number(re.sub(r"[ \-]", "", match.group())):
            yield match.span()
    for match in _matches(OLD_ID_CARD, window):
        is_named = _IDENTITY.search(window.before(match.start(), 24))
        if is_named and _is_origin(match.group()[:6], "19" + match.group()[6:12]):
            yield match.span()


def find_bank_cards(window: Window) -> Iterator[Span]:
    """Bank cards: Chinese ones by range and check digit, others also need a word such as 卡号 or groups of four."""
    for match in _matches(BANK_CARD, window):
        digits = re.sub(r"[ \-]", "", match.group())
        if not has_luhn_digit(digits) or len(set(digits)) < 3:
            continue
        is_named = _CARD.search(window.before(match.start(), 24)) is not None
        is_grouped = match.group() != digits
        is_known = _CHINESE_CARD.fullmatch(digits) is not None and (is_named or not _counts_things(window, match))
        if is_known or ((is_named or is_grouped) and _OTHER_CARD.fullmatch(digits)):
            yield match.span()


def is_id_number(number: str) -> bool:
    """Whether 18 characters are a resident ID number: province, a date from 1900 to today's century, check digit."""
    total = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, number, strict=False))
    return _is_origin(number[:6], number[6:14]) and ID_CHECK_DIGITS[total % 11] == number[17].upper()


def _is_origin(district: str, born: str) -> bool:
    year, month, day = int(born[:4]), int(born[4:6]), int(born[6:])
    try:
        date(year, month, day)
    except ValueError:
        return False
    return int(district[:2]) in ID_PROVINCES and 1900 <= year < 2100


def has_luhn_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of those before it (ISO/IEC 7812-1, annex B)."""
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    total = sum(map(int, digits[-1::-2])) + sum(each // 10 + each % 10 for each in doubled)
    return total % 10 == 0


def _matches(pattern: re.Pattern[str], window: Window) -> Iterator[re.Match[str]]:
    return pattern.finditer(window.text, max(0, window.start - REACH_CHARS), window.end + 8)


def _counts_things(window: Window, match: re.Match[str]) -> bool:
    """Whether the words around say that the number is a serial number, an amount or part of a sum."""
    before = window.before(match.start(), 16)
    return bool(
        _SERIAL.search(before) or _ARITHMETIC_BEFORE.search(before) or _ARITHMETIC_AFTER.match(window.text, match.end())
    )


def _is_in_a_list(window: Window, match: re.Match[str]) -> bool:
    """Whether a number in groups stands between other groups of digits, as in a table."""
    if match.group(1) != " ":
        return False
    return window.text[max(0, match.start() - 2) : match.start()].strip(" ").isdigit() or bool(
        re.compile(r" \d").match(window.text, match.end())
    )
