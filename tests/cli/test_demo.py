"""The whole way through one command: what it leaves, what it says, and that nothing is done twice."""

import hashlib
import json
from collections import Counter
from pathlib import Path

from .conftest import ROOT, Miniature

EXPECTED = ROOT / "examples" / "corpus" / "expected.jsonl"

PRODUCTS = (
    "curated/report.html",
    "tokenizer/tokenizer.model",
    "tokens/manifest.json",
    "plan/manifest.json",
    "pretrain/summary.json",
    "sft/summary.json",
    "dpo/evaluation.json",
    "export/model.safetensors",
    "samples.json",
)


def digests(workspace: Path) -> dict[str, str]:
    """sha256 of the products that hold no wall time."""
    names = [
        path
        for pattern in ("**/*.safetensors", "**/*.bin", "**/*.parquet", "**/*.npy")
        for path in workspace.glob(pattern)
    ]
    return {
        path.relative_to(workspace).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(names)
    }


def test_every_product_is_there(miniature: Miniature) -> None:
    """Report, tokenizer, shards, plan, three trainings, evaluation, export and samples lie in the workspace."""
    assert [name for name in PRODUCTS if not (miniature.workspace / name).is_file()] == []


def test_closing_screen_sums_up(miniature: Miniature) -> None:
    """The last screen shows funnel, copies, losses before and after, a text, and where everything lies."""
    closing = miniature.output.split("what came out")[1]
    outcome = Counter(json.loads(line)["outcome"] for line in EXPECTED.read_text(encoding="utf-8").splitlines())
    kept, removed, failed = outcome["kept"], outcome["removed"], outcome["failed"]
    accounts = f"read {outcome.total()} = kept {kept} + removed {removed} + failed {failed}"
    losses = ("pretrain: loss", "pretrain: bits_per_byte_zh", "dpo: loss")
    for part in (accounts, "groups of copies", *losses, "春天来了", "report.html", "export"):
        assert part in closing


def test_second_run_repeats_nothing(miniature: Miniature) -> None:
    """The same command again skips every stage, trains no step and leaves the same bytes."""
    before = digests(miniature.workspace)
    ledger = (miniature.workspace / "pretrain" / "ledger.jsonl").read_text()
    result = miniature.again()
    assert result.returncode == 0, result.stderr
    assert "already finished: measure, pairs, lines, decide, publish" in result.stdout
    assert digests(miniature.workspace) == before
    assert (miniature.workspace / "pretrain" / "ledger.jsonl").read_text() == ledger
    assert [json.loads(line)["step"] for line in ledger.splitlines()] == [0, 1, 2]
