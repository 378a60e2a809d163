"""What a judged run says in a table."""

from ctllm.schemas.judge_config import Agreement, JudgedCategory, JudgeResult, PairwiseResult

WHOLE = JudgedCategory(questions=3, turns_judged=3, score=6.5, standard_error=0.25, refusal_share=1 / 3)
NONE = JudgedCategory(questions=1, turns_judged=0, score=None, standard_error=None, refusal_share=0.0)


def result(**changes: object) -> JudgeResult:
    """A result of two categories."""
    fields = {
        "questions_digest": "q", "model": "m", "judge_model": "j", "prompt": "p", "prompt_digest": "d", "config": {},
        "overall": WHOLE, "categories": {"写作": WHOLE, "数学": NONE}, "agreement": None, "pairwise": None,
        "answers_failed": 1, "judgements_failed": 2, "judgements_unreadable": 3,
    }  # fmt: skip
    return JudgeResult.model_validate({**fields, **changes})


def test_rows_say_what_could_not_be_judged() -> None:
    """A category without a score says so instead of 0, and failures have a line of their own."""
    rows = dict(result().rows())
    assert rows["score, 写作"] == "6.50 ± 0.25 (3 questions, 0.33 refused)"
    assert rows["score, 数学"] == "none (1 questions, 0.00 refused)"
    assert rows["answers failed, judgements failed, unreadable"] == "1, 2, 3"
    assert len(rows) == 4


def test_agreement_and_pairs_are_shown_where_they_are() -> None:
    """Half a tie counts as half a win."""
    pairs = PairwiseResult(pairs=4, wins=2, losses=1, ties=1, undecided_by_position=1, win_rate=0.625)
    agreement = Agreement(exact_share=0.5, within_one_share=1.0, mean_difference=0.5)
    rows = dict(result(agreement=agreement, pairwise=pairs).rows())
    assert rows["win rate against the baseline, 4 pairs"] == "0.625 (2 won, 1 lost, 1 ties)"
    assert (rows["judged twice alike"], rows["at most one point apart"]) == ("0.50", "1.00")
