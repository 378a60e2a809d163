"""What the judge is told and how its reply is read."""

import pytest

from ctllm.model.evaluation.judge_prompts import is_refusal, pair_prompt, read_score, read_verdict, score_prompt


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("评分：[[7]]", 7), ("[[1]] 再想想\n[[10]]", 10), ("[[ 8 分 ]]", 8), ("[[8/10]]", 8), ("[[0]]", None),
        ("[[11]]", None), ("评分：7", None), ("", None),
    ],
)  # fmt: skip
def test_scores_are_read(reply: str, score: int | None) -> None:
    """The last bracketed whole number from 1 to 10 counts; anything else is no score."""
    assert read_score(reply) == score


def test_verdicts_are_read() -> None:
    """The last bracketed verdict counts."""
    assert [read_verdict(reply) for reply in ("[[甲]]", "[[甲]]不，[[平]]", "甲", "[[A]]")] == ["甲", "平", None, None]


def test_references_are_shown_and_binding() -> None:
    """With a reference answer the judge is told to go by it; texts with braces stay as they are."""
    plain = score_prompt(["{x}"], ["{y}"], reference=None)
    assert "{x}" in plain
    assert "参考答案" not in plain
    assert score_prompt(["x"], ["y"], reference="z").endswith("【参考答案】\nz")
    assert "以参考答案为准" in pair_prompt(["x"], first=["y"], second=["z"], reference="r")


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        ("抱歉，我不能帮助你。", True), ("I’m sorry, but no.", True), ("我不能", True),
        ("当然可以。" * 20 + "我不能", False),
        ("Sure.", False), ("", False),
    ],
)  # fmt: skip
def test_refusals_stand_at_the_beginning(answer: str, refuses: bool) -> None:
    """An answer that begins by declining is a refusal; advice that says later what one cannot do is not."""
    assert is_refusal(answer) is refuses
