"""What is to be fetched: a file at a URL, the name it gets, and all that is known of it before."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.fetch_manifest import MANIFEST, PARTIAL, PARTIAL_NOTE


@dataclass(frozen=True)
class RemoteFile:
    """One file. Size and checksums are those of the listing, None where it gives none."""

    name: str
    url: str
    size_bytes: int | None = None
    sha256: str | None = None
    git_sha1: str | None = None

    @property
    def is_checked(self) -> bool:
        """Whether the listing gives a checksum, so that wrong bytes cannot pass."""
        return self.sha256 is not None or self.git_sha1 is not None

    @property
    def identity(self) -> str:
        """Equal for equal content: the checksum, else the URL."""
        return self.sha256 or self.git_sha1 or self.url


def checked_names(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """`files` unchanged. Raises InputError for two of one name and for names that lead out of the directory."""
    seen: set[str] = set()
    for file in files:
        path = PurePosixPath(file.name)
        is_ours = file.name == MANIFEST or file.name.endswith((PARTIAL, PARTIAL_NOTE))
        if (
            path.is_absolute()
            or not path.parts
            or ".." in path.parts
            or "\\" in file.name
            or "\0" in file.name
            or is_ours
        ):
            raise InputError(f"{file.url}: the listing calls it {file.name!r}, which is no name that can be written")
        if file.name in seen:
            raise InputError(f"{file.url}: the listing has two files called {file.name}")
        seen.add(file.name)
    return list(files)


def pick_positions(given: str, *, option: str) -> list[int]:
    """Sorted positions of `0-3,7`: [0, 1, 2, 3, 7]. Raises ConfigError for anything else."""
    positions: set[int] = set()
    for part in given.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ConfigError(f"{option} {given}: write positions as 0-3,7 (the first is 0)")
        bounds = range(int(first), int(last or first) + 1)
        if not bounds:
            raise ConfigError(f"{option} {given}: {part.strip()} runs backwards; write {last}-{first}")
        positions.update(bounds)
    return sorted(positions)
