"""Ids that only the word before them gives away, and what stands after the same words without being one."""

import pytest

from ctllm.pipelines.privacy.accounts import find_emails, find_passports, find_plates, find_qq_ids, find_wechat_ids
from ctllm.pipelines.privacy.context import Finder, Window


def found(find: Finder, text: str, at: str) -> list[str]:
    """What is found around the first `at` of a text."""
    start = text.index(at)
    window = Window.around(text, start, start + len(at))
    return [text[window.origin + first : window.origin + last] for first, last in find(window)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("写给a.b@example.com吧", ["a.b@example.com"]),
        ("return@forEach.let", []),
        ("git@github.com:a/b.git", []),
        ("icon@2x.png", []),
        ("a@b.museum", ["a@b.museum"]),
        ("a@b.museums", []),
        ("https://user:word@host.com/x", []),
        ("a@b@c.com", []),
    ],
)
def test_emails(text: str, expected: list[str]) -> None:
    """An address ends in a top level in use; scopes of code, repositories, pictures and passwords in links are none."""
    assert found(find_emails, text, "@") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("QQ：12345", ["12345"]), ("QQ12345", []), ("QQ123456", ["123456"]), ("QQ：1234", []), ("QQ：123456789012", []),
     ("QQ 9.9.15", []), ("QQ：012345", []), ("QQ：12345@qq.com", []), ("QQ：12345-67", [])],
)  # fmt: skip
def test_qq_numbers(text: str, expected: list[str]) -> None:
    """Five to eleven digits without leading zero; five beside the word are a version or a year."""
    assert found(find_qq_ids, text, "QQ") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("微信：abc_12", ["abc_12"]), ("微信：abc12", []), ("微信号：abcdef", ["abcdef"]), ("微信：abcdef", []),
     ("微信 Java8Script", []), ("加微信 Java8Script", ["Java8Script"]), ("微信号：wechat", []),
     ("微信公众号：abc_12", []), ("微信：abc_12@qq.com", []), ("微信：https://a", [])],
)  # fmt: skip
def test_wechat_ids(text: str, expected: list[str]) -> None:
    """Six to twenty signs after a sign or a request; a word of letters only where the text says 微信号."""
    assert found(find_wechat_ids, text, "微信") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("护照号123456789", ["123456789"]), ("护照123456789", []), ("护照E12345678", ["E12345678"]),
     ("护照E1234567", ["E1234567"]), ("护照E123456789", []), ("护照费120元", [])],
)  # fmt: skip
def test_passports(text: str, expected: list[str]) -> None:
    """A letter and its digits after the word; digits alone only after 护照号."""
    assert found(find_passports, text, "护照") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("京A12345", ["京A12345"]), ("京A1234", []), ("京A123456", []), ("京AD12345", ["京AD12345"]),
     ("京AZ12345", []), ("京I12345", []), ("京AABC12", []), ("京AAB123", ["京AAB123"]), ("北京B12345", []),
     ("京A1234学", ["京A1234学"])],
)  # fmt: skip
def test_plates(text: str, expected: list[str]) -> None:
    """Five signs with at most two letters, six for new energy, no I and O; the end of another word begins none."""
    at = next(each for each in ("京A", "京I", "京B") if each in text)
    start = text.index(at) + 1
    window = Window.around(text, start, start + 1)
    assert [text[first:last] for first, last in find_plates(window)] == expected
