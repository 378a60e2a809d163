"""The unfinished file survives whatever ends the process."""

import hashlib
from pathlib import Path

import pytest

from ctllm.pipelines.fetch.partial import Partial, write_all


def test_bytes_and_checksums_are_found_again(tmp_path: Path) -> None:
    """Opened again, a partial file goes on with its length and both checksums."""
    with Partial(tmp_path / "a", identity="i", blob_bytes=6) as partial:
        partial.restart('"v"')
        partial.write(b"abc")
    with Partial(tmp_path / "a", identity="i", blob_bytes=6) as partial:
        assert (partial.size_bytes, partial.validator) == (3, '"v"')
        partial.write(b"def")
        assert partial.sha256 == hashlib.sha256(b"abcdef").hexdigest()
        assert partial.git_sha1 == hashlib.sha1(b"blob 6\0abcdef").hexdigest()
        partial.publish()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"abcdef"}


@pytest.mark.parametrize(("identity", "validator"), [("other", '"v"'), ("i", None)])
def test_another_version_is_no_beginning(tmp_path: Path, identity: str, validator: str | None) -> None:
    """Bytes of another file, or of a version that nothing names, are dropped."""
    with Partial(tmp_path / "a", identity="i") as partial:
        partial.restart(validator)
        partial.write(b"abc")
    with Partial(tmp_path / "a", identity=identity) as partial:
        assert partial.size_bytes == 0
    assert (tmp_path / "a.partial").read_bytes() == b""


def test_checked_bytes_need_no_validator(tmp_path: Path) -> None:
    """Bytes whose checksum will be compared are kept although nothing names their version."""
    for size_bytes in (0, 3):
        with Partial(tmp_path / "a", identity="i", is_checked=True) as partial:
            assert partial.size_bytes == size_bytes
            partial.write(b"abc")


def test_every_byte_is_on_disk_at_once(tmp_path: Path) -> None:
    """What is written can be read by others before the file is closed: a kill loses nothing that came."""
    with Partial(tmp_path / "a", identity="i") as partial:
        partial.restart('"v"')
        partial.write(b"abc")
        assert (tmp_path / "a.partial").read_bytes() == b"abc"


def test_short_writes_are_continued() -> None:
    """A write that takes only a part of the bytes is repeated for the rest."""

    class Slow:
        written = b""

        def write(self, data: memoryview) -> int:
            self.written += bytes(data[:2])
            return len(data[:2])

    file = Slow()
    write_all(file, b"abcde")  # type: ignore[arg-type]
    assert file.written == b"abcde"
