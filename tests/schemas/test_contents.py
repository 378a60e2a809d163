"""What a directory holds, read off its manifests."""

import json
from pathlib import Path

import pytest

from ctllm.schemas.contents import find_contents, fingerprint_of, foreign_contents, read_contents
from ctllm.schemas.errors import InputError


def written(path: Path, files: dict[str, object]) -> Path:
    """A directory of JSON files."""
    for name, value in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(value))
    return path


TRAINED = {"step": 2, "label_tokens": 9, "num_parameters": 5, "last_loss": 1.5, "checkpoint": "elsewhere/step-00000002"}


def training(path: Path, *, finished: bool, weights: str = "w" * 64) -> Path:
    """The manifests of a pretraining."""
    return written(
        path,
        {
            "run.json": {"stage": "pretrain", "plan": "p"},
            "data.json": {"tokens": "/t", "plan": "/p"},
            "summary.json": TRAINED | {"finished": finished},
            "checkpoints/step-00000002/manifest.json": {"model.safetensors": weights},
        },
    )


def test_a_training_is_its_weights(tmp_path: Path) -> None:
    """Its fingerprint is that of the last checkpoint's weights, wherever it lies; with steps to go it is not whole."""
    found = read_contents(str(training(tmp_path / "a", finished=True)))
    assert (found.kind, found.fingerprint, found.is_whole) == ("training", "w" * 16, True)
    assert found.inputs == ("/t", "/p")
    assert found.num_files == 4
    assert found.size_bytes == sum(each.stat().st_size for each in (tmp_path / "a").rglob("*") if each.is_file())
    assert not read_contents(str(training(tmp_path / "b", finished=False))).is_whole


def test_times_are_no_part_of_a_fingerprint(tmp_path: Path) -> None:
    """Chat data made twice have one fingerprint, whatever time it took; other bytes have another."""
    manifest = {"stage": "conversations", "fingerprint": "x", "files": {"a": "1"}, "counts": {"kept": 1}}
    paths = [
        str(written(tmp_path / name, {"_SUCCESS": manifest | more}))
        for name, more in {"a": {"seconds": 1.0}, "b": {"seconds": 2.0}, "c": {"files": {"a": "2"}}}.items()
    ]
    one, two, other = map(fingerprint_of, paths)
    assert one == two != other


def test_what_no_stage_finished_is_refused(tmp_path: Path) -> None:
    """A directory without a manifest is nothing; it can be adopted as files, told apart by names and sizes."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.jsonl").write_text("{}")
    assert find_contents(str(tmp_path / "corpus")) is None
    with pytest.raises(InputError, match="ctllm runs adopt"):
        read_contents(str(tmp_path / "corpus"))
    before = foreign_contents(str(tmp_path / "corpus"))
    assert (before.kind, before.num_files, before.size_bytes) == ("files", 1, 2)
    (tmp_path / "corpus" / "a.jsonl").write_text("{ }")
    assert foreign_contents(str(tmp_path / "corpus")).fingerprint != before.fingerprint
    with pytest.raises(InputError, match="nowhere: not there"):
        foreign_contents(str(tmp_path / "nowhere"))
