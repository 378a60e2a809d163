"""Telling the server of a new version: once, with what the trigger asks for, and never of a `dev`."""

from typing import Any

import pytest

from ctllm.flows import announcement
from ctllm.flows.announcement import PUBLISHED, announce
from ctllm.schemas.data_version import Contents, DataVersion, StateChange
from ctllm.schemas.errors import MissingPartError


def version(number: str) -> DataVersion:
    """`zh@number`, a curation."""
    contents = Contents(kind="curated", fingerprint="f", is_whole=True, counts={}, config={}, num_files=1, size_bytes=1)
    return DataVersion(
        name="zh", version=number, path="/data/zh", is_adopted=False, contents=contents, made_from=(),
        history=(StateChange(state="published", at="2026-11-26T00:00:00+00:00"),),
    )  # fmt: skip


def test_dev_is_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """`zh@dev` is replaced all the time: it triggers no training, with a server or without."""
    told: list[object] = []
    monkeypatch.setattr(announcement, "emit_event", told.append)
    announce(version("dev"))
    assert told == []


def test_a_version_is_announced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under its own resource, so that two versions are two events; the payload is what `train-version` takes."""
    told: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def emit(name: str, resource: dict[str, str], payload: dict[str, str]) -> Any:
        told.append((name, resource, payload))
        return object()

    monkeypatch.setattr(announcement, "emit_event", emit)
    announce(version("3"))
    resource = {
        "prefect.resource.id": "ctllm.version.zh.3",
        "prefect.resource.name": "zh@3",
        "ctllm.kind": "curated",
    }
    assert told == [(PUBLISHED, resource, {"version": "zh@3"})]


def test_a_version_that_nobody_heard_of_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server the version is there all the same: the message says that, and how to start the training."""
    monkeypatch.setattr(announcement, "emit_event", lambda *_, **__: None)
    with pytest.raises(MissingPartError, match=r"zh@3: published, but .*train-version/local -p version=zh@3"):
        announce(version("3"))
