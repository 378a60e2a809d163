"""What retention deletes, and what it never does."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ctllm.flows import retention
from ctllm.flows.retention import delete, fates
from ctllm.schemas.data_version import Contents, DataVersion, Origin, StateChange
from ctllm.schemas.registry import Registry

LONG_AGO = datetime.now(UTC) - timedelta(days=100)


def add(registry: Registry, reference: str, *, day: int, made_from: str | None = None, path: str | None = None) -> Path:
    """A version published on a day after LONG_AGO, with one file; gives where it lies."""
    name, _, version = reference.partition("@")
    place = Path(path or registry.place_of(reference))
    place.mkdir(parents=True)
    (place / "data").write_text("x")
    contents = Contents(kind="curated", fingerprint="f", is_whole=True, counts={}, config={}, num_files=1, size_bytes=1)
    at = (LONG_AGO + timedelta(days=day)).isoformat()
    registry.add(
        DataVersion(
            name=name, version=version, path=str(place), is_adopted=False, contents=contents,
            made_from=(Origin(role="run", path=made_from),) if made_from else (),
            history=(StateChange(state="published", at=at),),
        )
    )  # fmt: skip
    return place


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry."""
    return Registry(tmp_path / "runs" / "registry")


def doomed(registry: Registry, *, keep_last: int = 1, min_age_days: float = 7) -> set[str]:
    """References of what goes."""
    return {
        each.version.reference
        for each in fates(registry, keep_last=keep_last, min_age_days=min_age_days)
        if each.is_deleted
    }


def test_the_newest_and_the_accepted_stay(registry: Registry) -> None:
    """Of each name the last N stay, and every accepted one; withdrawn ones do not count among the last."""
    for day in range(5):
        add(registry, f"zh@{day}", day=day)
    registry.set_state("zh@1", "accepted")
    registry.set_state("zh@4", "withdrawn")
    assert doomed(registry, keep_last=2) == {"zh@0", "zh@4"}


def test_what_a_kept_version_was_made_from_stays(registry: Registry) -> None:
    """However far back, and whether it was named as a version or as a path."""
    first = add(registry, "zh@1", day=0)
    add(registry, "zh@2", day=1)
    add(registry, "zh@3", day=2)
    add(registry, "tokens@1", day=3, made_from=str(first))
    add(registry, "tokens@2", day=4, made_from="zh@2")
    add(registry, "tokens@3", day=5, made_from="zh@3")
    add(registry, "model@1", day=6, made_from="tokens@1")
    assert doomed(registry) == {"zh@2", "tokens@2"}
    why = {each.version.reference: each.why for each in fates(registry, keep_last=1, min_age_days=7)}
    assert why["zh@1"] == "tokens@1 was made from it"


def test_young_and_foreign_versions_stay(registry: Registry, tmp_path: Path) -> None:
    """A version that a run may be reading stays, as do `dev` and what lies where others put it."""
    for day, reference in enumerate(("zh@1", "zh@dev", "zh@2")):
        add(registry, reference, day=day)
    add(registry, "zh@0", day=0, path=str(tmp_path / "elsewhere"))
    assert doomed(registry) == {"zh@1"}
    assert doomed(registry, min_age_days=1000) == set()


def test_a_killed_retention_is_finished_by_the_next(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record is written before the files go, so that nothing looks alive without files; leftovers go next time."""
    place = add(registry, "zh@1", day=0)
    add(registry, "zh@2", day=1)
    found = [each for each in fates(registry, keep_last=1, min_age_days=7) if each.is_deleted]

    def killed(_path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(retention, "delete_contents", killed)
        delete(registry, found)
    assert registry.find("zh@1").state == "deleted"
    assert place.exists()
    again = [each for each in fates(registry, keep_last=1, min_age_days=7) if each.is_deleted]
    assert [each.version.reference for each in again] == ["zh@1"]
    delete(registry, again)
    assert not place.exists()
    assert doomed(registry) == set()
    assert len(registry.find("zh@1").history) == 2
