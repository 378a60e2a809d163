"""Prefect's database is kept small."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ctllm.flows.prefect_database import database_file, delete_old_runs, vacuum


def test_vacuum_gives_space_back_and_loses_nothing(tmp_path: Path) -> None:
    """A file with freed pages shrinks while another connection holds it open; its rows stay."""
    path = tmp_path / "prefect.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as server:
        server.execute("PRAGMA journal_mode=WAL")
        server.execute("CREATE TABLE log (line TEXT)")
        server.executemany("INSERT INTO log VALUES (?)", [("x" * 1000,)] * 2000)
        server.execute("DELETE FROM log WHERE rowid > 10")
        before, after = vacuum(path)
        assert before > 1_000_000 > after
        assert server.execute("SELECT count(*) FROM log").fetchone() == (10,)


def test_the_file_is_that_of_this_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """PREFECT_HOME names it; without one, or on PostgreSQL, there is none."""
    monkeypatch.delenv("PREFECT_HOME", raising=False)
    assert database_file() is None
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    assert database_file() is None
    (tmp_path / "prefect.db").touch()
    assert database_file() == tmp_path / "prefect.db"


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_only_old_runs_that_ended_are_deleted() -> None:
    """A run that ended before the given time goes; one that ended after it and one that waits since long stay."""
    from prefect import flow
    from prefect.client.orchestration import get_client
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Completed, Running, Scheduled

    @flow
    def anything() -> None:
        """Never called: only its runs are looked at."""

    waiting = Scheduled(scheduled_time=datetime.now(UTC) - timedelta(days=50))
    with get_client(sync_client=True) as client:
        old, recent, late = (
            client.create_flow_run(anything, state=state).id for state in (Running(), Running(), waiting)
        )
        client.set_flow_run_state(old, Completed())
        between = datetime.now(UTC)
        client.set_flow_run_state(recent, Completed())
        assert delete_old_runs(ended_before=between) >= 1
        with pytest.raises(ObjectNotFound):
            client.read_flow_run(old)
        assert [client.read_flow_run(run).id for run in (recent, late)] == [recent, late]
