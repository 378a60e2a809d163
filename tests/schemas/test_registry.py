"""The registry of data versions: immutable, safe for two writers, with a pointer that comes back by itself."""

import json
import multiprocessing
from pathlib import Path

import pytest

from ctllm.schemas.data_version import Contents, DataVersion, Origin, StateChange
from ctllm.schemas.errors import ConfigError, InputError, OutputError
from ctllm.schemas.registry import Registry, now


def curated(path: Path, *, digest: str = "aa") -> Path:
    """The manifests of a curation, which is all that a registry reads."""
    (path / "curated").mkdir(parents=True)
    (path / "manifest.json").write_text(json.dumps({"inputs": [], "config": {}}))
    success = {"files": {"zh/part-00000.parquet": digest}, "counts": {"kept": 3}}
    (path / "curated" / "_SUCCESS").write_text(json.dumps(success))
    return path


def version(
    number: str, path: Path | str, *, fingerprint: str = "f", made_from: tuple[Origin, ...] = ()
) -> DataVersion:
    """`zh@number` at `path`."""
    contents = Contents(
        kind="curated", fingerprint=fingerprint, is_whole=True, counts={}, config={}, num_files=1, size_bytes=1
    )
    history = (StateChange(state="published", at=now()),)
    return DataVersion(
        name="zh", version=number, path=str(path), is_adopted=False, contents=contents, made_from=made_from,
        history=history,
    )  # fmt: skip


def test_a_published_version_never_changes(tmp_path: Path) -> None:
    """The same again is no change, other data under the same version are refused; `dev` is replaced."""
    registry = Registry(tmp_path / "registry")
    first = registry.add(version("1", "/data/1"))
    assert registry.add(version("1", "/data/1")) == first
    for other in (version("1", "/data/1", fingerprint="g"), version("1", "/data/elsewhere")):
        with pytest.raises(OutputError, match=r"zh@1: published at .*give this another version, or `dev`"):
            registry.add(other)
    assert registry.find("zh@1") == first
    registry.add(version("dev", "/data/dev"))
    registry.add(version("dev", "/data/dev", fingerprint="g"))
    assert [each.contents.fingerprint for each in registry.versions("zh")] == ["f", "g"]


def test_rejecting_brings_the_version_before_back(tmp_path: Path) -> None:
    """The accepted version is the one accepted last that is still accepted; reasons stay with the rejected one."""
    registry = Registry(tmp_path)
    assert registry.accepted("zh") is None
    for number in ("1", "2", "3"):
        registry.add(version(number, f"/data/{number}"))
    registry.set_state("zh@2", "accepted")
    registry.set_state("zh@1", "accepted")
    registry.set_state("zh@3", "accepted")
    registry.set_state("zh@3", "rejected", reasons=["bits per byte 2.6, at most 2.5"])
    accepted = registry.accepted("zh")
    assert accepted
    assert accepted.reference == "zh@1"
    rejected = registry.find("zh@3")
    assert [each.state for each in rejected.history] == ["published", "accepted", "rejected"]
    assert rejected.history[-1].reasons == ("bits per byte 2.6, at most 2.5",)


def test_what_cannot_be_used_is_refused_with_its_reason(tmp_path: Path) -> None:
    """A withdrawn version is refused wherever it is read, and never accepted again; an unknown one names the known."""
    registry = Registry(tmp_path)
    registry.add(version("1", "/data/1"))
    registry.set_state("zh@1", "withdrawn", reasons=["licence"])
    with pytest.raises(InputError, match=r"zh@1: withdrawn at .*\(licence\)"):
        registry.locate("zh@1", warn=print)
    with pytest.raises(InputError, match="cannot be accepted any more"):
        registry.set_state("zh@1", "accepted")
    with pytest.raises(InputError, match=r"zh@2: not registered .*known: zh@1"):
        registry.find("zh@2")
    with pytest.raises(ConfigError, match="write name@version"):
        registry.find("ZH@2")
    assert registry.locate("some/path", warn=print) == "some/path"


def test_drift_warns_and_does_not_stop(tmp_path: Path) -> None:
    """Data that are no longer what was published are named with both fingerprints; the path is still given."""
    registry = Registry(tmp_path / "registry")
    place = curated(tmp_path / "one")
    from ctllm.schemas.contents import read_contents

    made = version("1", place).model_copy(update={"contents": read_contents(str(place))})
    registry.add(made)
    warnings: list[str] = []
    assert registry.locate("zh@1", warn=warnings.append) == str(place)
    assert warnings == []
    (place / "curated" / "_SUCCESS").write_text(json.dumps({"files": {"other": "bb"}, "counts": {}}))
    assert registry.locate("zh@1", warn=warnings.append) == str(place)
    assert len(warnings) == 1
    assert made.contents.fingerprint in warnings[0]


def _publish_some(root: str, writer: int) -> None:
    registry = Registry(Path(root))
    for number in range(20):
        registry.add(version(f"{writer}.{number}", f"/data/{writer}/{number}"))


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    """Processes that publish under one name at the same time all find their versions there afterwards."""
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_publish_some, args=(str(tmp_path), number)) for number in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    assert len(Registry(tmp_path).versions("zh")) == 40


def test_one_process_makes_a_version(tmp_path: Path) -> None:
    """A version that is being made is refused to a second maker, and free again when the first ends."""
    registry = Registry(tmp_path)
    with (
        registry.building("zh@1"),
        pytest.raises(OutputError, match="zh@1: another process is making it"),
        Registry(tmp_path).building("zh@1"),
    ):
        pass
    with registry.building("zh@1"):
        pass


def test_dependents_are_found_by_version_and_by_path(tmp_path: Path) -> None:
    """What was made from a version, whether it was named as a version or as its directory."""
    registry = Registry(tmp_path)
    source = registry.add(version("1", "/data/1"))
    by_name = Origin(role="run", path="zh@1")
    by_path = Origin(role="run", path="/data/1")
    registry.add(version("2", "/data/2", made_from=(by_name,)))
    registry.add(version("3", "/data/3", made_from=(by_path,)))
    registry.add(version("4", "/data/4", made_from=(Origin(role="run", path="/data/10"),)))
    assert [each.version for each in registry.dependents(source)] == ["2", "3"]


def test_the_registry_is_beside_the_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`runs/registry` here or where CTLLM_REGISTRY says; what a stage makes lies beside it; a URL is refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CTLLM_REGISTRY", raising=False)
    assert Registry.default().root == tmp_path / "runs" / "registry"
    assert Registry.default().place_of("zh@1") == str(tmp_path / "runs" / "zh" / "1")
    monkeypatch.setenv("CTLLM_REGISTRY", "gs://bucket/registry")
    with pytest.raises(ConfigError, match="must be a local directory"):
        Registry.default()
