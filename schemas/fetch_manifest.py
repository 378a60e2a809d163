"""`fetch.json`, what a directory of fetched files holds and where each came from; written by `ctllm fetch`.

OUT/fetch.json                 this manifest
OUT/NAME                       a whole, checked file
OUT/NAME.partial               what has arrived of an unfinished one
OUT/NAME.partial.json          of which version of which file: identity and validator
"""

from pydantic import Field

from ctllm.schemas.config import Config

MANIFEST = "fetch.json"
PARTIAL = ".partial"
PARTIAL_NOTE = ".partial.json"


class FileEntry(Config):
    """One whole file."""

    url: str = Field(description="where it was fetched from, before redirects; of a joined file that of its first part")
    size_bytes: int = Field(ge=0)
    sha256: str | None = Field(None, description="of the bytes as they arrived; null for joined files: see `parts`")
    git_sha1: str | None = Field(None, description="git blob id the hub listed, where it lists no sha256")
    etag: str | None = Field(None, description="ETag (else Last-Modified) of the answer")
    fetched_at: str = Field(description="UTC, ISO 8601")
    joined_into: str | None = Field(None, description="file that this part was appended to; the part itself is gone")
    joined_at: int = Field(0, ge=0, description="byte of `joined_into` at which this part begins")
    parts: tuple[str, ...] = Field((), description="of a joined file: names of its parts, in order")


class FetchManifest(Config):
    """The whole of `fetch.json`, by file name relative to the directory."""

    files: dict[str, FileEntry] = {}


class PartialNote(Config):
    """`NAME.partial.json`: what the bytes in `NAME.partial` are the beginning of."""

    identity: str = Field(description="checksum that the listing gives, else the URL")
    validator: str | None = Field(description="strong ETag or Last-Modified, for If-Range; null: cannot be resumed")
