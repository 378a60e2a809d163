"""Data versions through the command, on a finished workspace."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ctllm.cli.main import app
from ctllm.model.step_explanation import explain_step

from .conftest import Miniature

KINDS = {"zh": "curated", "tok": "tokenizer", "tokens": "tokens", "plan": "plan", "model": "training"}
DIRECTORIES = {"zh": "curated", "tok": "tokenizer", "tokens": "tokens", "plan": "plan", "model": "pretrain"}


def ctllm_runs(*arguments: str | Path) -> Result:
    """`ctllm runs ...` in this process."""
    return CliRunner().invoke(app, ["runs", *map(str, arguments)])


@pytest.fixture(scope="module", autouse=True)
def published(miniature: Miniature, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Every result of the workspace as a version 1."""
    os.environ["CTLLM_REGISTRY"] = str(tmp_path_factory.mktemp("registry"))
    os.environ["COLUMNS"] = "250"
    for name, directory in DIRECTORIES.items():
        result = ctllm_runs("publish", f"{name}@1", miniature.workspace / directory, "--from", "input=corpus.jsonl")
        assert result.exception is None, result.output
    yield
    del os.environ["CTLLM_REGISTRY"], os.environ["COLUMNS"]


def test_versions_are_listed_with_what_is_not_registered(miniature: Miniature) -> None:
    """Every kind of result is recognised; those that nobody published stand below with their paths."""
    found = json.loads(ctllm_runs("ls", miniature.workspace, "--json").output)
    assert {each["name"]: each["contents"]["kind"] for each in found["versions"]} == KINDS
    assert all(each["contents"]["size_bytes"] > 0 for each in found["versions"])
    names = {Path(each["path"]).name: each["contents"]["kind"] for each in found["unregistered"]}
    assert names == {
        "conversations": "conversations",
        "preferences": "conversations",
        "sft": "training",
        "dpo": "training",
    }
    shown = ctllm_runs("ls", miniature.workspace).output
    assert "zh@1" in shown
    assert "read" in shown


def test_a_version_is_shown_with_its_funnel_and_its_products(miniature: Miniature) -> None:
    """Show names inputs, counts and what was made from it: a plan is made from token shards."""
    assert ctllm_runs("publish", "plan@2", miniature.workspace / "plan", "--from", "tokens=tokens@1").exception is None
    shown = ctllm_runs("show", "tokens@1").output
    assert "plan@2 (plan, published)" in shown
    assert "model@1 (training, published)" in shown  # found by the paths in its manifest
    funnel = ctllm_runs("show", "zh@1").output
    assert "count: kept" in funnel
    assert "duplicate" in funnel


def test_two_versions_are_compared(miniature: Miniature) -> None:
    """Only what differs is shown: keys of the config, counts, the fingerprint; a version equals its directory."""
    assert "the same kind" in ctllm_runs("diff", "model@1", miniature.workspace / "pretrain").output
    differing = json.loads(ctllm_runs("diff", "model@1", miniature.workspace / "sft", "--json").output)["differs"]
    assert {"fingerprint", "count: label_tokens"} <= set(differing)
    assert "kind" not in differing


def test_a_url_leads_to_the_checkpoints_that_saw_it(miniature: Miniature) -> None:
    """Kept by the curation, tokenized, trained on; the checkpoints after its step have seen it."""
    known = explain_step(str(miniature.workspace / "pretrain"), 1).documents[0]
    sightings = json.loads(ctllm_runs("trace", known.id, "--json").output)["sightings"]
    by_version = {each["reference"]: each for each in sightings}
    assert by_version["zh@1"]["outcome"] == "kept"
    assert by_version["tokens@1"]["outcome"] == "tokenized"
    assert by_version["model@1"]["outcome"] == "trained on"
    assert by_version["model@1"]["checkpoints"] == ["step-00000002", "step-00000003"]
    refused = ctllm_runs("trace", "https://example.org/nowhere")
    assert "no registered version holds" in str(refused.exception)


def test_a_withdrawn_version_is_refused_everywhere() -> None:
    """After withdraw, commands that read it end with its reason, and what was made from it is named."""
    assert "accepted of tok: tok@1" in ctllm_runs("accept", "tok@1").output
    shown = ctllm_runs("withdraw", "tok@1", "--reason", "wrong licence").output
    assert "accepted of tok: none" in shown
    result = CliRunner().invoke(app, ["tokenizer", "inspect", "tok@1"])
    assert "withdrawn" in str(result.exception)
    assert "wrong licence" in str(result.exception)


def test_data_of_others_are_adopted(tmp_path: Path) -> None:
    """A file that no stage made is registered as it is; without a manifest it cannot be published."""
    (tmp_path / "corpus.jsonl").write_text("{}\n")
    assert "published as" not in ctllm_runs("adopt", "raw@1", tmp_path / "corpus.jsonl").output
    found = json.loads(ctllm_runs("show", "raw@1", "--json").output)
    assert (found["is_adopted"], found["contents"]["kind"]) == (True, "files")
    assert "no finished stage" in str(ctllm_runs("publish", "raw@2", tmp_path).exception)
    assert "role=path" in str(ctllm_runs("adopt", "raw@3", tmp_path, "--from", "x").exception)
