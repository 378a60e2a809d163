"""Prefect's own database kept small: old runs deleted, and SQLite's file given back to the disk."""

import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import httpx
from prefect.client.orchestration import get_client

BATCH = 50  # what the API deletes at once
LOCK_TIMEOUT_S = 60.0  # the server's transactions are shorter; its own patience is as long
ENDED = ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]


def delete_old_runs(*, ended_before: datetime) -> int:
    """Deletes flow runs that ended before that time, with their logs; gives how many."""
    chosen = {"state": {"type": {"any_": ENDED}}, "end_time": {"before_": ended_before.isoformat()}}
    deleted = 0
    with get_client(sync_client=True) as client:
        while found := _delete_some(client._client, chosen):  # no method of Prefect's client for it
            deleted += found
    return deleted


def _delete_some(client: httpx.Client, chosen: object) -> int:
    answer = client.post("/flow_runs/bulk_delete", json={"flow_runs": chosen, "limit": BATCH}, timeout=120)
    answer.raise_for_status()
    return len(answer.json()["deleted"])


def database_file() -> Path | None:
    """The SQLite file of a server on this machine; None where PostgreSQL or another machine holds the data."""
    home = os.environ.get("PREFECT_HOME")
    path = Path(home) / "prefect.db" if home else None
    return path if path and path.exists() else None


def vacuum(path: Path) -> tuple[int, int]:
    """Rewrites the file without its free pages; bytes before and after. The server waits meanwhile."""
    before = _size(path)
    with closing(sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None)) as database:
        database.execute("VACUUM")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return before, _size(path)


def _size(path: Path) -> int:
    """With the write-ahead log, which may be larger."""
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
