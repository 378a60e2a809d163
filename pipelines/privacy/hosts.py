"""Public IP addresses.

Four numbers with dots are more often a version or a section, so a word beside them or their size must speak.
"""

import ipaddress
import re
from collections.abc import Iterator

from ctllm.pipelines.privacy.context import Span, Window

IPV4 = re.compile(
    r"(?<![0-9A-Za-z_.\-])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![0-9A-Za-z_]|\.\d|-[A-Za-z0-9])"
)
IPV6 = re.compile(r"(?<![0-9A-Za-z:.])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){2,7}(?![0-9A-Za-z:])")
PUBLIC_SERVICES = frozenset(
    ("1.0.0.1", "1.1.1.1", "4.2.2.1", "4.2.2.2", "8.8.4.4", "8.8.8.8", "9.9.9.9", "114.114.114.114", "114.114.115.115",
     "119.29.29.29", "180.76.76.76", "208.67.220.220", "208.67.222.222", "223.5.5.5", "223.6.6.6",
     "2001:4860:4860::8844", "2001:4860:4860::8888", "2400:3200::1", "2606:4700:4700::1111", "240c::6666")
)  # fmt: skip  # resolvers that every manual names; they lead to nobody

_VERSION = re.compile(
    r"(?:版本|版|固件|驱动|内核|升级|更新|(?i:\b(?:v|ver|version|release|build|update|firmware|rev|sdk|chrome|edge|firefox|safari"
    r"|driver|plugin|dll|oid|jdk|kernel|tag|install|upgrade[d]?|pip|npm)))[^\n\d]{0,12}$"
)
_HOST = re.compile(
    r"(?:地址|服务器|伺服器|主机|主機|登录|登錄|来自|來自|代理|域名|解析|访问|"
    r"(?i:\b(?:ip|ipv4|host|addr|address|server|ping|dns|ssh|curl|telnet|client|peer|from|proxy|inet|gateway)))[^\n\d]{0,16}$|://\S{0,20}$"
)
_PORT = re.compile(r":\d{2,5}(?!\d)|/\d{1,2}(?!\d)")
MIN_LARGE_PART = 100  # of an address without a word beside it; parts of versions are rarely larger
MIN_FIRST_PART = 20  # sections and dates begin below it


def find_ips(window: Window) -> Iterator[Span]:
    """Global IPv4 and IPv6 addresses; private, reserved and documentation ranges stay."""
    for match in IPV4.finditer(window.text, window.start, window.end + 2):
        if _is_personal(match.group()) and _is_address(window, match):
            yield match.span()
    long = IPV6.match(window.text, window.start)
    if long and _is_personal(long.group()):
        yield long.span()


def _is_personal(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast and address not in PUBLIC_SERVICES


def _is_address(window: Window, match: re.Match[str]) -> bool:
    before = window.before(match.start(), 28)
    if _VERSION.search(before):
        return False
    if _HOST.search(before) or _PORT.match(window.text, match.end()):
        return True
    parts = [int(part) for part in match.group().split(".")]
    return parts[0] >= MIN_FIRST_PART and max(parts) >= MIN_LARGE_PART and sum(part >= 10 for part in parts) >= 3
