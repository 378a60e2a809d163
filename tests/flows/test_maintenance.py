"""The flows that clean: what their run pages say."""

from pathlib import Path

import pytest

from ctllm.flows.maintenance import fate_table
from ctllm.flows.retention import Fate
from ctllm.schemas.data_version import Contents, DataVersion, StateChange
from ctllm.schemas.registry import Registry, now


def version(number: str, path: str) -> DataVersion:
    """`zh@number`, 2 MB."""
    contents = Contents(
        kind="curated", fingerprint="f", is_whole=True, counts={}, config={}, num_files=1, size_bytes=2_000_000
    )
    history = (StateChange(state="published", at=f"2025-01-0{number}T00:00:00+00:00"),)
    return DataVersion(name="zh", version=number, path=path, is_adopted=False, contents=contents, history=history)


def test_what_goes_stands_first() -> None:
    """The table names every version with its fate, its size and why."""
    table = fate_table(
        [Fate(version("1", "/a"), False, "accepted"), Fate(version("2", "/b"), True, "old")], verb="gone"
    )
    assert [(row["version"], row["fate"], row["MB"], row["why"]) for row in table] == [
        ("zh@2", "gone", 2.0, "old"),
        ("zh@1", "kept", 2.0, "accepted"),
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_retention_says_before_it_does(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The default only says which bytes would go; with dry_run off they are gone."""
    from ctllm.flows.maintenance import retention

    monkeypatch.setenv("CTLLM_REGISTRY", str(tmp_path / "registry"))
    registry = Registry.default()
    for number in ("1", "2"):
        place = Path(registry.place_of(f"zh@{number}"))
        place.mkdir(parents=True)
        registry.add(version(number, str(place)).model_copy(update={"contents": version(number, "").contents}))
    registry.add(version("3", str(tmp_path / "elsewhere")))
    assert now() > "2026"
    assert retention(keep_last=2) == 2_000_000
    assert Path(registry.place_of("zh@1")).exists()
    assert retention(keep_last=2, dry_run=False) == 2_000_000
    assert not Path(registry.place_of("zh@1")).exists()
    assert retention(keep_last=2, dry_run=False) == 0
