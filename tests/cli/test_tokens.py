"""Commands around tokens: what they show."""

import json
import re

from typer.testing import CliRunner

from ctllm.cli.main import app
from ctllm.model.step_explanation import explain_step

from .conftest import Miniature, run_ctllm


def test_tokenizer_inspect_shows_pieces(miniature: Miniature) -> None:
    """Every piece of a text is shown with its id, and the bytes a token stands for on average."""
    model = miniature.workspace / "tokenizer" / "tokenizer.model"
    shown = run_ctllm("tokenizer", "inspect", model, "--text", "春天 spring")
    assert shown.returncode == 0, shown.stderr
    assert "春" in shown.stdout
    assert "13 bytes" in shown.stdout


def test_tokenizer_inspect_measures_lanes(miniature: Miniature) -> None:
    """With a run: kinds of pieces and a line for each lane; --json holds the same figures in one object."""
    arguments = ("tokenizer", "inspect", miniature.workspace / "tokenizer", "--run", miniature.workspace / "curated")
    shown = run_ctllm(*arguments, "--documents", "5")
    assert shown.returncode == 0, shown.stderr
    for part in ("pieces, Han", "GB 2312 level 1", "bytes/token", "unused in these documents"):
        assert part in shown.stdout
    found = json.loads(run_ctllm(*arguments, "--documents", "5", "--json").stdout)
    assert {lane: each["changed_documents"] for lane, each in found["lanes"].items()} == {"code": 0, "en": 0, "zh": 0}
    assert sum(found["kinds"].values()) == found["vocab_size"] == 4096
    assert f"{found['lanes']['zh']['bytes_per_token']:.4g}" in shown.stdout


def test_plan_is_shown_lane_by_lane(miniature: Miniature) -> None:
    """The plan's table names lanes, tokens, epochs and held-out documents."""
    plan = miniature.output.split("\nplan ─")[1].split("\nconversations ─")[0]
    for part in ("held-out documents", "epochs", "zh", "en", "code", "sequences of 256 tokens"):
        assert part in plan


def test_a_plan_is_explained_source_by_source(miniature: Miniature) -> None:
    """With --explain: tokens, epochs and share of each source, and where padding comes from; shares add up to one."""
    out = miniature.workspace / "explained"
    config = "configs/plan/demo.yaml"
    shown = run_ctllm("plan", miniature.workspace / "tokens", "--out", out, "--config", config, "--explain")
    assert shown.returncode == 0, shown.stderr
    sources = shown.stdout.split("\nsources")[1].split("\npacking")[0]
    shares = [float(share) for share in re.findall(r"([\d.]+)%\s+│", sources)]
    assert len(shares) >= 3
    assert abs(sum(shares) - 100) < 0.1 * len(shares)
    assert "positions of padding" in shown.stdout


def test_a_step_is_explained(miniature: Miniature) -> None:
    """explain-step names the documents of a batch, and says that the ledger has the same batch."""
    run = miniature.workspace / "pretrain"
    shown = run_ctllm("explain-step", run, "1", "--documents", "3")
    assert shown.returncode == 0, shown.stderr
    assert "step 1: 2 sequences" in shown.stdout
    assert "as the ledger has it" in shown.stdout
    found = json.loads(run_ctllm("explain-step", run, "1", "--json").stdout)
    assert found["is_as_recorded"] is True
    assert sum(each["tokens"] for each in found["documents"]) == found["label_tokens"]
    refused = run_ctllm("explain-step", run, "1234")
    assert refused.returncode == 2
    assert "has steps 0 to 2" in refused.stderr


def test_a_document_is_traced(miniature: Miniature) -> None:
    """Trace names the steps and checkpoints of a document that explain-step has shown."""
    run = miniature.workspace / "pretrain"
    known = explain_step(str(run), 1).documents[0]
    result = CliRunner().invoke(app, ["trace", str(run), known.id])
    assert result.exception is None
    assert f"trained on in step 1, sequence {known.sequence}" in result.output
    assert "checkpoints that have seen it: step-00000002, step-00000003" in result.output
    (found,) = [
        json.loads(line)
        for line in CliRunner().invoke(app, ["trace", str(run), known.id, "--json"]).output.splitlines()
    ]
    assert 1 in [visit["step"] for visit in found["done"]]
