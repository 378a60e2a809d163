"""Secrets planted where users keep them turn up in no log, manifest, report, registry, parameter or database."""

import json
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("prefect_server")]

PLANTED = {
    "OPENAI_API_KEY": "sk-PLANTED-1",
    "AWS_SECRET_ACCESS_KEY": "PLANTED-2",
    "FSSPEC_S3_SECRET": "PLANTED-3",
    "CTLLM_NOTIFY_URL": "http://127.0.0.1:9/PLANTED-4",
    "PREFECT_API_AUTH_STRING": "",  # would lock us out of the test's server; the password of docker is tested there
}


def holding(root: Path, part: bytes) -> list[str]:
    """Files below `root` that hold the bytes."""
    return [str(path) for path in root.rglob("*") if path.is_file() and part in path.read_bytes()]


def test_nothing_that_a_flow_writes_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A curation that is published, one that fails, and a notification that is not delivered."""
    from prefect.logging.handlers import APILogHandler
    from prefect.settings import get_current_settings

    from ctllm.flows.notification import notify
    from ctllm.flows.stages import curate

    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CTLLM_REGISTRY", str(tmp_path / "runs" / "registry"))
    source = tmp_path / "docs.jsonl"
    source.write_text(
        json.dumps({"id": "MARK-of-a-document", "text": "春天来了，河边的柳树发芽了。" * 9}, ensure_ascii=False)
    )
    config = "configs/curation/demo.yaml"
    assert curate(inputs=[str(source)], out="zh@1", config=config, return_state=True).is_completed()
    nowhere = str(tmp_path / "nowhere.jsonl")
    assert curate(inputs=[nowhere], out=str(tmp_path / "b"), config=config, return_state=True).is_failed()
    notify("event", "text")
    APILogHandler().flush()
    database = get_current_settings().server.database.connection_url
    assert database
    home = Path(database.get_secret_value().partition("///")[2]).parent
    assert holding(tmp_path, b"MARK-of-a-document")  # the search finds what is there
    assert holding(home, b"nowhere.jsonl: ")  # the log of the run that failed
    for root in (tmp_path, home):
        assert holding(root, b"PLANTED") == []
