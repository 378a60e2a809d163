"""The unfinished file: NAME.partial grows on disk as bytes arrive, so whatever ends the process leaves all of them.

Beside it NAME.partial.json says which version of which file it begins; it is written before the first byte. Writes are
unbuffered: after SIGKILL the file holds everything that was received.
"""

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from ctllm.schemas.config import parse_config
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.fetch_manifest import PARTIAL, PARTIAL_NOTE, PartialNote
from ctllm.schemas.files import output_errors, read_json, write_json

BLOCK_BYTES = 1 << 20


class Partial:
    """What has arrived of one file, and its checksums so far. A context manager: the file is open inside."""

    def __init__(self, path: Path, *, identity: str, blob_bytes: int | None = None, is_checked: bool = False) -> None:
        """`identity` is the content that is wanted, `blob_bytes` its length where a git blob id is wanted as well.

        With `is_checked` bytes without a validator are kept as well: a checksum will find out what is wrong.
        """
        self.path = path
        self.partial_path = path.with_name(path.name + PARTIAL)
        self.note_path = path.with_name(path.name + PARTIAL_NOTE)
        self.size_bytes = 0
        self.validator: str | None = None
        self._identity = identity
        self._is_checked = is_checked
        self._blob_bytes = blob_bytes
        self._file: BinaryIO

    def __enter__(self) -> "Partial":
        with output_errors(str(self.partial_path)):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.partial_path.open("a+b", buffering=0)
        note = self._read_note()
        if note is None or note.identity != self._identity or (note.validator is None and not self._is_checked):
            self.restart(None)
        else:
            self.validator = note.validator
            self._digest_what_is_there()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self._file.close()

    def restart(self, validator: str | None) -> None:
        """Forgets all bytes; what comes next belongs to the version that `validator` names."""
        self._reset_digests()
        with output_errors(str(self.partial_path)):
            os.ftruncate(self._file.fileno(), 0)
        self.validator = validator
        write_json(str(self.note_path), PartialNote(identity=self._identity, validator=validator).model_dump())

    def write(self, data: bytes) -> None:
        """Appends. Raises OutputError when the disk is full."""
        with output_errors(str(self.partial_path)):
            write_all(self._file, data)
        self._add(data)

    def publish(self) -> None:
        """Flushes to the disk and gives the file its name."""
        with output_errors(str(self.path)):
            sync_file(self.partial_path, renamed_to=self.path)
            self.note_path.unlink(missing_ok=True)

    @property
    def sha256(self) -> str:
        """Of all bytes so far, 64 hex digits."""
        return self._sha256.hexdigest()

    @property
    def git_sha1(self) -> str | None:
        """The git blob id, 40 hex digits, where it is wanted; right only when as many bytes have come as were said."""
        return self._git_sha1.hexdigest() if self._git_sha1 else None

    def _reset_digests(self) -> None:
        self.size_bytes = 0
        self._sha256 = hashlib.sha256()
        self._git_sha1 = None
        if self._blob_bytes is not None:
            self._git_sha1 = hashlib.sha1(b"blob %d\0" % self._blob_bytes, usedforsecurity=False)

    def _add(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._sha256.update(data)
        if self._git_sha1:
            self._git_sha1.update(data)

    def _digest_what_is_there(self) -> None:
        self._reset_digests()
        self._file.seek(0)
        while block := self._file.read(BLOCK_BYTES):
            self._add(block)

    def _read_note(self) -> PartialNote | None:
        """The note; None when there is none or it is broken."""
        try:
            return parse_config(read_json(str(self.note_path)), PartialNote, origin=str(self.note_path))
        except (InputError, ConfigError):
            return None


def write_all(file: BinaryIO, data: bytes) -> None:
    """Writes all of `data` to an unbuffered file, whose own `write` may be short."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sync_file(path: Path, *, renamed_to: Path | None = None) -> None:
    """Flushes the bytes of `path` to the disk and, if wanted, gives it a name that outlives a power failure."""
    _sync(path)
    if renamed_to is not None:
        path.replace(renamed_to)
        _sync(renamed_to.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
