"""What is found below the directories that are given."""

import shutil
from pathlib import Path

import pytest

from ctllm.dashboards import discovery
from ctllm.dashboards.discovery import RunGone, Shelf
from ctllm.schemas.errors import InputError


@pytest.fixture
def runs(corpus_run: Path, training: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A curation, a training in a workspace, a broken curation, one being written; looked through at every question."""
    monkeypatch.setattr(discovery, "FRESH_S", 0.0)
    root = tmp_path / "runs"
    shutil.copytree(corpus_run, root / "good")
    shutil.copytree(training, root / "work" / "model" / "pretrain")
    (root / "work" / "model" / "pretrain" / "ledger.jsonl").touch()  # as if its last line was just written
    (root / "broken" / "stats").mkdir(parents=True)
    (root / "broken" / "manifest.json").write_text("{")
    (root / "begun" / "signals").mkdir(parents=True)
    (root / "tokens" / "documents").mkdir(parents=True)  # token shards, no run of this list
    shutil.copy(corpus_run / "manifest.json", root / "tokens")
    shutil.copy(corpus_run / "manifest.json", root / "begun")
    return root


def test_all_runs_are_listed_whatever_their_state(runs: Path) -> None:
    """Sound ones with their figures, others with the reason; one broken run hides no other."""
    lines = Shelf([runs]).lines()
    curations = {line["name"]: line for line in lines["curation"]}
    assert list(curations) == ["begun", "broken", "good"]
    assert "not valid JSON" in curations["broken"]["trouble"]
    assert "not finished" in curations["begun"]["trouble"]
    good = curations["good"]
    assert good["accounts"] == {"read": 370, "kept": 157, "removed": 200, "failed": 13}
    assert list(good["lanes"]) == ["zh", "en", "code"]
    assert sum(documents for documents, _ in good["lanes"].values()) == 157
    (training,) = lines["training"]
    assert (training["name"], training["step"], training["state"]) == ("work/model/pretrain", 60, "running")


def test_runs_come_and_go(runs: Path) -> None:
    """A run that appears is listed at the next look; one that is deleted is gone, which is not: never there."""
    shelf = Shelf([runs])
    shelf.lines()
    shutil.copytree(runs / "good", runs / "later" / "v2")
    assert shelf.path("curation", "later/v2") == runs.resolve() / "later" / "v2"
    shutil.rmtree(runs / "good")
    with pytest.raises(RunGone, match="good: is not there any more"):
        shelf.path("curation", "good")
    with pytest.raises(InputError, match="no curation run of this name"):
        shelf.path("curation", "never")
    assert "good" not in [line["name"] for line in shelf.lines()["curation"]]


@pytest.mark.parametrize(
    "name", ["..", "../good", "good/..", "/etc", "good/../good", "", ".", "good/", "broken/../../x\0"]
)
def test_names_are_looked_up_not_joined(runs: Path, name: str) -> None:
    """A name that is not exactly that of a run finds nothing, whatever path it spells."""
    with pytest.raises(InputError):
        Shelf([runs / "work"]).path("curation", name)
    with pytest.raises(InputError):
        Shelf([runs]).path("curation", name)


def test_links_are_not_followed(runs: Path, tmp_path: Path) -> None:
    """A link out of the directory, or in a circle, leads to no run."""
    outside = shutil.copytree(runs / "good", tmp_path / "outside" / "secret")
    (runs / "link").symlink_to(outside.parent)
    (runs / "work" / "circle").symlink_to(runs)
    names = [place.name for place in Shelf([runs]).places()]
    assert names == ["begun", "broken", "good", "work/model/pretrain"]


def test_depth_is_bounded(runs: Path) -> None:
    """A run deeper than five levels is not looked for."""
    shutil.copytree(runs / "work" / "model" / "pretrain", runs / "a" / "b" / "c" / "d" / "e")
    shutil.copytree(runs / "work" / "model" / "pretrain", runs / "a" / "b" / "c" / "d" / "x" / "f")
    names = [place.name for place in Shelf([runs]).places() if place.kind == "training"]
    assert names == ["a/b/c/d/e", "work/model/pretrain"]


def test_several_directories_keep_their_runs_apart(runs: Path, tmp_path: Path) -> None:
    """Names begin with the directory; two of one name are numbered; a directory that is itself a run has its name."""
    other = tmp_path / "other" / "runs"
    shutil.copytree(runs / "good", other / "good")
    names = [place.name for place in Shelf([runs, other, runs / "good"]).places()]
    assert names == [
        "good",
        "runs-1/begun",
        "runs-1/broken",
        "runs-1/good",
        "runs-1/work/model/pretrain",
        "runs-2/good",
    ]
