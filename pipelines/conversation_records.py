"""One record of chat data to conversations or preference pairs, or the reason why it cannot become one.

| form | record |
|---|---|
| OpenAI | {messages: [{role, content}]}; content a text or its parts |
| ShareGPT | {conversations: [{from, value}], system} |
| Alpaca, COIG-CQIA | {instruction, input, output, history, system} |
| OpenAssistant | message trees (message_trees.py) |
| pairs | {prompt, chosen, rejected}; the prompt a text, messages, or in any of the forms above |

Answers of pairs are texts, messages, lists of one message or of the whole conversation; in Alpaca's form also the two
texts of `output`, the better first. Knows no framework.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from ctllm.pipelines.message_trees import ROLES as TREE_ROLES
from ctllm.pipelines.message_trees import Node, conversation_of, is_tree, pairs_of
from ctllm.schemas.conversations import ROLES, ConversationFailureKind, ConversationKind

Message = dict[str, str]
Record = dict[str, Any]

_ROLE_NAMES = {
    **{role: role for role in ROLES},
    **{"human": "user", "gpt": "assistant", "chatgpt": "assistant"},  # ShareGPT's names
    "developer": "system",  # OpenAI's newer name
}
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
MIN_HAN_SHARE = 0.3  # as LanguageConfig.min_han_share


class UnusableRecordError(Exception):
    """A record that cannot be used; `kind` says why and the message what was found."""

    def __init__(self, kind: ConversationFailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def parse_records(
    data: bytes | Record, kind: ConversationKind, *, name: str, number: int
) -> list[Record | UnusableRecordError]:
    """The rows of CONVERSATIONS or PREFERENCES that a line of JSON holds; `name#number` is the id where it has none.

    One row, or for pairs out of a tree as many as it has, unusable ones among them. Raises UnusableRecordError when
    nothing can be used.
    """
    record = data if isinstance(data, dict) else _read_object(data)
    if not is_tree(record):
        return [_row(_content(record, kind), record, name=name, number=number)]
    origin = {"id": record["message_tree_id"], "lang": record.get("lang") or record["prompt"].get("lang")}
    if record.get("orphans"):
        raise UnusableRecordError("wrong_shape", f"{record['orphans']} messages of the tree have no parent in it")
    if kind == "sft":
        messages = _said(conversation_of(record))
        return [_row(_checked_conversation(messages), origin, name=name, number=number)]
    rows: list[Record | UnusableRecordError] = []
    for path, chosen, rejected in pairs_of(record):
        own = {**origin, "id": f"{origin['id']}#{len(rows)}"}
        try:
            content = _checked_pair(_said(path), chosen["text"], rejected["text"])
            rows.append(_row(content, own, name=name, number=number))
        except UnusableRecordError as error:
            rows.append(error)
    if not rows:
        raise UnusableRecordError("no_assistant_turn", "no two answers of the tree have different ranks")
    return rows


def _content(record: Record, kind: ConversationKind) -> Record:
    return _conversation(record) if kind == "sft" else _preference(record)


def _row(content: Record, record: Record, *, name: str, number: int) -> Record:
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


def _said(path: Iterable[Node]) -> list[Message]:
    """The messages of nodes of a tree."""
    return [_message(TREE_ROLES.get(str(node.get("role")), "assistant"), node.get("text")) for node in path]


def _read_object(line: bytes) -> Record:
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


def _conversation(record: Record) -> Record:
    if "instruction" in record:
        return _checked_conversation([*_alpaca_prompt(record), _message("assistant", record.get("output"))])
    return _checked_conversation(_system_message(record) + _messages(_message_list(record)))


def _checked_conversation(messages: list[Message]) -> Record:
    if not any(message["role"] == "assistant" for message in messages):
        raise UnusableRecordError("no_assistant_turn", f"{len(messages)} messages, none by the assistant")
    _check_order(messages, last="assistant")
    return {"messages": messages}


def _preference(record: Record) -> Record:
    if "instruction" in record:
        prompt = _alpaca_prompt(record)
        output = record.get("output")
        if "chosen" not in record and isinstance(output, list) and len(output) == 2:  # LLaMA-Factory's older pairs
            record = {**record, "chosen": output[0], "rejected": output[1]}
    else:
        given = record["prompt"] if "prompt" in record else _message_list(record)
        messages = [_message("user", given)] if isinstance(given, str) else _messages(given)
        prompt = _system_message(record) + messages
    chosen, rejected = (_answer(record, key, prompt=prompt) for key in ("chosen", "rejected"))
    return _checked_pair(prompt, chosen, rejected)


def _checked_pair(prompt: list[Message], chosen: str, rejected: str) -> Record:
    _check_order(prompt, last="user")
    if chosen == rejected:
        raise UnusableRecordError("chosen_equals_rejected", "both answers are the same text")
    return {"prompt": prompt, "chosen": chosen, "rejected": rejected}


def _message_list(record: Record) -> object:
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
    if isinstance(content, list):
        content = _joined_parts(role, content)
    if not isinstance(content, str):
        found = "is missing" if content is None else f"is a {type(content).__name__}, not a text"
        raise UnusableRecordError("wrong_shape", f"content of the {role} {found}")
    if not content.strip():
        raise UnusableRecordError("empty_content", f"the {role} says nothing")
    return {"role": role, "content": content}


def _joined_parts(role: str, parts: list[Any]) -> str:
    """OpenAI's content in parts, if all of them are text."""
    kinds = {part.get("type") if isinstance(part, dict) else type(part).__name__ for part in parts}
    if kinds != {"text"}:
        raise UnusableRecordError(
            "wrong_shape", f"content of the {role} has parts that are no text: {sorted(map(str, kinds))}"
        )
    return "".join(str(part.get("text", "")) for part in parts)


def _system_message(record: Record) -> list[Message]:
    return [_message("system", record["system"])] if record.get("system") else []


def _alpaca_prompt(record: Record) -> list[Message]:
    """System, the turns before (`history`, pairs of question and answer) and the instruction with its input."""
    parts = [part for part in (record["instruction"], record.get("input")) if part]
    if not all(isinstance(part, str) for part in parts):
        raise UnusableRecordError("wrong_shape", "instruction and input are texts")
    history = record.get("history") or []
    if not isinstance(history, list) or not all(isinstance(turn, list) and len(turn) == 2 for turn in history):
        raise UnusableRecordError("wrong_shape", "history is a list of [question, answer]")
    before = [_message(role, text) for turn in history for role, text in zip(("user", "assistant"), turn, strict=True)]
    return [*_system_message(record), *before, _message("user", "\n".join(parts))]


def _answer(record: Record, key: str, *, prompt: list[Message]) -> str:
    if record.get(key) is None:
        raise UnusableRecordError("one_sided", f"no {key} answer")
    given = record[key]
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


def _lane(record: Record, content: Record) -> str:
    """The record's own `lang` if it is one of ours, else by the share of Han among the letters."""
    if record.get("lang") in ("zh", "en"):
        return str(record["lang"])
    messages = content.get("messages") or content["prompt"]
    text = "".join(message["content"] for message in messages) + content.get("chosen", "")
    num_letters = sum(map(str.isalpha, text))
    return "zh" if num_letters and len(_HAN.findall(text)) >= MIN_HAN_SHARE * num_letters else "en"
