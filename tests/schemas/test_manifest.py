"""Manifests: a stage is finished when its manifest, its fingerprint and its files agree."""

from pathlib import Path

from ctllm.schemas.files import write_json
from ctllm.schemas.manifest import finish_stage, finished_stage


def finished(directory: Path, fingerprint: str = "f1") -> bool:
    """Whether the stage in `directory` counts as finished."""
    return finished_stage(str(directory), fingerprint=fingerprint) is not None


def test_stage_is_finished_only_with_manifest_fingerprint_and_files(tmp_path: Path) -> None:
    """No manifest, another fingerprint or a missing file each make a stage run again."""
    write_json(str(tmp_path / "sub" / "data.json"), [1])
    assert not finished(tmp_path)
    manifest = finish_stage(str(tmp_path), stage="s", fingerprint="f1", counts={"rows": 1}, seconds=0.5)
    assert list(manifest.files) == ["sub/data.json"]
    assert finished(tmp_path)
    assert not finished(tmp_path, fingerprint="f2")
    (tmp_path / "sub" / "data.json").unlink()
    assert not finished(tmp_path)
