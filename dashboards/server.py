"""The live dashboard: the report's page over every run below some directories, with answers from their own files.

Reads only. Every address is answered from a name that was found on disk, never from a path that a client gives.
"""

import math
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import metadata, resources
from pathlib import Path
from typing import Annotated, Any

import duckdb
import pyarrow as pa
import uvicorn
from anyio import to_thread
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, PlainTextResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from ctllm.dashboards import documents, search, thresholds
from ctllm.dashboards.access import COOKIE, Access, Guarded
from ctllm.dashboards.card import run_card
from ctllm.dashboards.curves import training_curves
from ctllm.dashboards.discovery import RunGone, Shelf
from ctllm.dashboards.ledger import ledger_tail
from ctllm.dashboards.lineage import attached, lineage
from ctllm.dashboards.queries import ANY_ROWS, Filter, RunDatabase
from ctllm.dashboards.report import PAGE, PLOTLY, embedded_json
from ctllm.dashboards.workshop import Workshop
from ctllm.schemas.errors import ConfigError, CtllmError, InputError
from ctllm.schemas.memory import give_back, share_arenas

LIVE_SCRIPTS = (
    "live_words.js",
    "live.js",
    "live_documents.js",
    "live_groups.js",
    "live_thresholds.js",
    "live_training.js",
    "compare.js",
)
KEPT_FOR_GOOD = "max-age=31536000, immutable"
"""Of plotly.js, whose address holds its version: browsers keep it compiled."""
MAX_HITS = 20
THREADS = 8  # chosen: a page asks for six things at once, searches wait for each other

Text = Annotated[str | None, Query(max_length=500)]
Key = Annotated[int, Query(ge=0, lt=1 << 64)]
After = Annotated[int | None, Query(ge=0, lt=1 << 64)]
Offset = Annotated[int, Query(ge=0, lt=1 << 62)]


def _chosen(
    *, lane: Text = None, outcome: Text = None, reason: Text = None, source: Text = None, named: Text = None
) -> Filter:
    """What an empty value leaves open is any."""
    return Filter(lane or None, outcome or None, reason or None, source or None, named or None)


def _asked(*, text: str, regex: bool = False, case: bool = False) -> search.Query:
    return search.Query(text, is_regex=regex, case=case)


Chosen = Annotated[Filter, Depends(_chosen)]
Asked = Annotated[search.Query, Depends(_asked)]


@asynccontextmanager
async def _few_threads(_app: FastAPI) -> AsyncIterator[None]:
    """Answers are made by THREADS threads, each of which keeps some memory of its own."""
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield


def build_app(shelf: Shelf, workshop: Workshop, access: Access) -> FastAPI:
    """The application. Its errors are JSON `{"error": sentence}`.

    400 is a bad question, 404 or 410 something that is not there (any more), 409 a run that cannot be asked (yet).
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_few_threads)
    app.add_middleware(Guarded, access=access)
    for known, status in ((ConfigError, 400), (RunGone, 410), (InputError, 404), (CtllmError, 409), *_BROKEN):
        app.add_exception_handler(known, _as_json(status))
    app.add_exception_handler(RequestValidationError, _as_bad_question)
    app.add_exception_handler(HTTPException, _as_unknown)
    _add_pages(app)
    _add_access(app, access)
    _add_lists(app, shelf)
    _add_documents(app, shelf, workshop)
    _add_groups(app, shelf, workshop)
    return app


_BROKEN = tuple(
    (each, 409)
    for each in (OSError, ValidationError, ValueError, LookupError, TypeError, pa.ArrowException, duckdb.Error)
)
"""What reading a run can raise when something else wrote or cut its files."""


_UNREADABLE = "cannot be read ({}: {}); if another version made it, the same `ctllm curate` writes it anew"


def _as_json(status: int) -> Callable[[Request, Exception], Response]:
    def answer(_request: Request, error: Exception) -> Response:
        first_line = str(error).partition("\n")[0][:200]
        text = str(error) if isinstance(error, CtllmError) else _UNREADABLE.format(type(error).__name__, first_line)
        return JSONResponse({"error": text}, status)

    return answer


def _as_bad_question(_request: Request, error: Exception) -> Response:
    first = error.errors()[0] if isinstance(error, RequestValidationError) else {}
    return JSONResponse({"error": f"{first.get('loc', ['?'])[-1]}: {first.get('msg', error)}"}, 400)


def _as_unknown(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return JSONResponse({"error": "no such address"}, status)


def _json(value: Any) -> Response:  # noqa: ANN401 - whatever JSON can hold
    return Response(embedded_json(value), media_type="application/json")


def _add_pages(app: FastAPI) -> None:
    files = {each.name: each for each in PAGE.iterdir() if each.suffix in (".js", ".css")}
    files[PLOTLY] = Path(str(resources.files("plotly") / "package_data" / "plotly.min.js"))

    @app.get("/page/{name}")
    def page_file(name: str) -> Response:
        if name not in files:
            raise InputError(f"{name!r}: no file of the page")
        return FileResponse(files[name], headers={"Cache-Control": KEPT_FOR_GOOD if name == PLOTLY else "no-cache"})

    def page() -> Response:
        return Response(live_page(), media_type="text/html", headers={"Cache-Control": "no-cache"})

    for address in ("/", "/run/{name:path}", "/training/{name:path}", "/compare"):
        app.add_api_route(address, page, methods=["GET"])


def live_page() -> str:
    """`page/index.html` as a server gives it: files by their address, no card in it."""
    text = (PAGE / "index.html").read_text(encoding="utf-8")
    plotly = f'<meta name="plotly" content="/page/{PLOTLY}?{metadata.version("plotly")}">'  # live.js runs it, last
    text = text.replace(f'<script src="{PLOTLY}"></script>', plotly, 1)
    text = text.replace("<!--policy-->", '<link rel="icon" href="data:,">', 1)
    text = text.replace("<!--live-->", "\n".join(f'<script src="{name}"></script>' for name in LIVE_SCRIPTS), 1)
    return re.sub(r'(<link rel="stylesheet" href="|<script src=")', r"\1/page/", text)


def _add_access(app: FastAPI, access: Access) -> None:
    @app.get("/api/health")
    def health() -> Response:
        return PlainTextResponse("ok")

    @app.post("/api/login")
    def login() -> Response:  # Guarded has let the token in its header pass
        response = Response(status_code=204)
        if access.token:
            response.set_cookie(COOKIE, access.token, httponly=True, samesite="strict", path="/")
        return response


def _add_lists(app: FastAPI, shelf: Shelf) -> None:
    @app.get("/api/runs")
    def runs() -> Response:
        return _json(shelf.lines())

    @app.get("/api/runs/{name:path}/card")
    def run(name: str) -> Response:
        card = run_card(str(shelf.path("curation", name)))
        del card["signal_sample"]  # the page asks here about all documents
        answer = _json(card | {"trainings": []})
        give_back()
        return answer

    @app.get("/api/runs/{name:path}/lineage")
    def descent(name: str) -> Response:
        path = str(shelf.path("curation", name))
        trainings = attached(path, [str(each.path) for each in shelf.places() if each.kind == "training"])
        answer = _json(
            {"lineage": lineage(path, trainings), "trainings": [training_curves(each) for each in trainings]}
        )
        give_back()
        return answer

    @app.get("/api/trainings/{name:path}/ledger")
    def ledger(name: str, offset: Offset = 0) -> Response:
        return _json(ledger_tail(shelf.path("training", name), offset=offset))


def _add_documents(app: FastAPI, shelf: Shelf, workshop: Workshop) -> None:
    @app.get("/api/runs/{name:path}/index")
    def index(name: str) -> Response:
        return _json(workshop.state(shelf.path("curation", name)))

    @app.get("/api/runs/{name:path}/documents")
    def listed(name: str, chosen: Chosen, after: After = None) -> Response:
        database = workshop.database(shelf.path("curation", name))
        found = database.documents(chosen, after=after)
        total = database.count(chosen) if after is None else None
        return _json(
            {"documents": found, "total": total, "after": found[-1]["key"] if len(found) == ANY_ROWS else None}
        )

    @app.get("/api/runs/{name:path}/search")
    def searched(name: str, chosen: Chosen, query: Asked, after: After = None) -> Response:
        run = shelf.path("curation", name)
        database = workshop.database(run)
        with workshop.searching():
            found = search.search(run, database, query, chosen=chosen, after=after, limit=MAX_HITS)
        give_back()  # the texts' memory
        return _json(found)

    @app.get("/api/runs/{name:path}/document")
    def document(name: str, key: Key) -> Response:
        run = shelf.path("curation", name)
        return _json(documents.describe(run, workshop.database(run), key))


def _add_groups(app: FastAPI, shelf: Shelf, workshop: Workshop) -> None:
    def database_of(name: str) -> RunDatabase:
        return workshop.database(shelf.path("curation", name))

    @app.get("/api/runs/{name:path}/what-if")
    def what_if(name: str, change: Annotated[list[str], Query(max_length=100)] = []) -> Response:  # noqa: B006
        return _json(thresholds.what_if(database_of(name), _changes(change)))

    @app.get("/api/runs/{name:path}/border")
    def border(name: str, change: Annotated[list[str], Query(max_length=100)] = []) -> Response:  # noqa: B006
        return _json({"documents": thresholds.border(database_of(name), _changes(change))})

    @app.get("/api/runs/{name:path}/clusters")
    def clusters(name: str, kind: Text = None, offset: Offset = 0) -> Response:
        return _json(database_of(name).clusters(kind=kind or None, offset=offset))

    @app.get("/api/runs/{name:path}/cluster")
    def cluster(name: str, key: Key) -> Response:
        return _json({"members": database_of(name).members(key)})

    @app.get("/api/runs/{name:path}/source")
    def source(name: str, source: Annotated[str, Query(max_length=2000)], signal: Text = None) -> Response:
        database = database_of(name)
        histogram = database.histogram(source, signal) if signal else {}
        return _json({"reasons": database.reasons(source), "histogram": histogram})


def _changes(values: list[str]) -> dict[tuple[str, str], float | None]:
    """`zh.max_digit_share=0.2`, or `=off`, as (lane, rule) to threshold. Raises ConfigError."""
    found: dict[tuple[str, str], float | None] = {}
    for value in values:
        rule, _, bound = value.partition("=")
        lane, dot, name = rule.partition(".")
        try:
            found[lane, name] = None if bound == "off" else float(bound)
        except ValueError:
            dot = ""
        if not dot or not math.isfinite(found[lane, name] or 0.0):
            raise ConfigError(f"change {value!r}: write it as lane.rule=number, or lane.rule=off")
    return found


class _Server(uvicorn.Server):
    """Ends on SIGTERM and SIGINT without raising them again, which uvicorn would do."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self.handle_exit)
        yield


def serve(
    roots: list[Path],
    *,
    host: str,
    port: int,
    token: str | None,
    cache: Path,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serves until SIGTERM or SIGINT; `ready` gets the address once it is listened on.

    Raises ConfigError for a directory that is not there, an address that cannot be listened on, or one that others
    reach without a token.
    """
    for root in roots:
        if not root.is_dir():
            raise ConfigError(f"{root}: not a directory; give those that your runs lie in")
    access = Access.checked(host, token=token)
    share_arenas()
    with _listening(host, port) as listener, Workshop(cache) as workshop:
        app = build_app(Shelf(roots), workshop, access)
        settings = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=3
        )
        shown, number = listener.getsockname()[:2]
        ready(f"http://[{shown}]:{number}/" if ":" in shown else f"http://{shown}:{number}/")
        _Server(settings).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on, before the application answers them."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(f"{host}:{port}: cannot listen there ({error.strerror}); choose another --port") from error
    return listener
