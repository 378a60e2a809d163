"""Fixtures for all tests. Tests never reach the network and never depend on their order."""

import contextlib
import hashlib
import os
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

settings.register_profile("ctllm", deadline=None)  # speed is for benchmarks; the first call compiles, machines are busy
settings.load_profile("ctllm")

ROOT = Path(__file__).resolve().parent.parent
TOGETHER = ("tests/cli", "tests/flows")  # a whole way in miniature and a Prefect server: 60 s and 13 s
PRIVATE_DATA = ROOT.parent / "shared" / "data"


class _TogetherScheduling(LoadScopeScheduling):
    """Gives whole files to the processes, and all of TOGETHER to one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        directory = file.rpartition("/")[0]
        return directory if directory in TOGETHER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """With several processes (`make test`) what shares costly fixtures stays in one of them."""
    return _TogetherScheduling(config, log)


@pytest.fixture(scope="session")
def private_data() -> Path:
    """The private corpora, where a developer has them beside the checkout; the test is skipped elsewhere."""
    if not PRIVATE_DATA.is_dir():
        pytest.skip("the private corpora are not beside this checkout")
    return PRIVATE_DATA


@dataclass(frozen=True)
class Answer:
    """How the scripted server answers one request; as it stands, honestly."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    etag: str | None = None  # instead of the file's own; "" for none
    announces: int | None = None  # a Content-Length that is a lie
    framing: str = "length"  # length | chunked | close
    ends_at: int | None = None  # closes the connection after so many bytes of the body
    stalls_at: int | None = None  # sends nothing more after so many bytes
    ignores_range: bool = False
    ignores_if_range: bool = False
    pause_s: float = 0.0  # between pieces of 64 KiB


@dataclass
class ScriptedServer:
    """Serves `files` (path to bytes) from this machine; `script` holds answers to the next requests of a path."""

    base_url: str
    files: dict[str, bytes] = field(default_factory=dict)
    script: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def headers_of(self, path: str) -> list[dict[str, str]]:
        """Headers of all requests for `path`, in lower case, oldest first."""
        return [headers for requested, headers in self.requests if requested == path]

    def etag(self, path: str) -> str:
        """The ETag of the bytes that `path` has now."""
        return f'"{hashlib.sha256(self.files[path]).hexdigest()[:16]}"'

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path, headers))
        pending = self.script.get(request.path, [])
        plan = pending.pop(0) if pending else Answer()
        if plan.body is None and request.path not in self.files:
            plan = plan if plan.status else Answer(404, body=b"")
            body, etag = b"", ""
        else:
            body = plan.body if plan.body is not None else self.files[request.path]
            etag = plan.etag if plan.etag is not None else (self.etag(request.path) if plan.body is None else "")
        self._send(request, plan, *self._ranged(plan, headers, body, etag), etag=etag)

    def _ranged(
        self, plan: Answer, headers: dict[str, str], body: bytes, etag: str
    ) -> tuple[int, bytes, dict[str, str]]:
        wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        is_same = plan.ignores_if_range or headers.get("if-range") in (None, etag)
        if plan.status is not None or wanted is None or plan.ignores_range or not is_same:
            return plan.status or 200, body, {}
        start = int(wanted[1])
        if start >= len(body):
            return 416, b"", {"Content-Range": f"bytes */{len(body)}"}
        return 206, body[start:], {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}

    def _send(
        self,
        request: BaseHTTPRequestHandler,
        plan: Answer,
        status: int,
        body: bytes,
        more: dict[str, str],
        *,
        etag: str,
    ) -> None:
        request.send_response(status)
        framing = {
            "length": {"Content-Length": str(len(body) if plan.announces is None else plan.announces)},
            "chunked": {"Transfer-Encoding": "chunked"},
            "close": {"Connection": "close"},
        }[plan.framing]
        for name, value in {**({"ETag": etag} if etag else {}), **more, **framing, **plan.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        end = min(each for each in (plan.ends_at, plan.stalls_at, len(body)) if each is not None)
        for start in range(0, end, 1 << 16):
            piece = body[start : min(end, start + (1 << 16))]
            request.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if plan.framing == "chunked" else piece)
            if plan.pause_s:
                self.released.wait(plan.pause_s)
        request.wfile.flush()
        if plan.stalls_at is not None:
            self.released.wait(30)
        if plan.framing == "chunked" and end == len(body):
            request.wfile.write(b"0\r\n\r\n")
        request.close_connection = plan.framing == "close" or end < len(body) or plan.announces is not None


@pytest.fixture
def answer() -> type[Answer]:
    """The kind of answers that a script is made of."""
    return Answer


@pytest.fixture
def start_server() -> Iterator[Callable[[], ScriptedServer]]:
    """Starts servers on this machine, each on a port of its own."""
    running: list[tuple[ScriptedServer, ThreadingHTTPServer]] = []

    def start() -> ScriptedServer:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with contextlib.suppress(ConnectionError):  # the client has left
                    scripted.answer(self)

            def log_message(self, *_arguments: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        server.handle_error = lambda _request, _address: None  # type: ignore[method-assign]  # the client has left
        scripted = ScriptedServer(f"http://127.0.0.1:{server.server_port}")
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append((scripted, server))
        return scripted

    yield start
    for scripted, server in running:
        scripted.released.set()
        server.shutdown()
        server.socket.close()


@pytest.fixture
def web(start_server: Callable[[], ScriptedServer]) -> ScriptedServer:
    """One such server."""
    return start_server()
