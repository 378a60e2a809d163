"""Builds the databases of runs in processes of their own, and keeps the last few open."""

import json
import subprocess
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctllm.dashboards.compaction import database_path
from ctllm.dashboards.queries import RunDatabase
from ctllm.schemas.config import parse_config
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import CtllmError
from ctllm.schemas.files import read_json

MAX_OPEN = 3  # each may take its memory limit
MAX_SEARCHES = 2


class NotReady(CtllmError):  # noqa: N818 - says what is so, as a person would
    """The database of a run is being built, or could not be."""


@dataclass
class _Build:
    """One build: how far it is, or why it failed."""

    process: subprocess.Popen[str]
    done: int = 0
    total: int = 0
    trouble: str | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class Workshop:
    """Databases of runs, by run directory. A context manager, which ends the builds and closes the files."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self._open: OrderedDict[Path, RunDatabase] = OrderedDict()
        self._builds: dict[Path, _Build] = {}
        self._lock = threading.Lock()
        self._searches = threading.Semaphore(MAX_SEARCHES)

    def __enter__(self) -> "Workshop":
        return self

    def __exit__(self, *_error: object) -> None:
        for build in self._builds.values():
            if build.process.poll() is None:
                build.process.terminate()
                build.process.wait()
        for database in self._open.values():
            database.close()

    def state(self, run: Path) -> dict[str, Any]:
        """`ready`, `building` with splits done and in total, or `failed` with the reason; starts what is not begun.

        Raises InputError for a run that has not decided.
        """
        path = database_path(run, cache=self._cache)
        with self._lock:
            if path.exists():
                self._builds.pop(path, None)
                return {"state": "ready"}
            build = self._builds.get(path)
            if build is None:
                build = self._builds[path] = self._begin(run)
            if build.ended.is_set():
                del self._builds[path]  # who asks again begins again
                return {"state": "failed", "reason": build.trouble or "ended without a database; try again"}
            return {"state": "building", "done": build.done, "total": build.total}

    def database(self, run: Path) -> RunDatabase:
        """The open database of the run as it is now. Raises NotReady until it is built, InputError without verdicts."""
        state = self.state(run)
        if state["state"] != "ready":
            raise NotReady(state.get("reason") or "the tables of this run are being put together")
        path = database_path(run, cache=self._cache)
        with self._lock:
            if path not in self._open:
                manifest = read_json(str(run / "manifest.json"))
                config = parse_config(manifest["config"], CurationConfig, origin="manifest.json")
                self._open[path] = RunDatabase(path, config)
                while len(self._open) > MAX_OPEN:
                    self._open.popitem(last=False)[1].close()
            self._open.move_to_end(path)
            return self._open[path]

    @contextmanager
    def searching(self) -> Iterator[None]:
        """A turn among the few searches that may go at once; the others wait."""
        with self._searches:
            yield

    def _begin(self, run: Path) -> _Build:
        command = [sys.executable, "-m", "ctllm.dashboards.compaction", str(run), str(self._cache)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        build = _Build(process)
        threading.Thread(target=_watch, args=(build,), daemon=True).start()
        return build


def _watch(build: _Build) -> None:
    for line in build.process.stdout or ():
        build.done, build.total = json.loads(line)
    errors = build.process.stderr.read().strip() if build.process.stderr else ""
    if build.process.wait() != 0:
        build.trouble = errors.rpartition("\n")[2] or f"ended with {build.process.returncode}"
    build.ended.set()
