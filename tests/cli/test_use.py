"""Commands on a trained model: generate, export, evaluate."""

import json
from pathlib import Path

from .conftest import Miniature, run_ctllm


def test_equal_seeds_write_equal_texts(miniature: Miniature, tmp_path: Path) -> None:
    """The same prompt and seed give the same text, on the screen and in the file."""
    texts = []
    for name in ("a.json", "b.json"):
        result = run_ctllm(
            "generate",
            miniature.workspace / "dpo",
            "--chat",
            "--prompt",
            "你好",
            "--max-new-tokens",
            "8",
            "--out",
            tmp_path / name,
        )
        assert result.returncode == 0, result.stderr
        texts.append(json.loads((tmp_path / name).read_text())["samples"])
    assert texts[0] == texts[1]
    assert texts[0][0]["prompt"] == "你好"


def test_unknown_format_is_refused(miniature: Miniature, tmp_path: Path) -> None:
    """There is one export format, and another name says so."""
    result = run_ctllm("export", miniature.workspace / "dpo", "--out", tmp_path / "e", "--format", "onnx")
    assert result.returncode == 2
    assert "--format onnx" in result.stderr


def test_evaluation_names_its_measures(miniature: Miniature) -> None:
    """The evaluation of a checkpoint holds bits per byte per lane, multiple choice and preference accuracy."""
    shown = json.dumps(json.loads((miniature.workspace / "dpo" / "evaluation.json").read_text()))
    for part in ("bits_per_byte", "mini_zh", "mini_en", "preference"):
        assert part in shown
