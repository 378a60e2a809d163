"""A judge's run against servers on this machine."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.model.evaluation.judge import JUDGED, judge
from ctllm.model.evaluation.judge_questions import read_questions
from ctllm.schemas.errors import InputError, StageError
from ctllm.schemas.judge_config import JudgeConfig

Start = Callable[..., Any]
CHC = [
    {"source": "s", "category": category, "type": "t", "multi_choice": 0, "query": query}
    for category, query in (("写作", "写诗"), ("写作", "写信"), ("数学", "一加一"))
]


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., JudgeConfig]:
    """CHC-Bench's Parquet and a two-turn question, asked at these servers."""
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist(CHC), tmp_path / "data" / "writting.parquet")
    turns = {"question_id": 81, "category": "zh_writing", "turns": ["第一", "第二"]}
    (tmp_path / "data" / "question.jsonl").write_text(json.dumps(turns, ensure_ascii=False) + "\n")

    def make(model: Any, judging: Any, *, out: str = "out", **changes: Any) -> JudgeConfig:
        calm = {"max_tries": 1, "retry_wait_s": 0, "timeout_s": 20}
        return JudgeConfig.model_validate(
            {
                "questions": [str(tmp_path / "data" / "*")],
                "answers": {"base_url": model.base_url, "model": "m", **calm},
                "judge": {"base_url": judging.base_url, "model": "j", **calm},
                "out": str(tmp_path / out),
                **changes,
            }
        )

    return make


def said(body: dict[str, Any]) -> str:
    """The last message."""
    return str(body["messages"][-1]["content"])


def test_answers_are_judged_twice(chat_server: Start, make_config: Callable[..., JudgeConfig], tmp_path: Path) -> None:
    """Each turn is answered with its history and judged twice; means, agreement, refusals and raw replies are kept."""
    model = chat_server(lambda body: "抱歉，我不能写信" if said(body) == "写信" else f"答{len(body['messages'])}")
    times: dict[str, int] = {}

    def score(body: dict[str, Any]) -> str:
        prompt = said(body)
        times[prompt] = times.get(prompt, 0) + 1
        if "一加一" in prompt:
            return "说不清"
        base = 2 if "抱歉" in prompt else 8
        return f"理由[[1]]。\n评分：[[{base + times[prompt] - 1}]]"

    config = make_config(model, chat_server(score))
    result = judge(config)
    assert {name: (each.questions, each.turns_judged, each.score) for name, each in result.categories.items()} == {
        "写作": (2, 2, 5.5), "数学": (1, 0, None), "zh_writing": (1, 2, 8.5),
    }  # fmt: skip
    assert result.categories["写作"].refusal_share == 0.5
    assert result.agreement is not None
    assert (result.agreement.exact_share, result.agreement.within_one_share) == (0.0, 1.0)
    assert (result.judgements_unreadable, result.judgements_failed, result.answers_failed) == (2, 0, 0)
    assert (result.model, result.judge_model) == ("served", "served")
    rows = pq.read_table(tmp_path / "out" / JUDGED).to_pylist()
    assert [(row["turn"], row["answer"]) for row in rows if row["question_id"] == "81"] == [(1, "答1"), (2, "答3")]
    second = next(prompt for prompt in times if "第二" in prompt)
    assert "【用户】\n第一\n\n【助手】\n答1\n\n【用户】\n第二\n\n【助手】\n答3" in second
    assert all(set(body) >= {"temperature", "max_tokens"} for body in model.asked)
    asked = len(model.asked), sum(times.values())
    assert judge(config) == result
    assert (len(model.asked), sum(times.values())) == asked  # nothing is asked again


def test_a_pair_is_won_in_both_orders_only(
    chat_server: Start, make_config: Callable[..., JudgeConfig], tmp_path: Path
) -> None:
    """Against a baseline: a better answer wins in both places, and a judge that prefers a place decides nothing."""
    old, new = chat_server(lambda _: "旧"), chat_server(lambda body: "新" if said(body) != "写诗" else "差")

    def decide(body: dict[str, Any]) -> str:
        prompt = said(body)
        if "助手甲" not in prompt:
            return "[[5]]"
        if "一加一" in prompt:
            return "[[甲]]"
        first, second = prompt.split("【助手乙】")
        rank = "差旧新"
        values = [max(rank.index(each) for each in rank if f"【助手】\n{each}" in part) for part in (first, second)]
        return "[[甲]]" if values[0] > values[1] else "[[乙]]"

    judging = chat_server(decide)
    judge(make_config(old, judging, out="old"))
    result = judge(make_config(new, judging, out="new", baseline=str(tmp_path / "old")))
    assert result.pairwise is not None
    assert result.pairwise.model_dump() == {
        "pairs": 4, "wins": 2, "losses": 1, "ties": 1, "undecided_by_position": 1, "win_rate": 0.625,
    }  # fmt: skip
    with pytest.raises(InputError, match="has no answers to these questions"):
        judge(make_config(new, judging, out="x", baseline=str(tmp_path / "old"), questions=_other(tmp_path)))


def _other(directory: Path) -> list[str]:
    (directory / "other.jsonl").write_text('{"question": "别的"}\n')
    return [str(directory / "other.jsonl")]


def test_a_server_that_fails_half_way(chat_server: Start, make_config: Callable[..., JudgeConfig]) -> None:
    """A failed answer is counted and not judged; a server that fails for good ends the run, which then goes on."""
    broken = chat_server(lambda body: "好" if said(body) == "写信" else (500, b"oom", {}))
    well = chat_server(lambda _: "[[7]]")
    result = judge(make_config(broken, well))
    assert (result.answers_failed, result.overall.turns_judged, result.overall.score) == (4, 1, 7.0)
    refusing = chat_server(lambda _: (401, b"who are you", {}))
    with pytest.raises(StageError, match="wants a valid key"):
        judge(make_config(refusing, well))
    working = chat_server(lambda _: "好")
    assert judge(make_config(working, well)).answers_failed == 0
    assert len(working.asked) == 4  # one was answered before


def test_questions_of_all_makers_are_read(private_data: Path) -> None:
    """AlignBench with references, mt-bench-zh with two turns, CValues prompts."""
    bench = read_questions([str(private_data / "restricted/eval/alignbench/data_v1.1.jsonl")])
    assert (len(bench), bench[0].category, bench[0].reference is not None) == (349, "专业能力", True)
    talks = read_questions([str(private_data / "open/eval/mt-bench-zh/question.jsonl")], max_questions=5)
    assert [len(question.turns) for question in talks] == [2] * 5
    values = read_questions([str(private_data / "open/eval/cvalues/*.jsonl")])
    assert (len(values), values[0].question_id, values[0].category) == (342, "3", "环境科学")
