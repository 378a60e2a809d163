"""A curation on another runner loses a worker, then is killed whole, and must end in the bytes of the direct runner.

    python benchmarks/runner_drill.py FILE... --megabytes 500 --work DIR [--workers 2] -- --runner flink
    python benchmarks/runner_drill.py FILE... --work DIR -- --runner portable -- --job_endpoint=HOST:PORT

FILEs are JSON Lines with `text`, repeated as in `curation.py`. With half of the documents written one worker process
gets SIGKILL, with three quarters the command does. Prints one JSON line: how each attempt ended after how many seconds,
how many processes were left, and the files that differ.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from curation import RECOMMENDED, build_corpus

from ctllm.pipelines.worker_pool import WORKER_NAME
from ctllm.schemas.guard_config import GuardConfig
from ctllm.schemas.processes import session_members

TIMED = ("manifest.json", "_SUCCESS", "report.html")  # hold seconds


def main() -> None:
    """Builds the corpus, runs the drill and prints the line."""
    parser = argparse.ArgumentParser(description="kills a worker and a whole run, compares bytes")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--megabytes", type=float, default=500)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--workers", default="2")
    ours, _, runner = (" ".join(sys.argv[1:])).partition(" -- ")
    given = parser.parse_args(ours.split())
    paths, size = build_corpus(given.files, given.work / "corpus", num_bytes=int(given.megabytes * 1e6))
    direct, other = given.work / "direct", given.work / "other"
    command = [sys.executable, "-m", "ctllm.cli.main", "curate", str(RECOMMENDED), "--workers", given.workers]
    command += ["--input", str(given.work / "corpus")]
    # the corpus is mostly copies, of which a guard would make an end
    command += [f"--set=guard.{name}=1" for name in GuardConfig.model_fields if name.startswith("max_")]
    line: dict[str, Any] = {"benchmark": "runner_drill", "mb": round(size / 1e6), "splits": len(paths)}
    line["direct"] = attempt([*command, "--out", str(direct)], lambda _: None, out=direct)
    on_runner = [*command, "--out", str(other), *runner.split()]
    for name, share, victim in (("worker_killed", 0.5, kill_worker), ("run_killed", 0.75, kill_leader)):
        enough = int(share * len(paths))
        line[name] = attempt(on_runner, after_documents(other, enough, victim), out=other)
        if line[name]["exit"] == 0:  # the runner did without the worker
            line[name]["differ"] = differences(other, direct)
            shutil.rmtree(other)
    line["continued"] = attempt(on_runner, lambda _: None, out=other)
    line |= {"files": len(digests(direct)), "differ": differences(other, direct)}
    print(json.dumps(line))


def attempt(command: Sequence[str], disturb: Callable[[subprocess.Popen[bytes]], None], *, out: Path) -> dict[str, Any]:
    """Runs a command in a session of its own, disturbed; its exit code, seconds, finished documents, processes left."""
    started = time.monotonic()
    with (out.parent / f"{out.name}.log").open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        disturb(process)
        code = process.wait()
    deadline = time.monotonic() + 60
    while session_members(process.pid) and time.monotonic() < deadline:
        time.sleep(0.2)
    written = len(list((out / "documents").glob("part-*.parquet")))
    left = len(session_members(process.pid))
    return {"exit": code, "seconds": round(time.monotonic() - started), "splits_written": written, "processes": left}


def after_documents(out: Path, number: int, kill: Callable[[int], None]) -> Callable[[subprocess.Popen[bytes]], None]:
    """Waits until so many splits are written, then kills."""

    def disturb(process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None and len(list((out / "documents").glob("part-*.parquet"))) < number:
            time.sleep(0.05)
        kill(process.pid)

    return disturb


def kill_worker(leader: int) -> None:
    """SIGKILL to one worker process of the session."""
    for pid in session_members(leader):
        if Path(f"/proc/{pid}/comm").read_text().strip() == WORKER_NAME:
            os.kill(pid, signal.SIGKILL)
            return


def kill_leader(leader: int) -> None:
    """SIGKILL to the command itself."""
    os.kill(leader, signal.SIGKILL)


def differences(run: Path, other: Path) -> list[str]:
    """The files that are not in both with the same bytes."""
    return sorted({name for name, _ in digests(run).items() ^ digests(other).items()})


def digests(run: Path) -> dict[str, str]:
    """sha256 of every file that holds no seconds."""
    files = [path for path in run.rglob("*") if path.is_file() and path.name not in TIMED]
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


if __name__ == "__main__":
    main()
