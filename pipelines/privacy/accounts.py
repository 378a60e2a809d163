"""Names that lead to a person: e-mail addresses, QQ and WeChat ids, passports, licence plates.

Ids are known only by the word that announces them; plates by province character, letter and digits.
"""

import re
from collections.abc import Iterator

from ctllm.pipelines.privacy.candidates import MIN_PLATE_DIGITS, PROVINCES
from ctllm.pipelines.privacy.context import Span, Window

EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+\-@/])([A-Za-z0-9][A-Za-z0-9._%+\-]{0,63})@"
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+([A-Za-z]{2,24})(?![A-Za-z0-9@]|[\-.][A-Za-z0-9(])"
)
"""ASCII only, so an address that touches Han characters on both sides is found and the Han characters stay."""
_TOP_LEVELS = frozenset(
    """academy aero agency app art asia biz blog cafe cat center chat city cloud club com company coop design
    dev digital edu email example fans fun global gov group health help host icu info int international invalid
    jobs law life link live local lol love ltd mail media mil mobi museum name net network news ngo one online
    org page party post press pro pub ren run school science shop site social software space store studio team
    tech technology tel test today tools top travel university video vip website wiki win work world xin xxx
    xyz zone""".split()  # noqa: SIM905 - a list to read
)  # generic ones in use, and those of RFC 2606; of two letters, all are countries
_MACHINES = frozenset(("git", "hg", "svn", "ssh", "root", "noreply", "no-reply", "example"))
"""Local parts that are nobody's: git@github.com."""
_CODE_SCOPES = re.compile(r"(?:return|this|super|break|continue)")  # Kotlin: return@forEach.let

QQ = re.compile(
    r"(?:(?<![A-Za-z._=])(?<![A-Za-z0-9]/)[Qq]{2}|扣扣)(?:邮箱)?(群|空间|号码|號碼|号|號|账号|帐号|帳號)?"
    r"(?:号|群号)?(?:[/、或和及&](?:微信|手机|电话|[VvWw][Xx])号?)?(\s?[:：是为：]\s?|\s)?[（(]?([1-9]\d{4,10})(?![\d\-A-Za-z@]|\.\d)"
)
WECHAT = re.compile(
    r"(?:微信|薇信|威信|(?<![A-Za-z._=])(?<![A-Za-z0-9]/)(?:[VvWw][Xx]|(?i:wechat|weixin)))\s?"
    r"(同号|号码|帐号|账号|帳號|号|號|ID|Id|id)?(?:[/、或和及&](?:QQ|qq|手机|电话)号?)?"
    r"(\s?(?:[:：是为→]|添加|搜索|加)\s?|\s)?[（(【「]?([A-Za-z][A-Za-z0-9_\-]{5,19}|1[3-9]\d{9})(?![A-Za-z0-9_@./\-]|:[^\s])"
)
_ASKS = re.compile(r"(?:加|联系|聯繫|添加|找|扫|请|咨询)[^\d\n]{0,6}$")
_SERVICES = re.compile(
    r"(?i)(?:wechat|weixin|wxwork|qq|alipay|zhifubao|android|iphone|windows|official|login|public|account|payment)"
)

PASSPORT = re.compile(
    r"(?:护照|護照|通行证|通行證|(?i:passport))"
    r"(号码|號碼|号|號|编号|(?i:\s?(?:no|number|num)\b)\.?)?[^\nA-Za-z0-9，。；;]{0,6}"
    r"([DEGPS][A-Z]?\d{7,8}|[CHMW]\d{8,10}|[A-Z]{1,2}\d{6,8}|\d{9})(?![A-Za-z0-9]|[\-.]\d)"
)
"""Chinese passports and permits by their letters, others by form; nine digits only where a number is announced."""

_PLATE_LETTER = "[A-HJ-NP-Z]"  # I and O are not used
_PLATE_SIGN = "[A-HJ-NP-Z0-9]"
PLATE = re.compile(
    rf"(?<![北南东全最更创里讯度江辽西四天])[{PROVINCES}]{_PLATE_LETTER}[·•.\- ]?"
    rf"(?:[A-HJK]{_PLATE_SIGN}\d{{4}}|\d{{5}}[A-HJK]|{_PLATE_SIGN}{{5}}|{_PLATE_SIGN}{{4}}[学警港澳挂使领])(?![A-Za-z0-9])"
)
"""GA 36-2018: five signs, or six of which the first or the last tells a new-energy car. 北京BJ40 is a car's name."""


def find_emails(window: Window) -> Iterator[Span]:
    """E-mail addresses under a top level in use."""
    for match in EMAIL.finditer(window.text):
        top = match.group(2).lower()
        is_person = match.group(1).lower() not in _MACHINES and not _CODE_SCOPES.fullmatch(match.group(1))
        is_url = "://" in re.split(r"[\s\"'<>，。（]", window.text[: match.start()])[-1]  # user:password@host
        if is_person and not is_url and (len(top) == 2 or top in _TOP_LEVELS):
            yield match.span()


def find_qq_ids(window: Window) -> Iterator[Span]:
    """QQ numbers of persons and groups. QQ2013 is a version, so five digits need a word or a sign between."""
    match = QQ.match(window.text, window.start)
    if match and (match.group(1) or match.group(2) or len(match.group(3)) >= 6):
        yield match.span(3)


def find_wechat_ids(window: Window) -> Iterator[Span]:
    """WeChat ids. Words after 微信 are many, so an id needs a sign between and a digit in it, or 微信号 before it."""
    match = WECHAT.match(window.text, window.start)
    if match is None or _SERVICES.fullmatch(match.group(3)):
        return
    label, sign, name = match.groups()
    is_coded = any(each.isdigit() or each == "_" for each in name)
    is_announced = bool(label) or (sign or "").strip() != "" or _ASKS.search(window.before(match.start(), 8))
    is_spelled = bool(label) and (sign or "").strip() != ""
    if (is_coded and is_announced) or is_spelled or name.isdigit():
        yield match.span(3)


def find_passports(window: Window) -> Iterator[Span]:
    """Passport and travel permit numbers after the word."""
    match = PASSPORT.match(window.text, window.start)
    if match and (match.group(1) or not match.group(2).isdigit()):
        yield match.span(2)


def find_plates(window: Window) -> Iterator[Span]:
    """Licence plates of mainland China."""
    match = PLATE.match(window.text, window.start - 1)
    if match and sum(map(str.isdigit, match.group())) >= MIN_PLATE_DIGITS:
        yield match.span()
