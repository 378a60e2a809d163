"""Many files from one server into a directory: what is there is skipped, the rest comes over a few connections.

One file that is not there does not keep the others from coming; a refusal (401, 403), a full disk or an error of ours
does.
"""

import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ctllm.pipelines.fetch.download import Downloader
from ctllm.pipelines.fetch.ledger import Ledger, sole_writer
from ctllm.pipelines.fetch.rate import RateLimit
from ctllm.pipelines.fetch.remote import RemoteFile, checked_names
from ctllm.pipelines.fetch.server import Manners, RefusedError, Server
from ctllm.schemas.errors import InputError, OutputError, StageError
from ctllm.schemas.fetch_manifest import PARTIAL
from ctllm.schemas.progress import Progress, ProgressEvent, silent

STAGE = "fetch"
VERIFY = "verify"
REPORT_SECONDS = 0.2
NUM_NAMED = 3


@dataclass(frozen=True)
class FetchSummary:
    """What a fetch did, in files; `damaged` names files whose bytes had changed on disk and that came anew."""

    fetched: int
    skipped: int
    size_bytes: int
    damaged: tuple[str, ...] = ()


def fetch_files(
    files: Sequence[RemoteFile],
    *,
    server: Server,
    out: str | Path,
    manners: Manners,
    verify: bool = False,
    progress: Progress = silent,
) -> FetchSummary:
    """Brings `files` into the local directory `out`; finished ones are skipped, with `verify` only when intact.

    Raises InputError (not there, refused), StageError (some came, some failed), OutputError (disk, lock).
    """
    directory = Path(out)
    with sole_writer(directory):
        ledger = Ledger(directory)
        todo, damaged = _missing(checked_names(files), ledger, verify=verify, progress=progress)
        _check_room(todo, directory)
        tally = _Tally(files, todo, progress=progress)
        try:
            failures = _download_all(todo, server=server, ledger=ledger, manners=manners, tally=tally)
        finally:
            ledger.save()
    _raise_failures(failures, num_files=len(files))
    size_bytes = sum(ledger.entries[file.name].size_bytes for file in files)
    return FetchSummary(len(todo), len(files) - len(todo), size_bytes, tuple(damaged))


def _missing(
    files: Sequence[RemoteFile], ledger: Ledger, *, verify: bool, progress: Progress
) -> tuple[list[RemoteFile], list[str]]:
    """The files that must come, and the names of those among them that were there but damaged."""
    todo, damaged = [], []
    for number, file in enumerate(files, 1):
        is_here = ledger.has(file)
        if is_here and verify and not ledger.is_intact(file.name):
            damaged.append(file.name)
            ledger.forget(file.name)
            is_here = False
        if not is_here:
            todo.append(file)
        if verify:
            progress(ProgressEvent(VERIFY, number, len(files), "files"))
    return todo, damaged


def _check_room(todo: Sequence[RemoteFile], directory: Path) -> None:
    """Raises OutputError when the files, as far as their sizes are listed, do not fit on the disk."""
    partials = [directory / (file.name + PARTIAL) for file in todo]
    needed = sum(file.size_bytes or 0 for file in todo) - sum(path.stat().st_size for path in partials if path.exists())
    free = shutil.disk_usage(directory).free
    if needed > free:
        sizes = f"{needed / 1e9:,.1f} GB are to come, {free / 1e9:,.1f} GB are free"
        raise OutputError(f"{directory}: {sizes}; fetch fewer with --limit or choose another --out")


def _download_all(
    todo: Sequence[RemoteFile], *, server: Server, ledger: Ledger, manners: Manners, tally: "_Tally"
) -> list[InputError | StageError]:
    """What went wrong with single files; raises at once what would go wrong with all."""
    failures: list[InputError | StageError] = []
    rate = RateLimit(manners.rate_bytes_per_s, pause=manners.pause)
    with manners.client() as client:
        downloader = Downloader(client, server, manners, rate, on_bytes=tally.add_bytes, report=tally.say)

        def bring(file: RemoteFile) -> None:
            ledger.record(file.name, downloader.download(file, ledger.directory))
            tally.add_file()

        pool = ThreadPoolExecutor(manners.parallel, thread_name_prefix=STAGE)
        try:
            futures: list[Future[None]] = [pool.submit(bring, file) for file in todo]
            for future in as_completed(futures):
                error = future.exception()
                if isinstance(error, RefusedError) or not isinstance(error, InputError | StageError | None):
                    raise error
                if error is not None:
                    failures.append(error)
        finally:
            tally.stop()
            pool.shutdown(cancel_futures=True)
    return failures


def _raise_failures(failures: Sequence[InputError | StageError], *, num_files: int) -> None:
    if len(failures) == 1:
        raise failures[0]
    if failures:
        named = "\n".join(str(error) for error in failures[:NUM_NAMED])
        more = f"\nand {len(failures) - NUM_NAMED} more" if len(failures) > NUM_NAMED else ""
        kind = InputError if all(isinstance(error, InputError) for error in failures) else StageError
        raise kind(f"{len(failures)} of {num_files} files did not come:\n{named}{more}")


class StoppedError(Exception):
    """Another file failed in a way that ends the whole fetch; this one stays as it is and can be resumed."""


class _Tally:
    """Files and bytes that are here, reported a few times a second; every thread of the fetch adds to it."""

    def __init__(self, files: Sequence[RemoteFile], todo: Sequence[RemoteFile], *, progress: Progress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._num_files, self._files = len(files), len(files) - len(todo)
        sizes = [file.size_bytes for file in todo]
        self._total_bytes = sum(size for size in sizes if size is not None) if None not in sizes else None
        self._bytes = 0
        self._stopped = False
        self._reported_at = float("-inf")
        self._started = time.monotonic()
        self._report(self._num_files == self._files)

    def add_bytes(self, num_bytes: int) -> None:
        """Counts bytes. Raises StoppedError when the fetch is ending."""
        if self._stopped:
            raise StoppedError("the fetch is ending")
        with self._lock:
            self._bytes += num_bytes
        self._report(False)

    def add_file(self) -> None:
        """Counts a whole file."""
        with self._lock:
            self._files += 1
        self._report(True)

    def say(self, message: str) -> None:
        """Shows why something is repeated."""
        self._report(True, message)

    def stop(self) -> None:
        """Makes every thread that still downloads end at its next bytes."""
        self._stopped = True

    def _report(self, at_once: bool, message: str = "") -> None:
        with self._lock:
            now = time.monotonic()
            if not at_once and now - self._reported_at < REPORT_SECONDS:
                return
            self._reported_at = now
            megabytes = self._bytes / 1e6
            values = {"MB": megabytes, "MB_per_s": megabytes / max(now - self._started, 1e-3)}
            if self._total_bytes is not None:
                values["of_MB"] = self._total_bytes / 1e6
            self._progress(ProgressEvent(STAGE, self._files, self._num_files, "files", values, message))
