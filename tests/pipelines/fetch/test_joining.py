"""Parts of one file become that file, whatever happens on the way."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctllm.pipelines.fetch import joining
from ctllm.pipelines.fetch.fetch import FetchSummary, fetch_files
from ctllm.pipelines.fetch.joining import join_parts
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners, Server
from ctllm.schemas.errors import AccountingError, InputError, StageError

WHOLE = "zh.jsonl.gz"


class Case:
    """A gzip file that a server has in three parts, and a directory to join them in."""

    def __init__(self, web: Any, manners: Manners, out: Path, content: bytes) -> None:
        self.web, self.manners, self.out = web, manners, out
        self.publish(gzip.compress(content, mtime=0))

    def publish(self, whole: bytes) -> None:
        """Cuts `whole` for upload."""
        self.whole = whole
        self.names = [f"{WHOLE}.part0{number}" for number in (1, 2, 3)]
        cuts = [0, len(whole) // 2, len(whole) - 1000, len(whole)]
        for name, start, end in zip(self.names, cuts, cuts[1:], strict=False):
            self.web.files[f"/{name}"] = whole[start:end]

    def fetch(self, *, verify: bool = False) -> FetchSummary:
        """Fetches the parts."""
        files = []
        for name in self.names:
            body = self.web.files[f"/{name}"]
            sha256 = hashlib.sha256(body).hexdigest()
            files.append(RemoteFile(name, f"{self.web.base_url}/{name}", len(body), sha256))
        server = Server(self.web.base_url, "")
        return fetch_files(files, server=server, out=self.out, manners=self.manners, verify=verify)

    def join(self) -> Path:
        """Joins them."""
        return join_parts(self.names, whole=WHOLE, out=self.out)

    @property
    def there(self) -> set[str]:
        """Names of the files in the directory that are no manifest and no lock."""
        return {path.name for path in self.out.iterdir()} - {"fetch.json", ".fetch.lock"}


@pytest.fixture
def case(web: Any, manners: Manners, tmp_path: Path, content: bytes) -> Case:
    """A fresh case."""
    return Case(web, manners, tmp_path, content)


def test_parts_become_the_whole(case: Case, content: bytes) -> None:
    """The joined file has the bytes of `cat`, can be unpacked, and the parts take no room any more."""
    case.fetch()
    assert gzip.decompress(case.join().read_bytes()) == content
    assert case.there == {WHOLE}


def test_what_is_joined_is_not_fetched_again(case: Case) -> None:
    """After joining, another fetch asks for nothing, another join does nothing, and verify reads the joined file."""
    case.fetch()
    case.join()
    case.web.requests.clear()
    assert case.fetch(verify=True) == FetchSummary(fetched=0, skipped=3, size_bytes=len(case.whole))
    assert case.join().read_bytes() == case.whole
    assert case.web.requests == []


def test_damage_in_the_whole_is_mended_in_place(case: Case) -> None:
    """A flipped byte in the joined file costs one part, which is fetched and written over its place."""
    case.fetch()
    path = case.join()
    path.write_bytes(case.whole[:-5] + b"?" + case.whole[-4:])
    case.web.requests.clear()
    assert case.fetch(verify=True).damaged == (case.names[2],)
    assert [path for path, _ in case.web.requests] == [f"/{case.names[2]}"]
    assert case.join().read_bytes() == case.whole
    assert case.there == {WHOLE}


@pytest.mark.parametrize("survived", [0, 1, 2, 3])
def test_killed_between_parts(case: Case, monkeypatch: pytest.MonkeyPatch, survived: int) -> None:
    """Killed after any part, half of the next one written, joining goes on without fetching anything again."""
    case.fetch()
    copied = [0]
    real = joining.sync_file

    def die(path: Path, *, renamed_to: Path | None = None) -> None:
        if copied[0] == survived:
            raise KeyboardInterrupt
        copied[0] += 1
        real(path, renamed_to=renamed_to)

    monkeypatch.setattr(joining, "sync_file", die)
    with pytest.raises(KeyboardInterrupt):
        case.join()
    monkeypatch.setattr(joining, "sync_file", real)
    case.web.requests.clear()
    case.fetch()
    assert case.web.requests == []
    assert case.join().read_bytes() == case.whole
    assert case.there == {WHOLE}


def test_killed_between_name_and_manifest(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed when the whole has its name and the manifest does not know yet, nothing is lost."""
    case.fetch()
    record = joining.Ledger.record

    def die(self: joining.Ledger, name: str, entry: Any, *, at_once: bool = False) -> None:
        if name == WHOLE:
            raise KeyboardInterrupt
        record(self, name, entry, at_once=at_once)

    monkeypatch.setattr(joining.Ledger, "record", die)
    with pytest.raises(KeyboardInterrupt):
        case.join()
    monkeypatch.setattr(joining.Ledger, "record", record)
    assert case.there == {WHOLE}
    case.web.requests.clear()
    case.fetch()
    assert case.web.requests == []
    assert case.join().read_bytes() == case.whole


@pytest.mark.parametrize("change", [lambda whole: whole[::-1] + b"longer", lambda whole: whole[:-2000:-1] + b"short"])
def test_a_new_version_is_never_mixed_with_the_old(case: Case, change: Callable[[bytes], bytes]) -> None:
    """When the publisher cuts the file anew, old parts are noticed by their bytes and fetched."""
    case.fetch()
    case.join()
    kept = case.web.files[f"/{case.names[2]}"]
    case.publish(change(case.whole))
    case.web.files[f"/{case.names[2]}"] = kept  # one part stays as it was, at another place
    assert case.fetch().fetched == 2
    with pytest.raises(StageError, match="1 parts are of another version; run the same command again"):
        case.join()
    case.fetch()
    assert case.join().read_bytes() == b"".join(case.web.files[f"/{name}"] for name in case.names)


def test_an_old_place_is_no_place(case: Case) -> None:
    """A part that is intact where it stood, but has to stand elsewhere now, is noticed."""
    zeros = bytes(6)
    case.names = ["a", "b", "c"]
    case.web.files |= {"/a": b"0123456789", "/b": b"xy" + zeros, "/c": b"end"}
    case.fetch()
    case.join()
    case.web.files |= {"/a": b"01234567", "/c": bytes(2) + b"end"}  # the zeros hide that c is written over b's end
    case.fetch()
    with pytest.raises(StageError, match="1 parts are of another version"):
        case.join()
    case.fetch()
    assert case.join().read_bytes() == b"01234567xy" + zeros + bytes(2) + b"end"


def test_a_part_that_changed_on_disk(case: Case) -> None:
    """A part whose bytes are not those that were fetched is not joined, and the way out is named."""
    case.fetch()
    path = case.out / case.names[1]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(AccountingError, match=r"part02: .*--verify"):
        case.join()
    case.fetch(verify=True)
    assert case.join().read_bytes() == case.whole


def test_a_part_that_is_missing(case: Case) -> None:
    """Joining before all parts are there says which is missing."""
    with pytest.raises(InputError, match=r"part01: not fetched"):
        case.join()
