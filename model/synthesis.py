"""Preference pairs as CT-LLM made them: chosen from a strong set, rejected written by a weaker model.

OUT/answers.jsonl    every answer as it came, and what failed: the cache that a resume goes on from
OUT/pairs.jsonl      {id, prompt, chosen, rejected, …} for `ctllm conversations --kind preferences`, which checks them
OUT/failures.jsonl   conversations without a pair, with the reason
OUT/synthesis.json   counts: conversations = pairs + failures
"""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from ctllm.model.answer_cache import ChatRequest, Reply
from ctllm.model.local_answers import LocalAnswers
from ctllm.model.openai_client import OpenAIClient
from ctllm.model.tuning_data import Row, read_rows
from ctllm.schemas.files import join, write_json, written_whole
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.synthesis_config import SynthesisConfig

ANSWERS, PAIRS, FAILURES, COUNTS = "answers.jsonl", "pairs.jsonl", "failures.jsonl", "synthesis.json"


def synthesise(config: SynthesisConfig, *, progress: Progress = silent) -> dict[str, int]:
    """Writes the files above and returns the counts; what was answered before is not asked again.

    Raises InputError without conversations or checkpoint, StageError when the server is not well: answers stay.
    """
    rows = read_rows(config.conversations, kind="sft")[: config.max_pairs]
    with _answerer(config, progress=progress) as answerer:
        replies = answerer.answer_all([_request(row, config) for row in rows])
    pairs, failures = list[Row](), list[Row]()
    for row, reply in zip(rows, replies, strict=True):
        chosen = row["messages"][-1]["content"]
        if reason := _reason(reply, chosen=chosen):
            failures.append({"id": row["id"], "source": row["source"], "reason": reason, "error": reply.error})
        else:
            pairs.append(_pair(row, reply, chosen=chosen))
    _write_lines(join(config.out, PAIRS), pairs)
    _write_lines(join(config.out, FAILURES), failures)
    reasons = Counter(f"failed:{failure['reason']}" for failure in failures)
    cut = sum(reply.text is not None and reply.ended_by == "length" for reply in replies)
    counts = {"conversations": len(rows), "pairs": len(pairs), "failed": len(failures), "cut_at_max_tokens": cut}
    counts |= dict(sorted(reasons.items()))
    write_json(join(config.out, COUNTS), counts)
    return counts


def _answerer(config: SynthesisConfig, *, progress: Progress) -> OpenAIClient | LocalAnswers:
    cache = join(config.out, ANSWERS)
    if config.endpoint is not None:
        return OpenAIClient(config.endpoint, cache=cache, progress=progress)
    assert config.checkpoint is not None, "the config has one of both"
    return LocalAnswers(
        config.checkpoint, cache=cache, config=config.answers, per_batch=config.prompts_per_batch, progress=progress
    )


def _request(row: Row, config: SynthesisConfig) -> ChatRequest:
    """The conversation without its last answer."""
    drawn = config.answers
    parameters = {"max_tokens": drawn.max_new_tokens, "temperature": drawn.temperature, "top_p": drawn.top_p}
    return ChatRequest(tuple(row["messages"][:-1]), {**parameters, "seed": drawn.seed})


def _reason(reply: Reply, *, chosen: str) -> str:
    """Why there is no pair; "" when there is one."""
    if reply.text is None:
        return "no_answer"
    if not reply.text.strip():
        return "empty_answer"
    return "equals_chosen" if reply.text.strip() == chosen.strip() else ""


def _pair(row: Row, reply: Reply, *, chosen: str) -> dict[str, Any]:
    return {
        "id": row["id"],
        "source": f"{row['source']}, rejected by {reply.model}",
        "license": row["license"],
        "lang": row["lane"],
        "prompt": row["messages"][:-1],
        "chosen": chosen,
        "rejected": reply.text,
    }


def _write_lines(path: str, rows: Iterable[dict[str, Any]]) -> None:
    with written_whole(path) as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")
