"""model/answer_cache.py: what was answered stays answered, whatever killed the process."""

import json
from pathlib import Path

import pytest

from ctllm.model.answer_cache import AnswerCache, ChatRequest, Reply
from ctllm.schemas.errors import OutputError

QUESTION = ChatRequest(({"role": "user", "content": "一加一？"},), {"temperature": 0.5})
REPLY = {"model": "m-1", "choices": [{"message": {"content": "二\n"}, "finish_reason": "length"}]}


def test_a_reply_is_read_back_as_it_came(tmp_path: Path) -> None:
    """After reopening, text, reason and model are there and the raw reply stands in the file, Chinese readable."""
    path = tmp_path / "deep" / "answers.jsonl"
    with AnswerCache(str(path)) as cache:
        cache.add(QUESTION, model="m", reply=REPLY)
    with AnswerCache(str(path)) as cache:
        digest = QUESTION.digest("m")
        assert cache.get(digest) == Reply(digest, "二\n", ended_by="length", model="m-1")
        assert cache.get(QUESTION.digest("another")) is None
        assert len(cache) == 1
    line = json.loads(path.read_text())
    assert line["reply"] == REPLY
    assert line["body"] == {"model": "m", "messages": [{"role": "user", "content": "一加一？"}], "temperature": 0.5}
    assert "一加一" in path.read_text()


@pytest.mark.parametrize("cut", [1, 30])
def test_a_torn_line_is_asked_again(tmp_path: Path, cut: int) -> None:
    """A line that a kill cut short does not count, and the next one does not stick to it."""
    path = tmp_path / "answers.jsonl"
    other = ChatRequest(({"role": "user", "content": "二加二？"},))
    with AnswerCache(str(path)) as cache:
        cache.add(other, model="m", reply=REPLY)
        cache.add(QUESTION, model="m", reply=REPLY)
    path.write_bytes(path.read_bytes()[:-cut])
    with AnswerCache(str(path)) as cache:
        assert (cache.get(QUESTION.digest("m")), len(cache)) == (None, 1)
        cache.add(QUESTION, model="m", reply=REPLY)
    with AnswerCache(str(path)) as cache:
        assert len(cache) == 2


def test_failures_and_foreign_lines_are_no_answers(tmp_path: Path) -> None:
    """A failed request and lines that somebody broke stay in the file and are asked again."""
    path = tmp_path / "answers.jsonl"
    path.write_text('not json\n{"request": "x", "reply": {}}\n[1]\n')
    with AnswerCache(str(path)) as cache:
        cache.add(QUESTION, model="m", error="HTTP 500")
        assert (cache.get(QUESTION.digest("m")), len(cache)) == (None, 0)
    assert len(path.read_text().splitlines()) == 4


def test_half_a_surrogate_pair_survives(tmp_path: Path) -> None:
    """A reply with half of a surrogate pair is written as JSON that every reader accepts."""
    path = tmp_path / "answers.jsonl"
    with AnswerCache(str(path)) as cache:
        cache.add(QUESTION, model="m", reply={"choices": [{"message": {"content": "\ud83d 笑"}}]})
        reply = cache.get(QUESTION.digest("m"))
    assert reply is not None
    assert reply.text == "\ud83d 笑"
    path.read_bytes().decode("utf-8")


def test_two_processes_do_not_share_a_cache(tmp_path: Path) -> None:
    """A second job on the same file is refused instead of mixing its lines in."""
    path = str(tmp_path / "answers.jsonl")
    with AnswerCache(path), pytest.raises(OutputError, match="another process writes to it"), AnswerCache(path):
        pass


def test_the_digest_covers_what_decides_the_answer() -> None:
    """Model, text, parameters and repeat change the digest; the order of parameters does not."""
    same = ChatRequest(({"content": "一加一？", "role": "user"},), {"temperature": 0.5})
    assert same.digest("m") == QUESTION.digest("m")
    others = [
        QUESTION.digest("n"),
        ChatRequest(QUESTION.messages, {"temperature": 0.6}).digest("m"),
        ChatRequest(QUESTION.messages, QUESTION.parameters, repeat=1).digest("m"),
        ChatRequest((*QUESTION.messages, {"role": "user", "content": ""}), QUESTION.parameters).digest("m"),
    ]
    assert len({QUESTION.digest("m"), *others}) == 5
