"""What `ctllm judge` asks, whom, and who judges the answers."""

from typing import Any

from pydantic import Field

from ctllm.schemas.config import Config
from ctllm.schemas.endpoint_config import EndpointConfig


class JudgeConfig(Config):
    """The whole of `ctllm judge`."""

    questions: tuple[str, ...] = Field(
        min_length=1, description="files or globs: CHC-Bench Parquet, AlignBench, mt-bench-zh, CValues prompts"
    )
    answers: EndpointConfig = Field(description="the model that is judged")
    judge: EndpointConfig = Field(description="the model that judges")
    out: str = Field(description="directory: raw replies, answers, scores; the same command continues what was begun")
    baseline: str | None = Field(None, description="`out` of an earlier run, whose answers these are compared with")
    max_questions: int | None = Field(None, ge=1, description="per file, the first ones; null = all")
    max_answer_tokens: int = Field(1024, ge=1)
    answer_temperature: float = Field(0.0, ge=0, le=2)
    max_judge_tokens: int = Field(1024, ge=1)
    judge_temperature: float = Field(
        0.3, ge=0, le=2, description="above 0, so that judging twice tells how firm the judge is; chosen, untested"
    )


class JudgedCategory(Config):
    """Scores of one category of questions, or of all."""

    questions: int
    turns_judged: int
    """Turns with a usable score from both judgements."""
    score: float | None
    """Mean of both judgements, 1 to 10; null when nothing could be judged."""
    standard_error: float | None
    refusal_share: float
    """Answers that decline, by their words."""


class Agreement(Config):
    """How far two judgements of the same answers agree."""

    exact_share: float
    within_one_share: float
    mean_difference: float
    """Mean of |first - second|."""


class PairwiseResult(Config):
    """Against a baseline, each pair judged in both orders; it is won only in both."""

    pairs: int
    wins: int
    losses: int
    ties: int
    """Said to be, or won by whichever answer stood first."""
    undecided_by_position: int
    """Of the ties: the judge preferred a place, not an answer."""
    win_rate: float
    """(wins + ties / 2) / pairs."""


class JudgeResult(Config):
    """`judge.json`."""

    questions_digest: str
    model: str
    """As the server named it, where it did."""
    judge_model: str
    prompt: str
    """What the judge was told, and its digest."""
    prompt_digest: str
    config: dict[str, Any]
    overall: JudgedCategory
    categories: dict[str, JudgedCategory]
    agreement: Agreement | None
    pairwise: PairwiseResult | None
    answers_failed: int
    """No answer came after all tries; not judged."""
    judgements_failed: int
    """No reply of the judge came."""
    judgements_unreadable: int
    """A reply without a score."""

    def rows(self) -> list[tuple[str, str]]:
        """What was judged and its value, for tables."""
        rows = [(f"score, {name}", _value(each)) for name, each in self.categories.items()]
        rows.append(("score, all", _value(self.overall)))
        if self.agreement:
            agreement = self.agreement
            rows.append(("judged twice alike", f"{agreement.exact_share:.2f}"))
            rows.append(("at most one point apart", f"{agreement.within_one_share:.2f}"))
        if pairs := self.pairwise:
            value = f"{pairs.win_rate:.3f} ({pairs.wins} won, {pairs.losses} lost, {pairs.ties} ties)"
            rows.append((f"win rate against the baseline, {pairs.pairs} pairs", value))
        failed = self.answers_failed, self.judgements_failed, self.judgements_unreadable
        rows.append(("answers failed, judgements failed, unreadable", ", ".join(map(str, failed))))
        return rows


def _value(category: JudgedCategory) -> str:
    score = "none" if category.score is None else f"{category.score:.2f} ± {category.standard_error or 0:.2f}"
    return f"{score} ({category.questions} questions, {category.refusal_share:.2f} refused)"
