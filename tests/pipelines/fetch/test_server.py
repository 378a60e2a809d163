"""Patience, pauses and refusals."""

import email.utils
import time
from dataclasses import replace

import httpx
import pytest

from ctllm.pipelines.fetch.server import Manners, Server, TransientError, check_status, repeat
from ctllm.schemas.errors import InputError, StageError


def test_pauses_double_up_to_a_minute(manners: Manners) -> None:
    """Pauses are 1, 2, 4 … s and never above 60; half of each is random."""
    error = TransientError("x")
    assert [manners.delay_s(tries, error) for tries in (1, 2, 3, 6, 7, 99)] == [1, 2, 4, 32, 60, 60]
    assert replace(manners, jitter=lambda: 0.0).delay_s(3, error) == 2


def test_retry_after_is_a_minimum(manners: Manners) -> None:
    """What the server asks for is waited, more if our own pause is longer; above 15 minutes it is left to the user."""
    assert manners.delay_s(1, TransientError("x", retry_after_s=900)) == 900
    assert manners.delay_s(3, TransientError("x", retry_after_s=2)) == 4
    with pytest.raises(StageError, match="come back in 901 s"):
        manners.delay_s(1, TransientError("x", retry_after_s=901))


@pytest.mark.parametrize(("given", "seconds"), [("30", 30.0), ("nonsense", None), ("-5", None)])
def test_retry_after_in_seconds(given: str, seconds: float | None) -> None:
    """Seconds are understood, nonsense is nothing."""
    assert retry_after_s(given) == seconds


@pytest.mark.parametrize(("ahead_s", "seconds"), [(9000, 9000.0), (-100, 0.0)])
def test_retry_after_as_a_date(ahead_s: float, seconds: float) -> None:
    """A date is understood; one in the past is now."""
    assert retry_after_s(email.utils.formatdate(time.time() + ahead_s, usegmt=True)) == pytest.approx(seconds, abs=600)


def retry_after_s(given: str) -> float | None:
    """How long an answer with this header asks to wait."""
    with pytest.raises(TransientError) as caught:
        check_status(httpx.Response(429, headers={"Retry-After": given}), Server("http://x", ""), url="http://x/y")
    return caught.value.retry_after_s


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_for_now(status: int) -> None:
    """These answers may be better next time."""
    with pytest.raises(TransientError):
        check_status(httpx.Response(status), Server("http://x", ""), url="http://x/y")


@pytest.mark.parametrize("status", [400, 404, 410, 451, 204, 304])
def test_for_good(status: int) -> None:
    """These are not asked for again; the message names the URL."""
    with pytest.raises(InputError, match=f"http://x/y: HTTP {status}"):
        check_status(httpx.Response(status), Server("http://x", ""), url="http://x/y")


def test_patience_is_renewed_by_progress_only(manners: Manners, pauses: list[float]) -> None:
    """Tries that get further than ever do not count; going back and forth does."""
    reached = iter([0, 10, 20, 5, 20, 20])
    position = [0]

    def attempt() -> None:
        position[0] = next(reached)
        raise TransientError("cut")

    with pytest.raises(StageError, match="what: cut, 3 tries without progress"):
        repeat(attempt, what="what", manners=manners, num_bytes=lambda: position[0])
    assert pauses == [1.0, 1.0, 1.0, 2.0]


def test_bad_certificates_are_not_tried_again(manners: Manners, pauses: list[float]) -> None:
    """A certificate that does not verify is the user's to mend, and the message says how."""

    def attempt() -> None:
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate")

    with pytest.raises(InputError, match="set SSL_CERT_FILE"):
        repeat(attempt, what="what", manners=manners)
    assert pauses == []


def test_token_for_the_same_origin_only() -> None:
    """Another host, another port and another protocol get no token."""
    server = Server("https://hub.example", "", token="t")
    assert server.headers("https://hub.example/x") == {"Authorization": "Bearer t"}
    for url in (
        "https://cdn.example/x",
        "https://hub.example:8443/x",
        "http://hub.example/x",
        "https://hub.example.evil/x",
    ):
        assert server.headers(url) == {}


def test_proxies_come_from_the_environment(manners: Manners, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS_PROXY is used, as httpx reads it."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with manners.client() as client, pytest.raises(httpx.ConnectError):
        client.get("https://hub.example/x")
