"""Commands on a trained model: generate, export, import, evaluate."""

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


def test_an_export_comes_back(miniature: Miniature, tmp_path: Path) -> None:
    """A model exported and imported by the commands writes what the original writes."""
    source, exported, imported = miniature.workspace / "dpo", tmp_path / "exported", tmp_path / "imported"
    assert run_ctllm("export", source, "--out", exported).returncode == 0
    result = run_ctllm("import", exported, "--out", imported)
    assert (result.returncode, result.stdout.strip()) == (0, str(imported / "checkpoints" / "step-00000000"))
    texts = []
    for name, model in (("a.json", source), ("b.json", imported)):
        arguments = ["--prompt", "今天", "--max-new-tokens", "8", "--out", tmp_path / name]
        assert run_ctllm("generate", model, *arguments).returncode == 0
        texts.append(json.loads((tmp_path / name).read_text())["samples"])
    assert texts[0] == texts[1]
    again = run_ctllm("import", exported, "--out", imported)
    assert (again.returncode, again.stderr.count("\n")) == (4, 1)


def test_an_import_without_a_tokenizer_says_so(miniature: Miniature, tmp_path: Path) -> None:
    """One sentence with the way out."""
    assert run_ctllm("export", miniature.workspace / "dpo", "--out", tmp_path / "exported").returncode == 0
    (tmp_path / "exported" / "tokenizer.model").unlink()
    result = run_ctllm("import", tmp_path / "exported", "--out", tmp_path / "imported")
    assert result.returncode == 3
    assert "pass --tokenizer with the SentencePiece model" in result.stderr
