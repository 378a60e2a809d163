"""What SFT and DPO read: conversations and preference pairs as Parquet, and the records that could not become one."""

from typing import Any, Literal

import pyarrow as pa

ConversationKind = Literal["sft", "preference"]

ROLES = ("system", "user", "assistant")
"""A conversation is an optional system message, then user and assistant in turn."""

MESSAGES = pa.list_(
    pa.struct(
        [
            pa.field("role", pa.string(), nullable=False, metadata={"meaning": "system | user | assistant"}),
            pa.field("content", pa.string(), nullable=False, metadata={"meaning": "as given, never trimmed"}),
        ]
    )
)

_ORIGIN = [
    pa.field("id", pa.string(), nullable=False, metadata={"meaning": "the record's own, or file name#line"}),
    pa.field("source", pa.string(), nullable=False, metadata={"meaning": "the record's own, or the file name"}),
    pa.field("license", pa.string()),
    pa.field(
        "lane",
        pa.string(),
        nullable=False,
        metadata={"meaning": "zh | en: the record's own `lang`, else by the share of Han letters"},
    ),
    pa.field("digest", pa.string(), nullable=False, metadata={"meaning": "blake2b-128 of the messages, hex"}),
]

CONVERSATIONS = pa.schema([*_ORIGIN, pa.field("messages", MESSAGES, nullable=False)])

PREFERENCES = pa.schema(
    [
        *_ORIGIN,
        pa.field("prompt", MESSAGES, nullable=False, metadata={"meaning": "ends with a user message"}),
        pa.field("chosen", pa.string(), nullable=False, metadata={"meaning": "the preferred answer"}),
        pa.field("rejected", pa.string(), nullable=False, metadata={"meaning": "the other answer"}),
    ]
)

TABLES: dict[ConversationKind, tuple[str, pa.Schema]] = {
    "sft": ("conversations", CONVERSATIONS),
    "preference": ("preferences", PREFERENCES),
}
"""Kind to the name of its directory and its schema."""

ConversationFailureKind = Literal[
    "benchmark_item",
    "broken_encoding",
    "broken_json",
    "chosen_equals_rejected",
    "duplicate",
    "empty_content",
    "empty_file",
    "near_duplicate",
    "no_assistant_turn",
    "one_sided",
    "role_order",
    "unknown_role",
    "unreadable",
    "wrong_shape",
]

_FAILURE_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("path", pa.string(), nullable=False, metadata={"meaning": "input file, as given"}),
    pa.field("line", pa.int64(), nullable=False, metadata={"unit": "lines, from 1; 0 = the file as a whole"}),
    pa.field("error", pa.string(), nullable=False, metadata={"meaning": "a member of ConversationFailureKind"}),
    pa.field("message", pa.string(), nullable=False),
    pa.field("first_bytes", pa.binary(), nullable=False, metadata={"unit": "up to 200 bytes"}),
]
CONVERSATION_FAILURES = pa.schema(_FAILURE_FIELDS)
