"""One file is whole or not there, whatever the server does."""

import dataclasses
import errno
import hashlib
import json
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ctllm.pipelines.fetch.download import Downloader
from ctllm.pipelines.fetch.partial import Partial
from ctllm.pipelines.fetch.rate import RateLimit
from ctllm.pipelines.fetch.remote import RemoteFile
from ctllm.pipelines.fetch.server import Manners, RefusedError, Server
from ctllm.schemas.errors import InputError, OutputError, StageError
from ctllm.schemas.fetch_manifest import FileEntry

PATH = "/data/a.bin"


@dataclass(frozen=True)
class Case:
    """A server that has /data/a.bin, an empty directory, and a downloader between them."""

    web: Any
    directory: Path
    content: bytes
    manners: Manners
    pauses: list[float]
    reports: list[str]

    def fetch(self, url: str | None = None, *, token: str | None = None, **known: Any) -> FileEntry:
        """Downloads the file; `known` is what the listing is said to know of it."""
        server = Server(self.web.base_url, "accept the terms", token=token)
        with self.manners.client() as client:
            downloader = Downloader(client, server, self.manners, RateLimit(None), report=self.reports.append)
            return downloader.download(RemoteFile("a.bin", url or self.web.base_url + PATH, **known), self.directory)

    @property
    def arrived(self) -> bytes:
        """The bytes of the file that was fetched."""
        return (self.directory / "a.bin").read_bytes()

    def plan(self, *answers: Any) -> None:
        """What the server does with the next requests for the file."""
        self.web.script[PATH] = list(answers)

    @property
    def asked(self) -> list[dict[str, str]]:
        """Headers of the requests for the file."""
        headers: list[dict[str, str]] = self.web.headers_of(PATH)
        return headers


@pytest.fixture
def case(web: Any, manners: Manners, pauses: list[float], tmp_path: Path, content: bytes) -> Case:
    """A fresh case."""
    web.files[PATH] = content
    return Case(web, tmp_path, content, manners, pauses, [])


def left(directory: Path) -> set[str]:
    """Names of the files in `directory`."""
    return {path.name for path in directory.iterdir()}


def test_whole_file(case: Case) -> None:
    """A file arrives with its bytes, its entry names size, checksum and ETag, nothing else is left."""
    entry = case.fetch()
    assert case.arrived == case.content
    assert entry.sha256 == hashlib.sha256(case.content).hexdigest()
    assert (entry.url, entry.size_bytes, entry.etag) == (
        case.web.base_url + PATH,
        len(case.content),
        case.web.etag(PATH),
    )
    assert left(case.directory) == {"a.bin"}
    assert case.asked[0]["user-agent"].startswith("ctllm/")


def test_broken_off_is_resumed(case: Case, answer: Any) -> None:
    """A body that breaks off is continued where it stopped, only if the file is still the same."""
    case.plan(answer(ends_at=100_000), answer(ends_at=50_000))
    case.fetch()
    assert case.arrived == case.content
    _, second, third = case.asked
    assert (second["range"], second["if-range"]) == ("bytes=100000-", case.web.etag(PATH))
    assert third["range"] == "bytes=150000-"
    assert case.pauses == [1.0, 1.0]  # each try got further, so patience is new


def test_stall_is_noticed(case: Case, answer: Any) -> None:
    """A server that sends nothing more is left, and what came is kept."""
    case.plan(answer(stalls_at=70_000))
    case.fetch()
    assert case.arrived == case.content
    assert case.asked[1]["range"] == "bytes=70000-"


@pytest.mark.parametrize("announced", [310_000, 299_999, 0])
def test_lying_length_against_the_listing(case: Case, answer: Any, announced: int) -> None:
    """A Content-Length that is not the listed size, too long or too short, is refused before the body."""
    case.plan(answer(announces=announced))
    case.fetch(size_bytes=len(case.content))
    assert case.arrived == case.content
    (report,) = case.reports
    assert f"the server announces {announced:,} bytes, the listing 300,000; again in 1 s" in report
    assert "range" not in case.asked[1]


def test_length_too_long_and_nothing_known(case: Case, answer: Any) -> None:
    """A body shorter than its Content-Length is never taken for the whole; three tries, then the way out."""
    case.plan(*(answer(announces=400_000, ignores_range=True) for _ in range(5)))
    with pytest.raises(StageError, match=r"a\.bin: .*3 tries without progress; run the same command again"):
        case.fetch()
    assert left(case.directory) == {"a.bin.partial", "a.bin.partial.json"}


def test_length_too_short_is_found_by_the_checksum(case: Case, answer: Any) -> None:
    """A Content-Length that cuts the file is found out by the checksum, if the listing gives one."""
    case.plan(answer(announces=1000))
    case.fetch(sha256=hashlib.sha256(case.content).hexdigest())
    assert case.arrived == case.content


def test_range_ignored(case: Case, answer: Any) -> None:
    """A 200 where a 206 was asked for begins the file again instead of appending it to itself."""
    case.plan(answer(ends_at=100_000), answer(ignores_range=True))
    case.fetch()
    assert case.arrived == case.content


def test_breaking_at_one_place_forever(case: Case, answer: Any) -> None:
    """A server that ignores Range and always breaks at one byte is given up: the same bytes are no progress."""
    case.plan(*(answer(ends_at=100_000, ignores_range=True) for _ in range(9)))
    with pytest.raises(StageError, match="3 tries without progress"):
        case.fetch()
    assert case.pauses == [1.0, 2.0]


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_changed_between_tries(case: Case, answer: Any, ignores_if_range: bool) -> None:
    """A file that changes between two tries is begun again, never glued together from both."""
    changed = bytes(reversed(case.content))

    def change(path: str) -> None:
        case.web.files[path] = changed

    case.plan(answer(ends_at=100_000), answer(ignores_if_range=ignores_if_range))
    serve = case.web.answer

    def serve_and_change(request: Any) -> None:
        if len(case.web.requests) == 1:
            change(request.path)
        serve(request)

    case.web.answer = serve_and_change
    entry = case.fetch()
    assert case.arrived == changed
    assert entry.etag == case.web.etag(PATH)


@pytest.mark.parametrize("etag", ["", 'W/"weak"'])
def test_without_a_strong_validator(case: Case, answer: Any, etag: str) -> None:
    """Without a strong ETag nothing proves that the rest belongs to the beginning: the file is begun again."""
    case.plan(answer(ends_at=100_000, etag=etag), answer(etag=etag))
    case.fetch()
    assert case.arrived == case.content
    assert "range" not in case.asked[1]


@pytest.mark.parametrize("etags", [("", ""), ('"edge 1"', '"edge 2"')])
def test_a_checksum_needs_no_validator(case: Case, answer: Any, etags: tuple[str, str]) -> None:
    """Where the listing gives a checksum, a content network that has no ETag, or two, is resumed from all the same."""
    case.plan(answer(ends_at=100_000, etag=etags[0]), answer(etag=etags[1]))
    case.fetch(sha256=hashlib.sha256(case.content).hexdigest())
    assert case.arrived == case.content
    assert case.asked[1]["range"] == "bytes=100000-"
    assert "if-range" not in case.asked[1]


def test_a_checksum_finds_what_was_glued(case: Case, answer: Any) -> None:
    """A rest of another version passes no checksum: the file is begun again."""
    other = bytes(reversed(case.content))
    rest = {"Content-Range": "bytes 100000-299999/300000"}
    case.plan(answer(ends_at=100_000), answer(206, body=other[100_000:], headers=rest))
    case.fetch(sha256=hashlib.sha256(case.content).hexdigest())
    assert case.arrived == case.content
    assert "range" not in case.asked[2]


def test_last_modified_validates(case: Case, answer: Any) -> None:
    """Where there is no ETag, Last-Modified is what the rest is asked for with."""
    date = {"Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT"}
    case.web.script[PATH] = [
        answer(ends_at=1000, etag="", headers=date),
        answer(etag="", headers=date, ignores_if_range=True),
    ]
    case.fetch()
    assert case.asked[1]["if-range"] == date["Last-Modified"]
    assert case.arrived == case.content


def test_nothing_is_missing(case: Case) -> None:
    """Killed between the last byte and the renaming: 416 with our length means whole."""
    with Partial(case.directory / "a.bin", identity=case.web.base_url + PATH) as partial:
        partial.restart(case.web.etag(PATH))
        partial.write(case.content)
    case.fetch()
    assert case.arrived == case.content
    assert len(case.asked) == 1


def test_more_than_there_is(case: Case) -> None:
    """A 416 with another length than ours begins the file again."""
    with Partial(case.directory / "a.bin", identity=case.web.base_url + PATH) as partial:
        partial.restart(case.web.etag(PATH))
        partial.write(case.content + b"x")
    case.fetch()
    assert case.arrived == case.content
    assert len(case.asked) == 2


def test_416_that_says_no_length(case: Case, answer: Any) -> None:
    """A 416 that does not say how long the file is proves nothing: it is begun again."""
    case.plan(answer(ends_at=100_000), answer(416, body=b"", etag=""))
    case.fetch()
    assert case.arrived == case.content


def test_206_from_another_place(case: Case, answer: Any) -> None:
    """A 206 that starts elsewhere than asked is refused, though it has as many bytes as are missing."""
    wrong = {"Content-Range": "bytes 0-199999/300000"}
    elsewhere = answer(206, headers=wrong, body=case.content[:200_000], etag=case.web.etag(PATH))
    case.plan(answer(ends_at=100_000), elsewhere)
    case.fetch()
    assert case.arrived == case.content


@pytest.mark.parametrize("status", [429, 503])
def test_busy(case: Case, answer: Any, status: int) -> None:
    """429 and 503 are waited out, as long as the server asks."""
    case.plan(answer(status, headers={"Retry-After": "7"}, body=b"busy"), answer(status, body=b"busy"))
    case.fetch()
    assert case.pauses == [7.0, 2.0]
    assert (case.directory / "a.bin").exists()


def test_wrong_bytes(case: Case, answer: Any) -> None:
    """Bytes of the right number with another checksum are thrown away and asked for again, without Range."""
    case.plan(answer(body=bytes(len(case.content)), etag='"x"'))
    case.fetch(size_bytes=len(case.content), sha256=hashlib.sha256(case.content).hexdigest())
    assert case.arrived == case.content
    assert "range" not in case.asked[1]


def test_wrong_bytes_forever(case: Case) -> None:
    """A file whose checksum never fits does not get its name."""
    with pytest.raises(StageError, match="differs from the listing in sha256"):
        case.fetch(sha256="0" * 64)
    assert not (case.directory / "a.bin").exists()


def test_git_blob_id(case: Case) -> None:
    """Small files of a hub are checked by their git blob id, which begins with the length."""
    blob = hashlib.sha1(b"blob %d\0" % len(case.content) + case.content).hexdigest()
    assert case.fetch(size_bytes=len(case.content), git_sha1=blob).git_sha1 == blob
    (case.directory / "a.bin").unlink()
    with pytest.raises(StageError, match="git blob id"):
        case.fetch(size_bytes=len(case.content), git_sha1="0" * 40)


def test_end_mark_of_a_chunked_body(case: Case, answer: Any) -> None:
    """A chunked body needs no length: it is whole when its end mark has come, and only then."""
    case.plan(answer(framing="chunked", ends_at=100_000), answer(framing="chunked"))
    case.fetch()
    assert case.arrived == case.content
    assert case.asked[1]["range"] == "bytes=100000-"


def test_no_proof_of_the_end(case: Case, answer: Any) -> None:
    """Without length, chunks and checksum the end proves nothing, and the file is refused; with a size it is not."""
    case.plan(answer(framing="close"), answer(framing="close", ends_at=9), answer(framing="close"))
    with pytest.raises(InputError, match="whole cannot be told from cut off"):
        case.fetch()
    case.fetch(size_bytes=len(case.content))
    assert case.arrived == case.content


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, InputError, r"http://.*/data/a\.bin: HTTP 404"),
        (410, InputError, "HTTP 410"),
        (401, RefusedError, "HTTP 401; accept the terms"),
        (403, RefusedError, "HTTP 403; accept the terms"),
    ],
)
def test_refused_for_good(case: Case, answer: Any, status: int, error: type[Exception], message: str) -> None:
    """What repeating does not mend is not repeated; the error names the URL and the way out."""
    case.plan(answer(status, body=b"no"))
    with pytest.raises(error, match=message):
        case.fetch()
    assert len(case.web.requests) == 1


def test_token_stays_at_home(case: Case, answer: Any, start_server: Callable[[], Any]) -> None:
    """Redirected to a case.content network, the request keeps Range and loses the token."""
    network = start_server()
    network.files["/blob"] = case.content
    network.script["/blob"] = [answer(ends_at=100_000)]
    case.plan(*(answer(302, headers={"Location": network.base_url + "/blob"}, body=b"") for _ in range(2)))
    case.fetch(token="secret", sha256=hashlib.sha256(case.content).hexdigest())
    assert [headers["authorization"] for headers in case.asked] == ["Bearer secret"] * 2
    assert ["authorization" in headers for headers in network.headers_of("/blob")] == [False, False]
    assert network.headers_of("/blob")[1]["range"] == "bytes=100000-"


def test_token_is_only_for_its_server(case: Case, start_server: Callable[[], Any]) -> None:
    """A file that the listing places on another host is asked for without the token."""
    other = start_server()
    other.files["/x"] = b"bytes"
    case.fetch(other.base_url + "/x", token="secret")
    assert "authorization" not in other.headers_of("/x")[0]


def test_nobody_listens(case: Case) -> None:
    """A host that cannot be reached is tried again, then named."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    with pytest.raises(StageError, match=r"127\.0\.0\.1:\d+/x: .*3 tries without progress"):
        case.fetch(url)
    assert case.pauses == [1.0, 2.0]


def test_no_protocol(case: Case) -> None:
    """A URL without a protocol is not tried again."""
    with pytest.raises(InputError, match="a URL begins with https://"):
        case.fetch("data.example/x")


def test_full_disk(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk ends the fetch with its own sentence and leaves what came."""

    def write(_file: object, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ctllm.pipelines.fetch.partial.write_all", write)
    with pytest.raises(OutputError, match=r"a\.bin\.partial: no space left on the device"):
        case.fetch()
    assert len(case.web.requests) == 1


def test_long_pause_is_left_to_the_user(case: Case, answer: Any) -> None:
    """A server that asks for an hour is not waited for; the message says how long it asks."""
    case.plan(answer(429, headers={"Retry-After": "3600"}, body=b""))
    with pytest.raises(StageError, match="come back in 3600 s"):
        case.fetch()


def test_a_broken_note_is_no_beginning(case: Case) -> None:
    """A partial file whose note is broken, or is of another file, is begun again."""
    for note in (b"{", json.dumps({"identity": "another", "validator": case.web.etag(PATH)}).encode()):
        (case.directory / "a.bin.partial").write_bytes(b"wrong")
        (case.directory / "a.bin.partial.json").write_bytes(note)
        case.fetch()
        assert case.arrived == case.content
    assert all("range" not in headers for headers in case.asked)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("is_checked", [False, True])
def test_whatever_the_server_does(case: Case, answer: Any, seed: int, is_checked: bool) -> None:
    """After ten answers of any kind the file has its bytes; with a checksum, lies about bytes among them."""
    chance = random.Random(seed)
    size_bytes = len(case.content)

    def some_answer() -> Any:
        harmless = {
            "ends_at": chance.choice([None, 0, 1, chance.randrange(size_bytes)]),
            "framing": chance.choice(["length", "length", "chunked"]),
            "ignores_range": chance.random() < 0.3,
            "etag": chance.choice([None, None, "", 'W/"weak"']),
            "status": chance.choice([None, None, None, 503, 429, 500]),
        }
        lies = {
            "announces": chance.choice([None, chance.randrange(1, size_bytes), size_bytes + 5]),
            "body": chance.choice([None, bytes(size_bytes), case.content[:-1], case.content + b"x"]),
            "ignores_if_range": True,
        }
        return answer(**harmless, **(lies if is_checked else {}))

    case.plan(*(some_answer() for _ in range(10)))
    patient = dataclasses.replace(case, manners=dataclasses.replace(case.manners, tries=20))
    known = {"sha256": hashlib.sha256(case.content).hexdigest()} if is_checked else {}
    patient.fetch(**known)
    assert case.arrived == case.content


def test_progress_never_counts_twice(case: Case, answer: Any) -> None:
    """However often a file is begun again, the bytes that are reported sum up to its size."""
    case.web.files[PATH] = case.content
    case.plan(answer(ends_at=100_000), answer(ignores_range=True, ends_at=200_000))
    heard: list[int] = []
    with dataclasses.replace(case.manners, tries=9).client() as client:
        downloader = Downloader(
            client, Server(case.web.base_url, ""), case.manners, RateLimit(None), on_bytes=heard.append
        )
        downloader.download(RemoteFile("a.bin", case.web.base_url + PATH), case.directory)
    assert sum(heard) == len(case.content)
