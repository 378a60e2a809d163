"""Many files into a directory: what is there is skipped, what is damaged comes again, what fails is named."""

import hashlib
import json
import multiprocessing
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ctllm.pipelines.fetch.fetch import FetchSummary, fetch_files
from ctllm.pipelines.fetch.ledger import sole_writer
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners, RefusedError, Server
from ctllm.schemas.errors import InputError, OutputError, StageError
from ctllm.schemas.progress import ProgressEvent


@dataclass
class Case:
    """Five files on a server, and a fetch of them."""

    web: Any
    out: Path
    manners: Manners
    events: list[ProgressEvent]

    @property
    def files(self) -> list[RemoteFile]:
        """The files as a listing without sizes and checksums gives them."""
        return [RemoteFile(path.strip("/"), self.web.base_url + path) for path in self.web.files]

    def fetch(self, files: list[RemoteFile] | None = None, *, verify: bool = False) -> FetchSummary:
        """Fetches `files`, else all."""
        server = Server(self.web.base_url, "set HF_TOKEN")
        return fetch_files(
            files or self.files, server=server, out=self.out, manners=self.manners, verify=verify,
            progress=self.events.append,
        )  # fmt: skip

    def asked(self) -> list[str]:
        """Paths that were asked for since the last call, sorted."""
        paths = sorted(path for path, _ in self.web.requests)
        self.web.requests.clear()
        return paths


@pytest.fixture
def case(web: Any, manners: Manners, tmp_path: Path) -> Case:
    """Files /d/0 to /d/4 of different lengths."""
    web.files.update({f"/d/{number}": bytes([65 + number]) * (1000 * number) for number in range(5)})
    return Case(web, tmp_path / "out", manners, [])


def test_files_and_manifest(case: Case) -> None:
    """All files arrive under their names; the manifest says of each where from, how long, which checksum."""
    assert case.fetch() == FetchSummary(fetched=5, skipped=0, size_bytes=10_000)
    written = json.loads((case.out / "fetch.json").read_text())["files"]
    for path, body in case.web.files.items():
        name = path.strip("/")
        assert (case.out / name).read_bytes() == body
        entry = written[name]
        assert (entry["url"], entry["size_bytes"]) == (case.web.base_url + path, len(body))
        assert entry["sha256"] == hashlib.sha256(body).hexdigest()
        assert entry["etag"] == case.web.etag(path)
        assert entry["fetched_at"].endswith("+00:00")
    assert {path.name for path in case.out.iterdir()} == {"d", "fetch.json", ".fetch.lock"}


def test_second_run_asks_for_nothing(case: Case) -> None:
    """A finished fetch is recognised without a request."""
    case.fetch()
    case.asked()
    assert case.fetch() == FetchSummary(fetched=0, skipped=5, size_bytes=10_000)
    assert case.asked() == []
    assert (case.events[-1].done, case.events[-1].total) == (5, 5)


def test_missing_and_shortened_files_come_again(case: Case) -> None:
    """A file that was deleted, and one whose length has changed, are fetched; the others are not."""
    case.fetch()
    case.asked()
    (case.out / "d/1").unlink()
    (case.out / "d/2").write_bytes(b"C" * 1999)
    assert case.fetch().fetched == 2
    assert case.asked() == ["/d/1", "/d/2"]
    assert (case.out / "d/2").read_bytes() == case.web.files["/d/2"]


def test_verify_notices_what_the_length_hides(case: Case) -> None:
    """A flipped byte is noticed with `verify`, only then, named, and mended."""
    case.fetch()
    (case.out / "d/3").write_bytes(b"D" * 2999 + b"x")
    assert case.fetch() == FetchSummary(fetched=0, skipped=5, size_bytes=10_000)
    case.asked()
    assert case.fetch(verify=True) == FetchSummary(fetched=1, skipped=4, size_bytes=10_000, damaged=("d/3",))
    assert [event.done for event in case.events if event.stage == "verify"] == [1, 2, 3, 4, 5]
    assert case.asked() == ["/d/3"]
    assert (case.out / "d/3").read_bytes() == case.web.files["/d/3"]


def test_new_version_replaces_the_old(case: Case) -> None:
    """A file whose listed checksum has changed is fetched; an equal one at a new address is not."""
    case.fetch()
    same = RemoteFile("d/3", case.web.base_url + "/moved", sha256=hashlib.sha256(b"D" * 3000).hexdigest())
    assert case.fetch([same]).skipped == 1
    case.web.files["/moved"] = b"new"
    changed = replace(same, sha256=hashlib.sha256(b"new").hexdigest())
    assert case.fetch([changed]).fetched == 1
    assert (case.out / "d/3").read_bytes() == b"new"


def test_one_missing_file_keeps_no_other_back(case: Case) -> None:
    """A file that is not there is named, with its URL; the others have come, and the next run asks for it alone."""
    files = [RemoteFile("gone", case.web.base_url + "/gone"), *case.files]
    with pytest.raises(InputError, match=r"http://.*/gone: HTTP 404"):
        case.fetch(files)
    assert case.asked() == ["/d/0", "/d/1", "/d/2", "/d/3", "/d/4", "/gone"]
    case.web.files["/gone"] = b"back"
    assert case.fetch(files) == FetchSummary(fetched=1, skipped=5, size_bytes=10_004)
    assert case.asked() == ["/gone"]


def test_several_failures_are_counted(case: Case, answer: Any) -> None:
    """Several failures end in one error with their number; one that can be repeated makes the whole repeatable."""
    gone = [RemoteFile(f"gone{number}", f"{case.web.base_url}/gone{number}") for number in range(4)]
    with pytest.raises(InputError, match=r"4 of 9 files did not come:\n(?s:.*)and 1 more"):
        case.fetch([*case.files, *gone])
    case.web.script["/d/4"] = [answer(503, body=b"") for _ in range(3)]
    (case.out / "d/4").unlink()
    with pytest.raises(StageError, match="2 of 2 files did not come"):
        case.fetch([gone[0], case.files[4]])


def test_a_refusal_ends_the_fetch(case: Case, answer: Any) -> None:
    """401 says that the data is gated, and nothing more is asked for; what came before stays."""
    case.manners = replace(case.manners, parallel=1)
    case.web.script["/d/2"] = [answer(401, body=b"")]
    with pytest.raises(RefusedError, match="/d/2: HTTP 401; set HF_TOKEN"):
        case.fetch()
    assert "/d/4" not in case.asked()
    assert set(json.loads((case.out / "fetch.json").read_text())["files"]) == {"d/0", "d/1"}


def test_no_more_connections_than_said(case: Case) -> None:
    """Never more than `parallel` files are on their way at a time, and as many when there is work."""
    serve, now, most = case.web.answer, [0], [0]

    def counted(request: Any) -> None:
        now[0] += 1
        most[0] = max(most[0], now[0])
        case.web.released.wait(0.05)
        now[0] -= 1
        serve(request)

    case.web.answer = counted
    case.manners = replace(case.manners, parallel=2, stall_timeout_s=5)
    case.fetch()
    assert most[0] == 2


def test_rate_is_kept(case: Case, pauses: list[float]) -> None:
    """Ten thousand bytes at a thousand per second take ten seconds of pauses, less what the fetch itself took."""
    case.manners = replace(case.manners, rate_bytes_per_s=1000.0)
    case.fetch()
    assert 9.0 < max(pauses) <= 10.0


def test_two_fetches_into_one_directory(case: Case) -> None:
    """A second fetch into a directory that is being written is refused, and goes on when the first has ended."""
    with sole_writer(case.out):
        process = multiprocessing.get_context("spawn").Process(target=_try_to_write, args=(case.out,))
        process.start()
        process.join()
        assert process.exitcode == OutputError.exit_code
    assert case.fetch().fetched == 5


def _try_to_write(directory: Path) -> None:
    try:
        with sole_writer(directory):
            pass
    except OutputError as error:
        raise SystemExit(error.exit_code) from error


def test_progress_counts_files_and_bytes(case: Case) -> None:
    """The last event has all files and bytes; a listing with sizes also gives the total."""
    case.fetch([replace(file, size_bytes=1000 * number) for number, file in enumerate(case.files)])
    last = case.events[-1]
    assert (last.stage, last.done, last.total, last.unit) == ("fetch", 5, 5, "files")
    assert last.values["MB"] == last.values["of_MB"] == pytest.approx(0.01)


def test_why_it_waits_is_shown(case: Case, answer: Any) -> None:
    """A pause is announced with its cause."""
    case.web.script["/d/1"] = [answer(429, headers={"Retry-After": "9"}, body=b"")]
    case.fetch()
    assert any("/d/1: HTTP 429; again in 9 s" in event.message for event in case.events)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "", "fetch.json", "a.partial", "a\\b"])
def test_names_stay_in_the_directory(case: Case, name: str) -> None:
    """A listing that names files outside the directory, or our own, is refused before a request."""
    with pytest.raises(InputError, match="no name that can be written"):
        case.fetch([RemoteFile(name, case.web.base_url + "/d/1")])
    assert case.asked() == []


def test_a_directory_that_cannot_be(case: Case, tmp_path: Path) -> None:
    """Where a file stands in the way of the directory, the message names it and the option."""
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputError, match=r"out: cannot be written .*--out"):
        case.fetch()


@pytest.mark.parametrize(("free", "fits"), [(9_999, False), (10_000, True)])
def test_room_is_looked_at_before(case: Case, monkeypatch: pytest.MonkeyPatch, free: int, fits: bool) -> None:
    """What is listed larger than the disk is refused before a request; what just fits is fetched."""
    monkeypatch.setattr("shutil.disk_usage", lambda _path: shutil._ntuple_diskusage(1, 1, free))  # type: ignore[attr-defined]
    files = [replace(file, size_bytes=1000 * number) for number, file in enumerate(case.files)]
    if fits:
        assert case.fetch(files).fetched == 5
        return
    with pytest.raises(OutputError, match=r"to come, .*--limit"):
        case.fetch(files)
    assert case.asked() == []


def test_interrupted_between_file_and_manifest(case: Case) -> None:
    """A file that is not in the manifest is not trusted: it comes again."""
    case.fetch()
    (case.out / "fetch.json").write_text('{"files": {}}')
    (case.out / "d/1").write_bytes(b"x")
    case.asked()
    assert case.fetch().fetched == 5
    assert (case.out / "d/1").read_bytes() == case.web.files["/d/1"]
