"""`ctllm quality`: what the terminal shows of a training and of scores."""

from pathlib import Path

from typer.testing import CliRunner

from ctllm.cli.main import app
from tests.pipelines.conftest import BASE, menu_page, write_records


def test_train_and_score(tmp_path: Path) -> None:
    """A model is trained, its thresholds are shown, and it scores files by source."""
    bad = write_records(tmp_path / "bad.jsonl", [{"text": menu_page(index)} for index in range(40)])
    out = str(tmp_path / "model")
    options = [
        "--dim=8",
        "--epoch=20",
        "--buckets=1000",
        "--min-count=1",
        "--held-out-share=0.2",
        "--learning-rate=0.5",
    ]
    trained = CliRunner().invoke(
        app,
        ["quality", "train", "--positive", str(BASE / "zh"), "--negative", str(bad), "--out", out, *options],
        env={"COLUMNS": "200"},
        catch_exceptions=False,
    )
    assert trained.exit_code == 0
    assert "held-out documents" in trained.output
    assert "min_quality_score" in trained.output
    scored = CliRunner().invoke(
        app, ["quality", "score", str(bad), "--model", out], env={"COLUMNS": "200"}, catch_exceptions=False
    )
    assert scored.exit_code == 0
    assert "lowest" in scored.output
    assert "首页" in scored.output
    assert (tmp_path / "model" / "model.json").exists()
