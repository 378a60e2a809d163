"""Replies, validated by the types of OpenAI's own client."""

import pytest
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from ctllm.model.serving.engine import Finished, Piece, TokenScore
from ctllm.model.serving.replies import ChoiceText, ReplyForm
from ctllm.model.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def tokenizer(tokenizer_directory: str) -> Tokenizer:
    """The tokenizer of the tests' checkpoints."""
    return Tokenizer(tokenizer_directory)


@pytest.fixture
def events(tokenizer: Tokenizer) -> list[Piece | Finished]:
    """春 and 天 in two pieces, and their end."""
    scores = [TokenScore(token, -0.5, ((token, -0.5), (tokenizer.encode("。")[0], -1.5))) for token in
              tokenizer.encode("春天")]  # fmt: skip
    return [Piece("春", tuple(scores[:1])), Piece("天", tuple(scores[1:])), Finished("stop", 2)]


def form(tokenizer: Tokenizer, *, is_chat: bool, has_scores: bool = True) -> ReplyForm:
    """A reply to a prompt of three tokens."""
    return ReplyForm("tiny", is_chat=is_chat, has_scores=has_scores, num_prompt_tokens=3, tokenizer=tokenizer)


def choice_of(events: list[Piece | Finished]) -> ChoiceText:
    """The choice after all events."""
    choice = ChoiceText()
    for event in events:
        choice.add(event)
    return choice


def test_a_chat_is_what_the_client_expects(tokenizer: Tokenizer, events: list[Piece | Finished]) -> None:
    """Text, end, usage and the bytes of every token, under names that OpenAI's types know; no field is unknown."""
    reply = ChatCompletion.model_validate(form(tokenizer, is_chat=True).whole([choice_of(events)] * 2))
    first, second = reply.choices
    assert (first.message.content, first.finish_reason, second.index) == ("春天", "stop", 1)
    assert reply.usage is not None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens, reply.usage.total_tokens) == (3, 4, 7)
    assert first.logprobs is not None
    assert first.logprobs.content is not None
    assert b"".join(bytes(each.bytes or []) for each in first.logprobs.content).decode() == "春天"
    assert [len(each.top_logprobs) for each in first.logprobs.content] == [2] * len(first.logprobs.content)
    assert not reply.model_extra
    assert not first.model_extra


def test_chunks_add_up_to_the_whole(tokenizer: Tokenizer, events: list[Piece | Finished]) -> None:
    """The stream opens with the role, its texts make the answer, its last chunk says why it ended."""
    reply = form(tokenizer, is_chat=True)
    chunks = [ChatCompletionChunk.model_validate(each) for each in
              (reply.opening(0), *(reply.chunk(0, event, reply.offsets()) for event in events))]  # fmt: skip
    assert chunks[0].choices[0].delta.role == "assistant"
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "春天"
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, None, "stop"]
    assert len({(chunk.id, chunk.created, chunk.object) for chunk in chunks}) == 1
    usage = ChatCompletionChunk.model_validate(reply.usage_chunk([choice_of(events)]))
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.completion_tokens == 2


def test_a_completion_has_offsets_into_its_text(tokenizer: Tokenizer, events: list[Piece | Finished]) -> None:
    """Each token's offset is where it begins; a stream of completions has no opening; without scores there are none."""
    scored = [TokenScore(tokenizer.encode(text)[0], -0.5, ()) for text in "的。"]
    pieces = [Piece("的。", tuple(scored)), Finished("length", 2)]
    reply = Completion.model_validate(form(tokenizer, is_chat=False).whole([choice_of(pieces)]))
    scores = reply.choices[0].logprobs
    assert scores is not None
    assert scores.tokens is not None
    assert scores.text_offset is not None
    assert list(zip(scores.tokens, scores.text_offset, strict=True)) == [("的", 0), ("。", 1)]
    plain = form(tokenizer, is_chat=False, has_scores=False)
    assert plain.opening(0) is None
    assert plain.chunk(0, events[0], plain.offsets())["choices"][0]["logprobs"] is None


def test_parts_of_a_character_stand_at_its_place(tokenizer: Tokenizer) -> None:
    """Streamed or whole, four byte tokens are told apart and have the offset of their one character."""
    tokens = tokenizer.encode("𠮷。")
    scored = [TokenScore(token, -0.5, tuple((each, -1.0) for each in tokens)) for token in tokens]
    pieces: list[Piece | Finished] = [Piece("", tuple(scored[:3])), Piece("𠮷。", tuple(scored[3:]))]
    reply = form(tokenizer, is_chat=False)
    texts = [*(f"bytes:\\x{byte:02x}" for byte in "𠮷".encode()), "。"]
    whole = reply.whole([choice_of([*pieces, Finished("length", 5)])])["choices"][0]["logprobs"]
    assert (whole["tokens"], whole["text_offset"]) == (texts, [0, 0, 0, 0, 1])
    assert [set(top) for top in whole["top_logprobs"]] == [set(texts)] * 5
    offsets = reply.offsets()
    streamed = [reply.chunk(0, piece, offsets)["choices"][0]["logprobs"]["text_offset"] for piece in pieces]
    assert streamed == [[0, 0, 0], [0, 1]]
    chat = form(tokenizer, is_chat=True).whole([choice_of(pieces)])["choices"][0]["logprobs"]["content"]
    assert [each["token"] for each in chat] == [text.removeprefix("bytes:") for text in texts]
