"""Commands that train: what they show and refuse."""

from .conftest import Miniature, run_ctllm


def test_unknown_kind_of_chats_is_refused(miniature: Miniature) -> None:
    """Only conversations and preferences can be converted."""
    out = miniature.workspace / "nothing"
    result = run_ctllm("conversations", "--input", "x.jsonl", "--kind", "poems", "--out", out)
    assert result.returncode == 2
    assert "conversations, preferences" in result.stderr
