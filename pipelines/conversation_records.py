"""One line of JSON to a conversation or a preference pair, or the reason why it cannot become one. Knows no framework.

Shapes read: {messages: [{role, content}]}, ShareGPT's {conversations: [{from, value}]}, Alpaca's {instruction, input,
output}, and preference pairs {prompt, chosen, rejected} whose prompt is a text or a list of messages (it may also stand
under `messages` or `conversations`) and whose answers are texts, messages, lists of one message or of the whole
conversation.
"""

import hashlib
import json
import re
from typing import Any

from ctllm.schemas.conversations import ROLES, ConversationFailureKind, ConversationKind

Message = dict[str, str]

_ROLE_NAMES = {**{role: role for role in ROLES}, "human": "user", "gpt": "assistant"}  # ShareGPT's names
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
MIN_HAN_SHARE = 0.3  # as LanguageConfig.min_han_share


class UnusableRecordError(Exception):
    """A record that cannot be used; `kind` says why and the message what was found."""

    def __init__(self, kind: ConversationFailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def parse_record(line: bytes, kind: ConversationKind, *, name: str, number: int) -> dict[str, Any]:
    """The row of CONVERSATIONS or PREFERENCES that `line` holds; `name#number` is its id where it has none.

    Raises UnusableRecordError.
    """
    record = _read_object(line)
    content = _conversation(record) if kind == "sft" else _preference(record)
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True)
    try:
        digest = hashlib.blake2b(canonical.encode(), digest_size=16).hexdigest()
    except UnicodeEncodeError as error:
        raise UnusableRecordError("broken_encoding", "the text holds half of a surrogate pair") from error
    own_id, source, own_license = record.get("id"), record.get("source"), record.get("license")
    return {
        "id": str(own_id) if isinstance(own_id, str | int) else f"{name}#{number}",
        "source": source if isinstance(source, str) and source else name,
        "license": own_license if isinstance(own_license, str) else None,
        "lane": _lane(record, content),
        "digest": digest,
        **content,
    }


def _read_object(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except UnicodeDecodeError as error:
        raise UnusableRecordError("broken_encoding", f"not UTF-8 at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        hint = "; a JSON array is read as one object a line: jq -c '.[]'" if line.lstrip()[:1] == b"[" else ""
        raise UnusableRecordError("broken_json", f"{error}{hint}") from error
    if not isinstance(record, dict):
        raise UnusableRecordError("wrong_shape", f"a record is a JSON object, this is a {type(record).__name__}")
    return record


def _conversation(record: dict[str, Any]) -> dict[str, Any]:
    if "instruction" in record:
        messages = _alpaca(record)
    else:
        messages = _system_message(record) + _messages(_message_list(record))
    if not any(message["role"] == "assistant" for message in messages):
        raise UnusableRecordError("no_assistant_turn", f"{len(messages)} messages, none by the assistant")
    _check_order(messages, last="assistant")
    return {"messages": messages}


def _preference(record: dict[str, Any]) -> dict[str, Any]:
    given = record["prompt"] if "prompt" in record else _message_list(record)
    messages = [_message("user", given)] if isinstance(given, str) else _messages(given)
    prompt = _system_message(record) + messages
    _check_order(prompt, last="user")
    chosen, rejected = (_answer(record, key, prompt=prompt) for key in ("chosen", "rejected"))
    if chosen == rejected:
        raise UnusableRecordError("chosen_equals_rejected", "both answers are the same text")
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _message_list(record: dict[str, Any]) -> object:
    for key in ("messages", "conversations"):
        if key in record:
            return record[key]
    raise UnusableRecordError("wrong_shape", f"no known shape; keys are {', '.join(sorted(record))[:200]}")


def _messages(given: object) -> list[Message]:
    if not isinstance(given, list):
        raise UnusableRecordError("wrong_shape", f"messages are a list, this is a {type(given).__name__}")
    return [_read_message(entry) for entry in given]


def _read_message(entry: object) -> Message:
    if not isinstance(entry, dict):
        raise UnusableRecordError("wrong_shape", f"a message is an object, this is a {type(entry).__name__}")
    role = entry.get("role", entry.get("from"))
    if not isinstance(role, str) or role.lower() not in _ROLE_NAMES:
        raise UnusableRecordError("unknown_role", f"role {role!r}; known are {', '.join(_ROLE_NAMES)}")
    return _message(_ROLE_NAMES[role.lower()], entry.get("content", entry.get("value")))


def _message(role: str, content: object) -> Message:
    if not isinstance(content, str):
        raise UnusableRecordError("wrong_shape", f"content of the {role} is a {type(content).__name__}, not a text")
    if not content.strip():
        raise UnusableRecordError("empty_content", f"the {role} says nothing")
    return {"role": role, "content": content}


def _system_message(record: dict[str, Any]) -> list[Message]:
    return [_message("system", record["system"])] if record.get("system") else []


def _alpaca(record: dict[str, Any]) -> list[Message]:
    parts = [part for part in (record["instruction"], record.get("input")) if part]
    if not all(isinstance(part, str) for part in parts):
        raise UnusableRecordError("wrong_shape", "instruction and input are texts")
    return [
        *_system_message(record),
        _message("user", "\n".join(parts)),
        _message("assistant", record.get("output")),
    ]


def _answer(record: dict[str, Any], key: str, *, prompt: list[Message]) -> str:
    given = record.get(key)
    if isinstance(given, list) and len(given) > 1:  # the whole conversation, prompt and answer
        *before, answer = _messages(given)
        if before[-1]["content"] != prompt[-1]["content"] or answer["role"] != "assistant":
            raise UnusableRecordError("wrong_shape", f"{key} repeats another prompt than its own")
        return answer["content"]
    if isinstance(given, list) and len(given) == 1:
        given = given[0]
    if isinstance(given, dict):
        return _read_message(given)["content"]
    return _message("assistant", given)["content"]


def _check_order(messages: list[Message], *, last: str) -> None:
    roles = [message["role"] for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    expected = [("user", "assistant")[turn % 2] for turn in range(len(turns))]
    if turns != expected or turns[-1:] != [last]:
        shown = " ".join(roles[:8])
        raise UnusableRecordError("role_order", f"{shown}: user and assistant take turns, the {last} is last")


def _lane(record: dict[str, Any], content: dict[str, Any]) -> str:
    """The record's own `lang` if it is one of ours, else by the share of Han among the letters."""
    if record.get("lang") in ("zh", "en"):
        return str(record["lang"])
    messages = content.get("messages") or content["prompt"]
    text = "".join(message["content"] for message in messages) + content.get("chosen", "")
    num_letters = sum(map(str.isalpha, text))
    return "zh" if num_letters and len(_HAN.findall(text)) >= MIN_HAN_SHARE * num_letters else "en"
