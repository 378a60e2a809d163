"""One file from one URL, whole or not at all: asks for what is missing, and believes no length and no checksum unseen.

    200           the whole file: the server ignores Range, or the file has changed; begun again
    206           the rest, accepted only when it starts where we stand and has the ETag that we have; any ETag if the
                  listing gives a checksum
    416           nothing is missing, when the length it names is what we have; else begun again

That a file is whole is proved by its length, the end mark of a chunked body or a checksum; without any of the three it
is refused, because a broken connection could not be told from the end.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from ctllm.pipelines.fetch.partial import Partial
from ctllm.pipelines.fetch.rate import RateLimit
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners, Server, TransientError, check_status, repeat
from ctllm.schemas.errors import InputError
from ctllm.schemas.fetch_manifest import FileEntry

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(frozen=True)
class Downloader:
    """Downloads from one server. `on_bytes` hears of every change in what has arrived, negative when begun again."""

    client: httpx.Client
    server: Server
    manners: Manners
    rate: RateLimit
    on_bytes: Callable[[int], None] = lambda _num_bytes: None
    report: Callable[[str], None] = lambda _message: None

    def download(self, file: RemoteFile, directory: Path) -> FileEntry:
        """Brings `file` into `directory` and returns its entry for the manifest.

        Raises InputError (not there, refused), StageError (tried in vain), OutputError (disk full, no permission).
        """
        path, blob_bytes = directory / file.name, file.size_bytes if file.git_sha1 else None
        with Partial(path, identity=file.identity, blob_bytes=blob_bytes, is_checked=file.is_checked) as partial:
            self.on_bytes(partial.size_bytes)
            repeat(
                lambda: self._attempt(file, partial),
                what=file.url,
                manners=self.manners,
                num_bytes=lambda: partial.size_bytes,
                report=self.report,
            )
            partial.publish()
            return FileEntry(
                url=file.url,
                size_bytes=partial.size_bytes,
                sha256=partial.sha256,
                git_sha1=file.git_sha1,
                etag=partial.validator,
                fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
            )

    def _attempt(self, file: RemoteFile, partial: Partial) -> None:
        headers = {"Accept-Encoding": "identity", **self.server.headers(file.url)}
        if partial.size_bytes and (file.is_checked or partial.validator):
            headers["Range"] = f"bytes={partial.size_bytes}-"
            if not file.is_checked:  # else the checksum decides: content networks give one file several ETags, or none
                headers["If-Range"] = str(partial.validator)
        with self.client.stream("GET", file.url, headers=headers) as response:
            check_status(response, self.server, url=file.url)
            total = self._begin(response, file, partial)
            if response.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                for chunk in response.iter_raw():  # no chunk size: httpx would hold back what fills none
                    self.rate.take(len(chunk))
                    partial.write(chunk)
                    self.on_bytes(len(chunk))
        self._check_whole(file, partial, total)

    def _begin(self, response: httpx.Response, file: RemoteFile, partial: Partial) -> int | None:
        """Makes `partial` ready for the body; returns the length the whole file will have, None when not announced."""
        if response.status_code == httpx.codes.OK:
            self._restart(partial, _validator(response.headers))
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            is_chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
            if total is None and not is_chunked and file.size_bytes is None and not file.is_checked:
                raise InputError(
                    f"{file.url}: no length, no checksum, so whole cannot be told from cut off; not fetched"
                )
        else:
            start, total = _content_range(response.headers)
            is_complete = response.status_code == 416 and total == partial.size_bytes
            if not is_complete and start != partial.size_bytes:
                self._restart(partial, None)
                raise TransientError(f"HTTP {response.status_code} does not continue what is there; begun again")
            if not file.is_checked and _validator(response.headers) not in (None, partial.validator):
                self._restart(partial, None)
                raise TransientError("the file has changed on the server; begun again")
        if total is not None and file.size_bytes not in (None, total):
            self._restart(partial, None)
            raise TransientError(f"the server announces {total:,} bytes, the listing {file.size_bytes:,}")
        return total

    def _restart(self, partial: Partial, validator: str | None) -> None:
        self.on_bytes(-partial.size_bytes)
        partial.restart(validator)

    def _check_whole(self, file: RemoteFile, partial: Partial, total: int | None) -> None:
        expected = total if file.size_bytes is None else file.size_bytes
        if expected is not None and partial.size_bytes < expected:
            raise TransientError(f"broken off at {partial.size_bytes:,} of {expected:,} bytes")
        wrong = {
            "bytes": expected is not None and partial.size_bytes != expected,
            "sha256": file.sha256 not in (None, partial.sha256),
            "git blob id": file.git_sha1 not in (None, partial.git_sha1),
        }
        if any(wrong.values()):
            self._restart(partial, None)
            names = ", ".join(name for name, is_wrong in wrong.items() if is_wrong)
            raise TransientError(f"what arrived differs from the listing in {names}; begun again")


def _validator(headers: httpx.Headers) -> str | None:
    """What If-Range may carry: a strong ETag, else Last-Modified (RFC 9110, 13.1.5); None when there is neither."""
    etag: str | None = headers.get("ETag")
    return etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")


def _content_range(headers: httpx.Headers) -> tuple[int | None, int | None]:
    """First byte and total length, each None where it is not told."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    start, _, total = match.groups()
    return int(start) if start else None, int(total) if total != "*" else None
