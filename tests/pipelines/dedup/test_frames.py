"""Frames of a shuffle: whatever way they are joined, every content comes out once under its kind."""

from collections import defaultdict

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.dedup.frames import frame, frames, table_bytes, table_of

SCHEMA = pa.schema([("key", pa.uint64()), ("text", pa.string())])


@given(st.lists(st.tuples(st.integers(-(1 << 63), (1 << 63) - 1), st.binary(max_size=40))), st.data())
def test_nothing_is_lost_or_mixed(contents: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """Contents of every kind in their order, empty ones too, however many frames stand in one piece."""
    packed, piece = [], b""
    for kind, content in contents:
        piece += frame(kind, content)
        if data.draw(st.booleans()):
            packed.append(piece)
            piece = b""
    expected = defaultdict(list)
    for kind, content in contents:
        expected[kind].append(content)
    assert frames([*packed, piece]) == expected


def test_tables_travel_as_streams() -> None:
    """Rows of several tables one after the other; none gives no rows, but the columns."""
    one = pa.table({"key": [1, 2], "text": ["春", None]}, schema=SCHEMA)
    other = pa.table({"key": [2**64 - 1], "text": ["x"]}, schema=SCHEMA)
    assert table_of([table_bytes(one), table_bytes(other)], SCHEMA).equals(pa.concat_tables([one, other]))
    assert table_of([], SCHEMA).equals(SCHEMA.empty_table())
