"""The manifest of a directory while it is being filled: entries by name, saved so often that a kill costs little."""

import fcntl
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctllm.pipelines.fetch.partial import BLOCK_BYTES
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import OutputError
from ctllm.schemas.fetch_manifest import MANIFEST, PARTIAL, FetchManifest, FileEntry
from ctllm.schemas.files import output_errors, read_json, write_json

LOCK = ".fetch.lock"
SAVE_SECONDS = 1.0  # a manifest of 90,000 files takes about a second to write; chosen, untested
SAVE_BYTES = 16 << 20


class Ledger:
    """`fetch.json` of `directory`; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._path = directory / MANIFEST
        self._lock = threading.Lock()
        self._unsaved_bytes = 0
        self._saved_at = time.monotonic()
        manifest = FetchManifest()
        if self._path.exists():
            manifest = parse_config(read_json(str(self._path)), FetchManifest, origin=str(self._path))
        self.entries = dict(manifest.files)

    def record(self, name: str, entry: FileEntry, *, at_once: bool = False) -> None:
        """Remembers a whole file; on disk within a second or 16 MiB of files, with `at_once` on return."""
        with self._lock:
            self.entries[name] = entry
            self._unsaved_bytes += entry.size_bytes
            if at_once or self._unsaved_bytes >= SAVE_BYTES or time.monotonic() - self._saved_at >= SAVE_SECONDS:
                self._save()

    def forget(self, name: str) -> None:
        """Drops an entry; on disk with the next `record` or `save`."""
        with self._lock:
            self.entries.pop(name, None)

    def save(self) -> None:
        """Writes the manifest, whole."""
        with self._lock:
            self._save()

    def _save(self) -> None:
        ordered = {name: self.entries[name].model_dump() for name in sorted(self.entries)}
        write_json(str(self._path), {"files": ordered})
        self._unsaved_bytes = 0
        self._saved_at = time.monotonic()

    def has(self, file: RemoteFile) -> bool:
        """Whether `file`, in the version that is wanted, is here by name and size; a part in what it was joined to."""
        entry = self.entries.get(file.name)
        if entry is None or not _is_version(entry, file):
            return False
        if entry.joined_into is None:
            return _size_bytes(self.directory / file.name) == entry.size_bytes
        joined = sum(each.size_bytes for each in self.entries.values() if each.joined_into == entry.joined_into)
        return _size_bytes(self.whereabouts(entry.joined_into)) >= joined

    def whereabouts(self, whole: str) -> Path:
        """The joined file, or while parts are still being written to it, the unfinished one."""
        growing = self.directory / (whole + PARTIAL)
        return growing if growing.exists() else self.directory / whole

    def is_intact(self, name: str) -> bool:
        """Whether the bytes on disk are those that were fetched; of a part, those at its place in the joined file."""
        entry = self.entries[name]
        path, offset = self.directory / name, 0
        if entry.joined_into is not None:
            path, offset = self.whereabouts(entry.joined_into), entry.joined_at
        digest = hashlib.sha256()
        with path.open("rb") as file:
            file.seek(offset)
            rest = entry.size_bytes
            while rest and (block := file.read(min(rest, BLOCK_BYTES))):
                digest.update(block)
                rest -= len(block)
        return digest.hexdigest() == entry.sha256


def _size_bytes(path: Path) -> int:
    """-1 when it is not there."""
    return path.stat().st_size if path.is_file() else -1


def _is_version(entry: FileEntry, file: RemoteFile) -> bool:
    if file.sha256 is not None:
        return entry.sha256 == file.sha256
    if file.git_sha1 is not None:
        return entry.git_sha1 == file.git_sha1
    return entry.url == file.url


@contextmanager
def sole_writer(directory: Path) -> Iterator[None]:
    """Holds the lock of `directory`, which is made; it dies with the process. Raises OutputError when it is taken."""
    with output_errors(str(directory)):
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / LOCK).open("ab")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OutputError(
                f"{directory}: another ctllm fetch writes there; wait for it or choose another --out"
            ) from error
        yield
