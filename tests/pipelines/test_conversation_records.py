"""Records of chat data: the shapes that are read, and the reason for each that cannot be used."""

import json
from typing import Any

import pytest

from ctllm.pipelines.conversation_records import UnusableRecordError, parse_records
from ctllm.schemas.conversations import ConversationKind

USER, ASSISTANT = {"role": "user", "content": "你好"}, {"role": "assistant", "content": "您好！"}
SYSTEM = {"role": "system", "content": "简短回答。"}


def parse(record: object, kind: ConversationKind = "sft") -> dict[str, Any]:
    """The row of a record."""
    (row,) = parse_records(json.dumps(record).encode(), kind, name="chats.jsonl", number=7)
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize(
    "record",
    [
        {"messages": [SYSTEM, USER, ASSISTANT]},
        {"system": "简短回答。", "messages": [USER, ASSISTANT]},
        {
            "system": "简短回答。",
            "conversations": [{"from": "human", "value": "你好"}, {"from": "gpt", "value": "您好！"}],
        },
        {"system": "简短回答。", "instruction": "你好", "input": "", "output": "您好！"},
        {
            "messages": [
                {"role": "developer", "content": "简短回答。"},
                {"role": "user", "content": [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]},
                ASSISTANT,
            ]
        },
        {  # COIG-CQIA
            "system": "简短回答。",
            "instruction": "",
            "input": "你好",
            "output": "您好！",
            "task_type": {"major": ["问答"], "minor": ["百科问答"]},
            "domain": ["通用"],
            "metadata": "暂无元数据信息",
            "answer_from": "human",
            "human_verified": True,
            "copyright": "暂无版权及作者信息",
        },
    ],
)
def test_shapes_of_one_conversation(record: dict[str, Any]) -> None:
    """Messages, ShareGPT and Alpaca give the same conversation with the same digest."""
    expected = parse({"messages": [SYSTEM, USER, ASSISTANT]})
    assert parse(record) == expected
    assert expected["messages"] == [SYSTEM, USER, ASSISTANT]
    assert (expected["id"], expected["source"], expected["lane"]) == ("chats.jsonl#7", "chats.jsonl", "zh")


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "你好", "chosen": "您好！", "rejected": "走开"},
        {"prompt": [USER], "chosen": ASSISTANT, "rejected": [{"role": "assistant", "content": "走开"}]},
        {
            "conversations": [{"from": "human", "value": "你好"}],
            "chosen": {"from": "gpt", "value": "您好！"},
            "rejected": "走开",
        },
        {
            "prompt": "你好",
            "chosen": [USER, ASSISTANT],
            "rejected": [USER, {"role": "assistant", "content": "走开"}],
        },
        {"instruction": "你好", "input": "", "output": ["您好！", "走开"]},
        {"instruction": "你好", "chosen": "您好！", "rejected": "走开"},
    ],
)
def test_shapes_of_one_pair(record: dict[str, Any]) -> None:
    """A prompt may be a text or messages, an answer a text, a message, a list of one or the whole conversation."""
    row = parse(record, "preference")
    assert (row["prompt"], row["chosen"], row["rejected"]) == ([USER], "您好！", "走开")


def test_instruction_and_input_are_one_message() -> None:
    """Alpaca's input follows its instruction on a line of its own; nothing is trimmed."""
    row = parse({"instruction": "Translate. ", "input": " cat", "output": "猫\n"})
    assert [message["content"] for message in row["messages"]] == ["Translate. \n cat", "猫\n"]


def test_history_comes_before_the_instruction() -> None:
    """Alpaca's history is the turns before: nothing of a conversation of several turns is lost."""
    row = parse({"instruction": "三", "output": "四", "history": [["一", "二"]], "system": "零"})
    assert [message["content"] for message in row["messages"]] == ["零", "一", "二", "三", "四"]


@pytest.mark.parametrize(
    ("kind", "record", "reason"),
    [
        ("sft", {"messages": [USER]}, "no_assistant_turn"),
        ("sft", {"messages": [USER, {"role": "assistant", "content": " \n"}]}, "empty_content"),
        ("sft", {"messages": [USER, {"role": "tool", "content": "x"}]}, "unknown_role"),
        ("sft", {"messages": [USER, {"content": "x"}]}, "unknown_role"),
        ("sft", {"messages": [ASSISTANT, USER]}, "role_order"),
        ("sft", {"messages": [USER, ASSISTANT, USER]}, "role_order"),
        ("sft", {"messages": [USER, SYSTEM, ASSISTANT]}, "role_order"),
        ("sft", {"messages": "你好"}, "wrong_shape"),
        ("sft", {"messages": [USER, {"role": "assistant", "content": 3}]}, "wrong_shape"),
        ("sft", {"messages": ["你好"]}, "wrong_shape"),
        ("sft", {"text": "你好"}, "wrong_shape"),
        ("sft", ["你好"], "wrong_shape"),
        ("sft", {"instruction": "x", "output": ""}, "empty_content"),
        ("sft", {"instruction": ["x"], "output": "y"}, "wrong_shape"),
        ("sft", {"messages": [USER, {"role": "assistant", "content": "\ud800"}]}, "broken_encoding"),
        ("preference", {"prompt": "x", "chosen": "y", "rejected": "y"}, "chosen_equals_rejected"),
        ("preference", {"prompt": "", "chosen": "y", "rejected": "z"}, "empty_content"),
        ("preference", {"prompt": "x", "chosen": "y"}, "one_sided"),
        ("preference", {"prompt": "x", "chosen": None, "rejected": "y"}, "one_sided"),
        ("preference", {"prompt": "x", "chosen": " ", "rejected": "y"}, "empty_content"),
        ("preference", {"instruction": "x", "output": ["y"]}, "one_sided"),
        ("sft", {"instruction": "x", "output": ["y", "z"]}, "wrong_shape"),
        ("sft", {"instruction": "x", "output": "y", "history": ["z"]}, "wrong_shape"),
        ("sft", {"instruction": "x", "output": "y", "history": [["z", ""]]}, "empty_content"),
        ("sft", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}, ASSISTANT]}, "wrong_shape"),
        ("preference", {"prompt": [USER, ASSISTANT], "chosen": "y", "rejected": "z"}, "role_order"),
        ("preference", {"messages": [USER, ASSISTANT]}, "one_sided"),
        ("preference", {"prompt": "x", "chosen": [USER, ASSISTANT], "rejected": "z"}, "wrong_shape"),
        ("preference", {"prompt": "你好", "chosen": [ASSISTANT, USER], "rejected": "z"}, "wrong_shape"),
    ],
)
def test_each_failure_has_its_reason(kind: ConversationKind, record: object, reason: str) -> None:
    """What cannot be used is refused with the one reason that fits."""
    with pytest.raises(UnusableRecordError) as caught:
        parse(record, kind)
    assert caught.value.kind == reason


@pytest.mark.parametrize(
    ("line", "reason", "message"),
    [
        (b'{"messages": [', "broken_json", "line 1"),
        (b'[{"messages": []},', "broken_json", "jq"),
        (b'{"messages": "\xff"}', "broken_encoding", "byte 14"),
        (b"[" * 100_000, "broken_json", "recursion"),
    ],
)
def test_broken_lines(line: bytes, reason: str, message: str) -> None:
    """Broken JSON and bytes that are not UTF-8 are refused with the place or the way out."""
    with pytest.raises(UnusableRecordError, match=message) as caught:
        parse_records(line, "sft", name="x", number=1)
    assert caught.value.kind == reason


@pytest.mark.parametrize(
    ("content", "lang", "lane"),
    [
        ("你好", None, "zh"),
        ("hello 你", None, "en"),
        ("abcdefg你好吗", None, "zh"),
        ("123", None, "en"),
        ("你好", "en", "en"),
    ],
)
def test_lane(content: str, lang: str | None, lane: str) -> None:
    """From 3 Han among 10 letters on a conversation is Chinese; the record's own `lang` goes before."""
    messages = [{"role": "user", "content": content}, {"role": "assistant", "content": "1"}]
    record = {"messages": messages, **({"lang": lang} if lang else {})}
    assert parse(record)["lane"] == lane
