"""The 128-bit signature of an address: equal for spellings of a URL that name the same page by the rules of the web.

Scheme http or https, case and closing dot of the host, the default port, the fragment and how a character is
percent-encoded do not count; path, query and `www.` do.
"""

import hashlib
import re
from typing import Any

import numpy as np
import pyarrow as pa

_PARTS = re.compile(r"(?:(https?):)?//(?:[^/?#@]*@)?([^/?#:]*)(?::(\d*))?([^#]*)", re.IGNORECASE)
_PLAIN = re.compile(r"https?:(//[a-z0-9.-]*[a-z0-9-]/[!-$&-~]*)")
"""What most addresses are: no user, port, `%`, capitals in the host, no other characters. The group is the identity."""

_DEFAULT_PORTS = {("http", "80"), ("https", "443"), ("", "80"), ("", "443")}
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, 2.3


def url_signatures(urls: "pa.Array[Any]") -> tuple[np.ndarray, np.ndarray]:
    """High and low half per URL: (urls,), uint64 each, both 0 where there is none."""
    if urls.null_count == len(urls):
        return np.zeros(len(urls), np.uint64), np.zeros(len(urls), np.uint64)
    digests = [
        hashlib.blake2b(identity(url), digest_size=16).digest() if url else bytes(16) for url in urls.to_pylist()
    ]
    high, low = np.frombuffer(b"".join(digests), "<u8").reshape(-1, 2).T
    return high, low


def identity(url: str) -> bytes:
    """What is compared of a URL: `HTTP://Example.org:80/%7ea#b` → `//example.org/~a`. Anything else stays as it is."""
    page = url.strip().partition("#")[0]
    if plain := _PLAIN.fullmatch(page):
        return plain[1].encode("ascii")
    parts = _PARTS.fullmatch(page)
    if parts is None:
        return url.strip().encode("utf-8", "surrogatepass")
    scheme, host, port, rest = (part or "" for part in parts.groups())
    default = not port or (scheme.lower(), port) in _DEFAULT_PORTS
    path = rest if rest.startswith("/") else f"/{rest}"
    address = f"//{host.lower().rstrip('.')}{'' if default else ':' + port}{path}".encode("utf-8", "surrogatepass")
    escaped = address if address.isascii() else _escaped(address)  # which costs more than all the rest
    return _ENCODED.sub(_decoded, escaped)


def _escaped(address: bytes) -> bytes:
    """Bytes outside ASCII percent-encoded, as browsers send them."""
    return b"".join(b"%%%02X" % byte if byte >= 0x80 else bytes([byte]) for byte in address)


def _decoded(encoded: re.Match[bytes]) -> bytes:
    """An encoded character that needs no encoding, or the encoding in capitals."""
    byte = int(encoded.group(1), 16)
    return bytes([byte]) if byte in _UNRESERVED else encoded.group().upper()
