"""Preference pairs from good answers and a weaker model's: from a server that fails half-way, and from a checkpoint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ctllm.model.synthesis import synthesise
from ctllm.pipelines.conversation_records import parse_records
from ctllm.schemas.errors import StageError
from ctllm.schemas.synthesis_config import SynthesisConfig

SYSTEM = {"role": "system", "content": "简短。"}


def chat(number: int) -> list[dict[str, str]]:
    """A conversation of two turns under a system message."""
    turns = [("user", "你好"), ("assistant", "您好"), ("user", f"{number} 加一？"), ("assistant", f"{number + 1}。")]
    return [SYSTEM, *({"role": role, "content": content} for role, content in turns)]


def lines(path: Path) -> list[dict[str, Any]]:
    """The JSON lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def asked(body: dict[str, Any]) -> int:
    """The number that the last message asks about."""
    return int(body["messages"][-1]["content"].split()[0])


def test_pairs_from_a_server_that_dies_half_way(
    tmp_path: Path, write_chats: Callable[..., str], chat_server: Callable[..., Any]
) -> None:
    """A re-run asks only for what is missing; every conversation becomes a pair or a failure with its reason."""
    first_life = chat_server(lambda body: "不知道" if asked(body) < 5 else (503, b"", {}))
    endpoint = {
        "base_url": first_life.base_url,
        "model": "weak",
        "max_tries": 1,
        "max_concurrent": 1,
        "max_failures_in_row": 12,
    }
    out = tmp_path / "out"
    config = SynthesisConfig(conversations=write_chats([chat(n) for n in range(12)]), out=str(out), endpoint=endpoint)
    first = synthesise(config)
    assert first == {"conversations": 12, "pairs": 5, "failed": 7, "cut_at_max_tokens": 0, "failed:no_answer": 7}
    odd = {5: "6。", 6: " \n"}  # equal to the chosen one, empty
    second_life = chat_server(lambda body: odd.get(asked(body), "不知道"))
    config = config.model_copy(
        update={"endpoint": config.endpoint.model_copy(update={"base_url": second_life.base_url})}
    )
    assert synthesise(config) == {
        "conversations": 12, "pairs": 10, "failed": 2, "cut_at_max_tokens": 0, "failed:empty_answer": 1,
        "failed:equals_chosen": 1,
    }  # fmt: skip
    assert sorted(map(asked, second_life.asked)) == list(range(5, 12))
    assert second_life.asked[0]["messages"][:3] == chat(0)[:3]
    assert {failure["reason"] for failure in lines(out / "failures.jsonl")} == {"equals_chosen", "empty_answer"}
    pairs = lines(out / "pairs.jsonl")
    assert all(pair["rejected"] == "不知道" and pair["chosen"] == pair_chosen(pair) for pair in pairs)
    for line in (out / "pairs.jsonl").read_bytes().splitlines():
        (row,) = parse_records(line, "preference", name="pairs.jsonl", number=1)
        assert isinstance(row, dict)
        assert row["source"] == "test, rejected by served"


def pair_chosen(pair: dict[str, Any]) -> str:
    """What the conversation itself answered."""
    return f"{int(pair['prompt'][-1]['content'].split()[0]) + 1}。"


def test_a_dead_server_stops_the_job(
    tmp_path: Path, write_chats: Callable[..., str], chat_server: Callable[..., Any]
) -> None:
    """A server that is gone ends the job after a few requests instead of going through all of them."""
    server = chat_server(lambda _: "x")
    server.close()
    endpoint = {"base_url": server.base_url, "model": "weak", "max_tries": 1, "max_failures_in_row": 3}
    config = SynthesisConfig(
        conversations=write_chats([chat(n) for n in range(40)]), out=str(tmp_path / "out"), endpoint=endpoint
    )
    with pytest.raises(StageError, match="3 requests in a row failed"):
        synthesise(config)


def test_pairs_from_a_checkpoint(tmp_path: Path, write_chats: Callable[..., str], checkpoint: str) -> None:
    """A checkpoint answers each prompt; lost answers are drawn again as they were; a prompt too long is a failure."""
    long = [{"role": "user", "content": "长" * 500}, {"role": "assistant", "content": "短"}]
    out = tmp_path / "out"
    config = SynthesisConfig(
        conversations=write_chats([*(chat(n) for n in range(5)), long]),
        out=str(out),
        checkpoint=checkpoint,
        answers={"max_new_tokens": 6},
        prompts_per_batch=2,
    )
    counts = synthesise(config)
    assert counts["conversations"] == 6 == counts["pairs"] + counts["failed"]
    errors = [failure["error"] for failure in lines(out / "failures.jsonl") if failure["reason"] == "no_answer"]
    assert len(errors) == 1
    assert "leaves no room in a context of" in errors[0]
    whole = (out / "pairs.jsonl").read_bytes()
    answers = (out / "answers.jsonl").read_bytes().splitlines(keepends=True)
    (out / "answers.jsonl").write_bytes(b"".join(answers[:2]) + answers[2][:20])
    assert synthesise(config) == counts
    assert (out / "pairs.jsonl").read_bytes() == whole
