"""Four numbers with dots: an address, a version, or a section."""

import pytest

from ctllm.pipelines.privacy.context import Window
from ctllm.pipelines.privacy.hosts import find_ips


def found(text: str, at: str) -> list[str]:
    """The addresses found at `at` of a text."""
    start = text.index(at)
    window = Window.around(text, start, start + len(at))
    return [text[window.origin + first : window.origin + last] for first, last in find_ips(window)]


@pytest.mark.parametrize("address", ["47.95.100.7", "1.2.3.4", "223.255.255.254"])
def test_an_address_is_found_beside_its_word(address: str) -> None:
    """After 地址, IP or before a port even small numbers are an address; after 版本 and v none is."""
    assert found(f"服务器地址：{address}", address) == [address]
    assert found(f"{address}:8080", address) == [address]
    assert found(f"版本 {address}", address) == []
    assert found(f"v{address}", address) == []


@pytest.mark.parametrize(
    ("text", "is_address"),
    [("20.100.10.1", True), ("19.100.10.1", False), ("20.99.10.1", False), ("20.100.9.1", False)],
)
def test_alone_its_size_decides(text: str, is_address: bool) -> None:
    """Without a word, parts as large as those of versions and sections never are make an address no longer."""
    assert found(f"见 {text} 处", text) == ([text] if is_address else [])


@pytest.mark.parametrize(
    "address",
    ["10.1.2.3", "172.16.0.1", "192.168.100.200", "127.0.0.1", "169.254.10.20", "192.0.2.146", "224.0.0.251", "0.0.0.0",
     "255.255.255.255", "8.8.8.8", "256.100.100.100", "120.100.100.1.5", "020.100.100.100"],
)  # fmt: skip
def test_addresses_that_lead_to_nobody_stay(address: str) -> None:
    """Private, reserved, documentation and multicast ranges, public resolvers, and what is no address."""
    assert found(f"地址 {address}", address) == []


def test_long_addresses() -> None:
    """Global unicast IPv6 is found whole; documentation, local addresses and times are not."""
    assert found("来自2a00:1450:4001:81b::200e。", "2a00:") == ["2a00:1450:4001:81b::200e"]
    assert found("来自2001:db8::1。", "2001:") == []
    assert found("2023:05:17", "2023:") == []
    assert found("2001:4860:4860::8888", "2001:") == []
