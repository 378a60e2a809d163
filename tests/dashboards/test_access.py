"""Who is answered."""

from typing import Any

import pytest

from ctllm.dashboards.access import Access, host_name, is_loopback
from ctllm.schemas.errors import ConfigError

TOKEN = "0123456789abcdef-long"


def scope(path: str = "/api/runs", *, method: str = "GET", **headers: str) -> dict[str, Any]:
    """A request as ASGI describes it."""
    pairs = {"host": "127.0.0.1:8050", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in pairs.items()]
    return {"type": "http", "method": method, "path": path, "headers": raw}


def status(access: Access, asked: dict[str, Any]) -> int:
    """What the request is answered with by the guard; 200 where it lets it pass."""
    refusal = access.refusal(asked)
    return refusal[0] if refusal else 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8050", "localhost:1", "LOCALHOST", "[::1]:8050", "[::1]"])
def test_this_machine_is_answered(host: str) -> None:
    """Every way to write this machine's own address."""
    assert status(Access.checked("127.0.0.1", token=None), scope(host=host)) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8050",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "10.0.0.5",
        "[::2]:80",
    ],
)
def test_rebound_names_are_refused(host: str) -> None:
    """A page whose name was made to point at this machine still sends its own name: pages and data are refused."""
    access = Access.checked("127.0.0.1", token=None)
    assert status(access, scope(host=host)) == 421
    assert status(access, scope("/", host=host)) == 421


def test_a_token_is_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    """Without the token no data; with it in the header or the cookie, data; pages hold none and are free."""
    access = Access.checked("0.0.0.0", token=TOKEN)
    assert status(access, scope(host="box.example")) == 401
    assert status(access, scope("/", host="box.example")) == 200
    assert status(access, scope("/api/health")) == 200
    assert status(access, scope(authorization=f"Bearer {TOKEN}")) == 200
    assert status(access, scope(cookie=f"a=b; ctllm_dashboard={TOKEN}; c=d")) == 200
    for wrong in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN, "Bearer ", "Bearer 中文"):
        assert status(access, scope(authorization=wrong)) == 401
    assert status(access, scope(cookie="ctllm_dashboard=")) == 401
    assert status(access, scope("/api/login", method="POST")) == 401
    assert TOKEN not in caplog.text


def test_other_sites_and_methods_are_refused() -> None:
    """A page of another site gets nothing, and nothing is written."""
    access = Access.checked("127.0.0.1", token=None)
    assert status(access, scope(sec_fetch_site="cross-site")) == 403
    assert status(access, scope(sec_fetch_site="same-site")) == 403
    assert status(access, scope(sec_fetch_site="same-origin")) == 200
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert status(access, scope(method=method)) == 405


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example"])
def test_an_open_address_needs_a_token(host: str) -> None:
    """The dashboard does not start where others reach it and anybody could ask."""
    with pytest.raises(ConfigError, match=f"--host {host}: open to others without a token"):
        Access.checked(host, token=None)
    assert Access.checked(host, token=TOKEN).token == TOKEN


@pytest.mark.parametrize(
    "token", ["", "short", "fifteen-chars-x", "with\nnewline-and-more", "带中文的口令带中文的口令带中文的口令"]
)
def test_a_token_that_can_be_guessed_is_refused(token: str) -> None:
    """The message says what a token must be and never repeats the one that was given."""
    with pytest.raises(ConfigError, match="at least 16 ASCII characters") as caught:
        Access.checked("127.0.0.1", token=token)
    assert not token or token not in str(caught.value)


def test_names_of_hosts() -> None:
    """Ports and brackets are set aside."""
    assert [host_name(each) for each in ("a:80", "a", "[::1]:80", "[::1]", "")] == ["a", "a", "::1", "::1", ""]
    assert [is_loopback(each) for each in ("127.8.8.8", "::1", "localhost", "8.8.8.8", "x")] == [
        True,
        True,
        True,
        False,
        False,
    ]
