"""Answers of a checkpoint in this process: in order, kept, and drawn again as they were."""

from pathlib import Path

from ctllm.model.answer_cache import ChatRequest
from ctllm.model.local_answers import LocalAnswers
from ctllm.schemas.tuning_config import GenerateConfig

REQUESTS = [ChatRequest(({"role": "user", "content": f"{number}？"},)) for number in range(5)]
CONFIG = GenerateConfig(max_new_tokens=6, temperature=1.0)


def ask(checkpoint: str, cache: Path, requests: list[ChatRequest], **changes: int) -> list[str | None]:
    """The texts of the replies."""
    config = CONFIG.model_copy(update=changes)
    with LocalAnswers(checkpoint, cache=str(cache), config=config, per_batch=2) as answers:
        return [reply.text for reply in answers.answer_all(requests)]


def test_a_batch_lost_in_part_is_drawn_as_it_was(checkpoint: str, tmp_path: Path) -> None:
    """Killed after three of five answers, the job gives what it would have given; other seeds give others."""
    whole = ask(checkpoint, tmp_path / "whole.jsonl", REQUESTS)
    assert all(text is not None for text in whole)
    lines = (tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 5
    (tmp_path / "cut.jsonl").write_bytes(b"".join(lines[:3]) + lines[3][:10])
    assert ask(checkpoint, tmp_path / "cut.jsonl", REQUESTS) == whole
    assert ask(checkpoint, tmp_path / "other.jsonl", REQUESTS, seed=9) != whole


def test_what_is_there_is_not_drawn_again(checkpoint: str, tmp_path: Path) -> None:
    """A finished cache answers by itself, in the order that is asked, and stays as it is."""
    cache = tmp_path / "cache.jsonl"
    whole = ask(checkpoint, cache, REQUESTS)
    before = cache.read_bytes()
    assert ask(checkpoint, cache, REQUESTS[::-1], seed=9) == whole[::-1]
    assert cache.read_bytes() == before


def test_a_prompt_that_fills_the_context_is_an_error_among_answers(checkpoint: str, tmp_path: Path) -> None:
    """The reply says how long the prompt is and how much there is room for; its neighbours are answered."""
    long = ChatRequest(({"role": "user", "content": "长" * 500},))
    with LocalAnswers(checkpoint, cache=str(tmp_path / "cache.jsonl"), config=CONFIG, per_batch=3) as answers:
        first, refused, last = answers.answer_all([REQUESTS[0], long, REQUESTS[1]])
    assert (refused.text, first.error, last.error) == (None, None, None)
    assert "leaves no room in a context of 128" in str(refused.error)
    assert first.model == last.model == answers.name
