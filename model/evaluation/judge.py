"""LLM as a judge: answers of one OpenAI-compatible server, scored 1 to 10 twice by another, compared with a baseline.

    answers.jsonl          raw replies of the model (a cache: the same command asks only what is missing)
    judgements.jsonl       raw replies of the judge, with what it was told
    judged.parquet         a row per turn: question, answer, both scores
    judge.json             means, agreement, win rate; schema JudgeResult

Judges drift and servers rename models, so scores of different `judge_model` or `prompt_digest` cannot be compared.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from ctllm.model.answer_cache import ChatRequest, Message, Reply
from ctllm.model.evaluation.judge_prompts import (
    PAIR_PROMPT,
    SCORE_PROMPT,
    is_refusal,
    pair_prompt,
    read_score,
    read_verdict,
    score_prompt,
)
from ctllm.model.evaluation.judge_questions import JudgeQuestion, read_questions
from ctllm.model.openai_client import OpenAIClient
from ctllm.schemas.errors import InputError, StageError
from ctllm.schemas.files import join, read_parquet, write_json, write_parquet
from ctllm.schemas.judge_config import Agreement, JudgeConfig, JudgedCategory, JudgeResult, PairwiseResult
from ctllm.schemas.progress import Progress, silent

RESULT, JUDGED = "judge.json", "judged.parquet"
NUM_JUDGEMENTS = 2
JUDGED_SCHEMA = pa.schema(
    [
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("question_id", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("turn", pa.int64(), nullable=False, metadata={"meaning": "from 1"}),
        pa.field("question", pa.string(), nullable=False),
        pa.field("answer", pa.string(), metadata={"meaning": "null: the server gave none"}),
        pa.field("scores", pa.list_(pa.int64()), nullable=False, metadata={"meaning": "usable ones, 1 to 10"}),
        pa.field("judgements", pa.list_(pa.string()), nullable=False, metadata={"meaning": "what the judge wrote"}),
        pa.field("is_refusal", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True)
class _Turn:
    """One answer and what the judge said of it."""

    question: JudgeQuestion
    number: int
    answer: str | None
    replies: tuple[Reply, ...]

    @property
    def scores(self) -> list[int]:
        found = (read_score(reply.text) for reply in self.replies if reply.text is not None)
        return [score for score in found if score is not None]


def judge(config: JudgeConfig, *, progress: Progress = silent) -> JudgeResult:
    """Asks, judges, writes the files into `config.out` and returns what stands in judge.json.

    Raises InputError without questions or baseline, StageError when a server fails for good or nothing was answered;
    answers so far stay.
    """
    questions = read_questions(config.questions, max_questions=config.max_questions)
    baseline = _read_baseline(config.baseline) if config.baseline else None
    answers, model = _answer(config, questions, progress=progress)
    with OpenAIClient(
        config.judge, cache=join(config.out, "judgements.jsonl"), stage="judge", progress=progress
    ) as client:
        turns = _score(config, client, questions, answers)
        pairwise = _compare(config, client, questions, answers, baseline) if baseline else None
    replies = [reply for turn in turns for reply in turn.replies]
    result = JudgeResult(
        questions_digest=_digest(repr([(each.question_id, each.turns) for each in questions])),
        model=model,
        judge_model=next((reply.model for reply in replies if reply.model), config.judge.model),
        prompt=SCORE_PROMPT,
        prompt_digest=_digest(SCORE_PROMPT + (PAIR_PROMPT if pairwise else "")),
        config=config.model_dump(mode="json"),
        overall=_category(turns),
        categories={
            name: _category([turn for turn in turns if turn.question.category == name])
            for name in sorted({question.category for question in questions})
        },
        agreement=_agreement(turns),
        pairwise=pairwise,
        answers_failed=sum(turn.answer is None for turn in turns),
        judgements_failed=sum(reply.text is None for reply in replies),
        judgements_unreadable=sum(reply.text is not None and read_score(reply.text) is None for reply in replies),
    )
    _write_judged(join(config.out, JUDGED), turns)
    write_json(join(config.out, RESULT), result.model_dump(mode="json"))
    return result


def _answer(
    config: JudgeConfig, questions: Sequence[JudgeQuestion], *, progress: Progress
) -> tuple[list[list[str]], str]:
    """Per question its answers, fewer than turns where the server failed; and the model's name by the server."""
    parameters = {"temperature": config.answer_temperature, "max_tokens": config.max_answer_tokens}
    answers: list[list[str]] = [[] for _ in questions]
    model = config.answers.model
    with OpenAIClient(
        config.answers, cache=join(config.out, "answers.jsonl"), stage="answers", progress=progress
    ) as client:
        for turn in range(max((len(question.turns) for question in questions), default=0)):
            open_ones = [
                number
                for number, question in enumerate(questions)
                if turn < len(question.turns) and len(answers[number]) == turn
            ]
            requests = [
                ChatRequest(_messages(questions[number].turns, answers[number]), parameters) for number in open_ones
            ]
            replies = client.answer_all(requests)
            if turn == 0 and all(reply.text is None for reply in replies):
                found = f"none of {len(replies)} questions was answered ({replies[0].error})"
                raise StageError(f"{config.answers.base_url}: {found}; mend that and run the same command again")
            for number, reply in zip(open_ones, replies, strict=True):
                if reply.text is not None:
                    answers[number].append(reply.text)
                    model = reply.model or model
    return answers, model


def _messages(turns: Sequence[str], answers: Sequence[str]) -> tuple[Message, ...]:
    """The conversation up to the first turn without an answer."""
    messages: list[Message] = []
    for turn, answer in zip(turns, answers, strict=False):
        messages += [{"role": "user", "content": turn}, {"role": "assistant", "content": answer}]
    return (*messages, {"role": "user", "content": turns[len(answers)]})


def _score(
    config: JudgeConfig,
    client: OpenAIClient,
    questions: Sequence[JudgeQuestion],
    answers: Sequence[Sequence[str]],
) -> list[_Turn]:
    """Every turn; those with an answer judged twice."""
    requests = [
        ChatRequest((_user(prompt),), _judge_parameters(config), repeat=repeat)
        for question, given in zip(questions, answers, strict=True)
        for number in range(1, len(given) + 1)
        for prompt in [score_prompt(question.turns[:number], given[:number], reference=question.reference)]
        for repeat in range(NUM_JUDGEMENTS)
    ]
    replies = iter(client.answer_all(requests))
    turns = []
    for question, given in zip(questions, answers, strict=True):
        for number in range(1, len(question.turns) + 1):
            answer = given[number - 1] if number <= len(given) else None
            said = () if answer is None else tuple(next(replies) for _ in range(NUM_JUDGEMENTS))
            turns.append(_Turn(question, number, answer, said))
    return turns


Baseline = Mapping[tuple[str, str], list[str]]
"""Benchmark and question to its answers."""


def _read_baseline(out: str) -> Baseline:
    """Raises InputError when no finished run lies there."""
    answers: dict[tuple[str, str], list[str]] = {}
    for row in read_parquet(join(out, JUDGED)).to_pylist():
        if row["answer"] is not None:
            answers.setdefault((row["benchmark"], row["question_id"]), []).append(row["answer"])
    return answers


def _compare(
    config: JudgeConfig,
    client: OpenAIClient,
    questions: Sequence[JudgeQuestion],
    answers: Sequence[Sequence[str]],
    baseline: Baseline,
) -> PairwiseResult:
    """Whole conversations, each pair in both orders. Raises InputError when the baseline answered none of these."""
    pairs = [
        (question, given, baseline[question.benchmark, question.question_id])
        for question, given in zip(questions, answers, strict=True)
        if len(given) == len(baseline.get((question.benchmark, question.question_id), ())) == len(question.turns)
    ]
    if not pairs:
        raise InputError(f"{config.baseline}: has no answers to these questions; judge it on the same files first")
    prompts = [
        prompt
        for question, ours, theirs in pairs
        for prompt in (
            pair_prompt(question.turns, first=ours, second=theirs, reference=question.reference),
            pair_prompt(question.turns, first=theirs, second=ours, reference=question.reference),
        )
    ]
    replies = client.answer_all([ChatRequest((_user(prompt),), _judge_parameters(config)) for prompt in prompts])
    verdicts = [None if reply.text is None else read_verdict(reply.text) for reply in replies]
    both = list(zip(verdicts[::2], verdicts[1::2], strict=True))
    wins, losses = both.count(("甲", "乙")), both.count(("乙", "甲"))
    ties = len(both) - wins - losses
    return PairwiseResult(
        pairs=len(both),
        wins=wins,
        losses=losses,
        ties=ties,
        undecided_by_position=both.count(("甲", "甲")) + both.count(("乙", "乙")),
        win_rate=(wins + ties / 2) / len(both),
    )


def _judge_parameters(config: JudgeConfig) -> dict[str, float]:
    return {"temperature": config.judge_temperature, "max_tokens": config.max_judge_tokens}


def _user(text: str) -> Message:
    return {"role": "user", "content": text}


def _category(turns: Sequence[_Turn]) -> JudgedCategory:
    scores = [sum(turn.scores) / NUM_JUDGEMENTS for turn in turns if len(turn.scores) == NUM_JUDGEMENTS]
    mean = sum(scores) / len(scores) if scores else None
    error = None
    if mean is not None and len(scores) > 1:
        error = math.sqrt(sum((each - mean) ** 2 for each in scores) / (len(scores) - 1) / len(scores))
    answers = [turn.answer for turn in turns if turn.answer is not None]
    return JudgedCategory(
        questions=len({(turn.question.benchmark, turn.question.question_id) for turn in turns}),
        turns_judged=len(scores),
        score=mean,
        standard_error=error,
        refusal_share=sum(map(is_refusal, answers)) / len(answers) if answers else 0.0,
    )


def _agreement(turns: Sequence[_Turn]) -> Agreement | None:
    """None when nothing was judged twice."""
    differences = [abs(turn.scores[0] - turn.scores[1]) for turn in turns if len(turn.scores) == NUM_JUDGEMENTS]
    if not differences:
        return None
    return Agreement(
        exact_share=differences.count(0) / len(differences),
        within_one_share=sum(each <= 1 for each in differences) / len(differences),
        mean_difference=sum(differences) / len(differences),
    )


def _write_judged(path: str, turns: Sequence[_Turn]) -> None:
    rows = [
        {
            "benchmark": turn.question.benchmark,
            "question_id": turn.question.question_id,
            "category": turn.question.category,
            "turn": turn.number,
            "question": turn.question.turns[turn.number - 1],
            "answer": turn.answer,
            "scores": turn.scores,
            "judgements": [reply.text or f"no reply: {reply.error}" for reply in turn.replies],
            "is_refusal": turn.answer is not None and is_refusal(turn.answer),
        }
        for turn in turns
    ]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_parquet(path, pa.Table.from_pylist(rows, schema=JUDGED_SCHEMA))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
