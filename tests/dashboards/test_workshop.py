"""Databases that are built beside the server."""

import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from ctllm.dashboards.queries import Filter
from ctllm.dashboards.workshop import NotReady, Workshop


def settled(workshop: Workshop, run: Path, *, within_s: float = 60.0) -> dict[str, Any]:
    """The state once nothing is being built any more."""
    deadline = time.monotonic() + within_s
    while (state := workshop.state(run))["state"] == "building":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return state


def test_a_run_is_built_once_and_opened(corpus_run: Path, tmp_path: Path) -> None:
    """Asked before it is built the run is not ready; then it answers, and another workshop finds it built."""
    with Workshop(tmp_path) as workshop:
        with pytest.raises(NotReady, match="being put together"):
            workshop.database(corpus_run)
        assert settled(workshop, corpus_run) == {"state": "ready"}
        assert workshop.database(corpus_run).count(Filter()) == 357
        assert workshop.database(corpus_run) is workshop.database(corpus_run)
    with Workshop(tmp_path) as again:
        assert again.state(corpus_run) == {"state": "ready"}


def test_a_run_that_cannot_be_built_says_why(corpus_run: Path, tmp_path: Path) -> None:
    """The reason names the file; mended, the same run is built at the next question."""
    run = shutil.copytree(corpus_run, tmp_path / "run")
    shard = sorted((run / "documents").glob("part-*.parquet"))[0]
    whole = shard.read_bytes()
    shard.write_bytes(whole[:100])
    with Workshop(tmp_path / "cache") as workshop:
        state = settled(workshop, run)
        assert state["state"] == "failed"
        assert shard.name in state["reason"]
        shard.write_bytes(whole)
        assert settled(workshop, run) == {"state": "ready"}


def test_few_databases_are_open(corpus_run: Path, tmp_path: Path) -> None:
    """Of many runs that were looked at the last three stay open, and each still answers."""
    with Workshop(tmp_path / "cache") as workshop:
        runs = [shutil.copytree(corpus_run, tmp_path / f"run-{number}") for number in range(4)]
        for run in runs:
            assert settled(workshop, run) == {"state": "ready"}
            assert workshop.database(run).count(Filter()) == 357
        first = workshop.database(runs[1])
        assert workshop.database(runs[0]).count(Filter()) == 357
        assert workshop.database(runs[1]) is not first or first.count(Filter()) == 357


def test_builds_end_with_the_workshop(corpus_run: Path, tmp_path: Path) -> None:
    """No process and no half of a database is left behind."""
    with Workshop(tmp_path) as workshop:
        assert workshop.state(corpus_run)["state"] == "building"
        (build,) = workshop._builds.values()
    assert build.process.poll() is not None
    assert [each for each in tmp_path.iterdir() if each.suffix == ".duckdb" and not each.name.startswith(".")] == []
