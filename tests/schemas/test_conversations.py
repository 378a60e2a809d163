"""The tables of chat data."""

from ctllm.schemas import conversations


def test_every_kind_has_a_table_with_an_origin() -> None:
    """Both kinds name a directory of their own and start with id, source, licence, lane and digest."""
    names = [name for name, _ in conversations.TABLES.values()]
    assert names == ["conversations", "preferences"]
    for _, schema in conversations.TABLES.values():
        assert schema.names[:5] == ["id", "source", "license", "lane", "digest"]


def test_messages_are_never_null() -> None:
    """Role and content are required in every message of both tables."""
    for name, (_, schema) in zip(("messages", "prompt"), conversations.TABLES.values(), strict=True):
        message = schema.field(name).type.value_type
        assert [field.nullable for field in message] == [False, False]
