"""The manifest of a directory: what is here, and whether it is what was fetched."""

import json
from pathlib import Path

import pytest

from ctllm.pipelines.fetch.ledger import SAVE_BYTES, Ledger
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.fetch_manifest import FileEntry

ENTRY = FileEntry(url="http://x/a", size_bytes=3, sha256="1" * 64, git_sha1="2" * 40, fetched_at="2026-11-25")


@pytest.mark.parametrize(
    ("file", "is_here"),
    [
        (RemoteFile("a", "http://x/a"), True),
        (RemoteFile("a", "http://x/b"), False),
        (RemoteFile("a", "http://x/b", sha256="1" * 64), True),
        (RemoteFile("a", "http://x/a", sha256="3" * 64), False),
        (RemoteFile("a", "http://x/b", git_sha1="2" * 40), True),
        (RemoteFile("a", "http://x/a", git_sha1="3" * 40), False),
        (RemoteFile("b", "http://x/a"), False),
    ],
)
def test_which_version_is_here(tmp_path: Path, file: RemoteFile, is_here: bool) -> None:
    """A checksum decides where the listing has one, else the address; never the name alone."""
    (tmp_path / "a").write_bytes(b"abc")
    ledger = Ledger(tmp_path)
    ledger.record("a", ENTRY)
    assert ledger.has(file) is is_here


@pytest.mark.parametrize(("size_bytes", "is_saved"), [(SAVE_BYTES - 1, False), (SAVE_BYTES, True)])
def test_saved_in_time(tmp_path: Path, size_bytes: int, is_saved: bool) -> None:
    """Small files are saved together, a large one or 16 MiB at once; `save` and `at_once` always."""
    ledger = Ledger(tmp_path)
    ledger.record("a", ENTRY.model_copy(update={"size_bytes": size_bytes}))
    assert (tmp_path / "fetch.json").exists() is is_saved
    ledger.record("b", ENTRY, at_once=True)
    assert list(Ledger(tmp_path).entries) == ["a", "b"]


def test_a_manifest_of_something_else(tmp_path: Path) -> None:
    """A fetch.json that is not ours is refused with its path, not overwritten."""
    (tmp_path / "fetch.json").write_text(json.dumps({"urls": []}))
    with pytest.raises(ConfigError, match=r"fetch\.json, urls: unknown key"):
        Ledger(tmp_path)
