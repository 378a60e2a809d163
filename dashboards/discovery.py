"""Which curation runs and training runs lie below some directories, each with the line that a list shows of it.

Directories are looked through to a stated depth; links out of them are not followed. What cannot be read is listed with
the reason, so one broken run hides no other.
"""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pyarrow.compute as pc

from ctllm.dashboards.ledger import training_line
from ctllm.schemas.document import LANES
from ctllm.schemas.errors import CtllmError, InputError
from ctllm.schemas.files import read_json, read_parquet
from ctllm.schemas.manifest import RunManifest, read_manifest
from ctllm.schemas.training_run import LEDGER

MAX_DEPTH = 5  # of end-to-end workspaces two levels below the directory that is given, and some more
MAX_DIRECTORIES = 20_000  # looked into; a home directory given by mistake ends here
FRESH_S = 2.0
STATISTICS = ("stats.json", "funnel.parquet", "rules.parquet", "histograms.parquet", "samples.parquet")

Kind = Literal["curation", "training"]


@dataclass(frozen=True)
class Place:
    """One run: what it is called in addresses, and where it lies."""

    name: str
    kind: Kind
    path: Path


class RunGone(InputError):  # noqa: N818 - says what happened, as a person would
    """A run that was there was deleted or moved."""


class Shelf:
    """The runs below `roots`, looked for again when the last look is older than FRESH_S. Names are looked up only."""

    def __init__(self, roots: Sequence[Path]) -> None:
        whole = list(dict.fromkeys(root.resolve() for root in roots))
        names = [root.name for root in whole]
        self._roots = {
            root: "" if len(whole) == 1 else f"{root.name}/" if names.count(root.name) == 1 else f"{root.name}-{at}/"
            for at, root in enumerate(whole, start=1)
        }
        self._places: dict[tuple[Kind, str], Place] = {}
        self._known: set[tuple[Kind, str]] = set()
        self._seen = float("-inf")
        self._lines: dict[Path, tuple[object, dict[str, Any]]] = {}

    def places(self) -> list[Place]:
        """Every run that is there now, by name."""
        if time.monotonic() - self._seen > FRESH_S:
            found = [place for root, prefix in self._roots.items() for place in _found(root, prefix=prefix)]
            self._places = {(place.kind, place.name): place for place in found}
            self._known |= self._places.keys()
            self._seen = time.monotonic()
        return sorted(self._places.values(), key=lambda place: place.name)

    def path(self, kind: Kind, name: str) -> Path:
        """Where the run called `name` lies. Raises RunGone when it was there, InputError when it never was."""
        self.places()
        place = self._places.get((kind, name))
        if place is not None and (place.path / MARKS[kind]).is_file():
            return place.path
        if (kind, name) in self._known:
            raise RunGone(f"{name}: is not there any more")
        raise InputError(f"{name!r}: no {kind} run of this name")

    def lines(self) -> dict[Kind, list[dict[str, Any]]]:
        """A line for each run; one that cannot be read has `name`, `date` and `trouble`."""
        result: dict[Kind, list[dict[str, Any]]] = {"curation": [], "training": []}
        for place in self.places():
            result[place.kind].append(self._line(place))
        return result

    def _line(self, place: Place) -> dict[str, Any]:
        base = {"name": place.name, "date": _modified(place)}
        read = curation_line if place.kind == "curation" else training_line
        state = (
            base["date"],
            _modified_at(place.path / "stats" / "stats.json"),
            _modified_at(place.path / "summary.json"),
        )
        known = self._lines.get(place.path)
        if place.kind == "curation" and known is not None and known[0] == state:
            return known[1]
        try:
            line = base | read(place.path)
        except (CtllmError, OSError, ValueError, KeyError, TypeError) as error:
            line = base | {"trouble": str(error) or type(error).__name__}
        self._lines[place.path] = (state, line)
        return line


MARKS: dict[Kind, str] = {"curation": "manifest.json", "training": LEDGER}
"""The file that makes a directory a run."""


def _found(root: Path, *, prefix: str) -> Iterator[Place]:
    """Runs in and below `root`, their names after `prefix`; below a curation run nothing is looked for."""
    queue, looked_into = [(root, 0)], 0
    while queue and looked_into < MAX_DIRECTORIES:
        directory, depth = queue.pop(0)
        looked_into += 1
        try:
            entries = sorted(os.scandir(directory), key=lambda each: each.name)
        except OSError:
            continue
        names = {each.name for each in entries}
        inner = directory.relative_to(root).as_posix()
        name = prefix + inner if directory != root else prefix.rstrip("/") or root.name
        if LEDGER in names:
            yield Place(name, "training", directory)
        elif "manifest.json" in names and names & {"signals", "verdicts", "stats"}:  # token shards have documents too
            yield Place(name, "curation", directory)
            continue  # thousands of shards lie below, and no run
        if depth < MAX_DEPTH:
            inside = (each for each in entries if each.is_dir(follow_symlinks=False) and not each.name.startswith("."))
            queue += [(directory / each.name, depth + 1) for each in inside]


def curation_line(run: Path) -> dict[str, Any]:
    """What a list shows of a curation: accounts, lanes, tokens kept. Raises InputError when it has not ended."""
    manifest = read_manifest(str(run / "manifest.json"), RunManifest, made_by="ctllm curate")
    shown = {"run_id": manifest.run_id, "stages": list(manifest.stages)}
    missing = [name for name in STATISTICS if not (run / "stats" / name).is_file()]
    if missing:
        ended = ", ".join(manifest.stages) or "no stage"
        raise InputError(f"not finished: {ended} ended, stats/{missing[0]} is not there")
    accounts = read_json(str(run / "stats" / "stats.json"))["accounts"]
    funnel = read_parquet(str(run / "stats" / "funnel.parquet"))
    kept = funnel.filter(pc.equal(funnel["outcome"], "kept"))
    totals = kept.group_by("lane").aggregate([("documents", "sum"), ("tokens", "sum")]).to_pylist()
    lanes = {row["lane"]: [row["documents_sum"], row["tokens_sum"]] for row in totals}
    return {
        **shown,
        "accounts": accounts,
        "lanes": {lane: lanes[lane] for lane in LANES if lane in lanes},
        "tokens": sum(tokens for _, tokens in lanes.values()),
        "sources": len(set(funnel["source"].to_pylist())),
        "seconds": sum(stage.get("seconds", 0.0) for stage in manifest.stages.values()),
        "guard": manifest.config.get("guard", {}),
    }


def _modified(place: Place) -> float:
    return _modified_at(place.path / MARKS[place.kind])


def _modified_at(path: Path) -> float:
    """Seconds since 1970; 0 where there is nothing."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
