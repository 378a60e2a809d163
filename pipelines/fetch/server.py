"""HTTP as downloads need it: who asks, how patiently, and what each refusal means.

A try fails for good (InputError: 404, 401, 403, a bad certificate) or for now (TransientError and everything httpx
calls a transport error: broken off, stalled, 429, 5xx), and then it is repeated after a pause.
"""

import email.utils
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from ctllm import __version__
from ctllm.schemas.errors import InputError, StageError

USER_AGENT = f"ctllm/{__version__} (ctllm fetch; httpx)"
Result = TypeVar("Result")


class TransientError(Exception):
    """A try failed in a way that the next may not; `retry_after_s` is the pause that the server asks for."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(InputError):
    """401 or 403: the next file would be refused as well."""


@dataclass(frozen=True)
class Server:
    """Where files are listed and fetched, the token that only this origin gets, and what its 401 and 403 mean."""

    base_url: str
    refusal: str
    token: str | None = None

    def headers(self, url: str) -> dict[str, str]:
        """What a request for `url` carries; httpx drops the token on redirects to another host."""
        is_own = urlsplit(url)[:2] == urlsplit(self.base_url)[:2]
        return {"Authorization": f"Bearer {self.token}"} if self.token and is_own else {}


@dataclass(frozen=True)
class Manners:
    """How politely and how patiently is asked. Pauses double from `backoff_s`, half of each is random."""

    parallel: int = 2  # connections; Common Crawl answers 403 to many
    rate_bytes_per_s: float | None = None
    tries: int = 8  # in a row without a new byte; with pauses of 1 to 60 s about three minutes
    connect_timeout_s: float = 20.0
    stall_timeout_s: float = 60.0
    backoff_s: float = 1.0
    max_backoff_s: float = 60.0
    max_retry_after_s: float = 900.0
    pause: Callable[[float], object] = time.sleep
    jitter: Callable[[], float] = random.random

    def client(self) -> httpx.Client:
        """A client with these limits; proxies and certificates come from the environment as httpx reads it."""
        timeout = httpx.Timeout(self.stall_timeout_s, connect=self.connect_timeout_s)
        limits = httpx.Limits(max_connections=2 * self.parallel)  # each file may stand between a redirect and its goal
        return httpx.Client(
            timeout=timeout, limits=limits, follow_redirects=True, headers={"User-Agent": USER_AGENT, "Accept": "*/*"}
        )

    def delay_s(self, tries: int, error: Exception) -> float:
        """The pause after `tries` failed tries. Raises StageError when the server asks for more than is waited."""
        asked = getattr(error, "retry_after_s", None)
        if asked is not None and asked > self.max_retry_after_s:
            raise StageError(f"{error}; it asks to come back in {asked:.0f} s: run the same command again then")
        backoff = min(self.max_backoff_s, self.backoff_s * 2.0 ** min(tries - 1, 30))
        return max(asked or 0.0, backoff * (0.5 + 0.5 * self.jitter()))


def repeat(
    attempt: Callable[[], Result],
    *,
    what: str,
    manners: Manners,
    num_bytes: Callable[[], int] = lambda: 0,
    report: Callable[[str], None] = lambda _message: None,
) -> Result:
    """The result of the first try that succeeds. `num_bytes` is how far it has got: going further renews the patience.

    Raises StageError, naming the last cause, after `manners.tries` tries that got no further than an earlier one.
    """
    tries, farthest = 0, num_bytes()
    while True:
        try:
            return attempt()
        except (TransientError, httpx.TransportError) as error:
            cause = _cause(error, what)
            tries = 1 if num_bytes() > farthest else tries + 1
            farthest = max(farthest, num_bytes())
            if tries >= manners.tries:
                raise StageError(
                    f"{what}: {cause}, {tries} tries without progress; run the same command again"
                ) from error
            delay_s = manners.delay_s(tries, error)
            report(f"{what}: {cause}; again in {delay_s:.0f} s")
            manners.pause(delay_s)


def _cause(error: Exception, what: str) -> str:
    """One clause. Raises InputError for what no repetition mends: certificates, unsupported URLs."""
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        raise InputError(f"{what}: {error}; set SSL_CERT_FILE to the certificates of your proxy or mirror") from error
    if isinstance(error, httpx.UnsupportedProtocol):
        raise InputError(f"{what}: {error}; a URL begins with https://") from error
    if isinstance(error, httpx.ReadTimeout):
        return "the server stalled"
    return str(error) or type(error).__name__


def check_status(response: httpx.Response, server: Server, *, url: str) -> None:
    """Nothing for an answer with content. Raises RefusedError, InputError or TransientError, all naming `url`."""
    code = response.status_code
    if code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise RefusedError(f"{url}: HTTP {code}; {server.refusal}")
    if code in (408, 425, 429) or code >= 500:
        raise TransientError(f"HTTP {code}", retry_after_s=_retry_after_s(response.headers))
    if code not in (200, 206, 416):
        raise InputError(f"{url}: HTTP {code} ({response.reason_phrase}); check the name")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After that is a number or a date; None without one or for nonsense."""
    given = headers.get("Retry-After", "").strip()
    if given.isdecimal():
        return float(given)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(given).timestamp() - time.time())
    except (ValueError, TypeError):
        return None


def get(client: httpx.Client, server: Server, url: str, *, manners: Manners) -> httpx.Response:
    """The whole answer, for listings. Raises like `repeat` and `check_status`."""

    def attempt() -> httpx.Response:
        response = client.get(url, headers=server.headers(url))
        check_status(response, server, url=url)
        return response

    return repeat(attempt, what=url, manners=manners)
