"""Commands that train: what they show and refuse."""

from .conftest import Miniature, run_ctllm


def test_tokenizer_inspect_shows_pieces(miniature: Miniature) -> None:
    """Every piece of a text is shown with its id, and the bytes a token stands for on average."""
    model = miniature.workspace / "tokenizer" / "tokenizer.model"
    shown = run_ctllm("tokenizer", "inspect", model, "--text", "春天 spring")
    assert shown.returncode == 0, shown.stderr
    assert "春" in shown.stdout
    assert "13 bytes" in shown.stdout


def test_plan_is_shown_lane_by_lane(miniature: Miniature) -> None:
    """The plan's table names lanes, tokens, epochs and held-out documents."""
    plan = miniature.output.split("\nplan ─")[1].split("\nconversations ─")[0]
    for part in ("held-out documents", "epochs", "zh", "en", "code", "sequences of 256 tokens"):
        assert part in plan


def test_unknown_kind_of_chats_is_refused(miniature: Miniature) -> None:
    """Only conversations and preferences can be converted."""
    out = miniature.workspace / "nothing"
    result = run_ctllm("conversations", "--input", "x.jsonl", "--kind", "poems", "--out", out)
    assert result.returncode == 2
    assert "conversations, preferences" in result.stderr
