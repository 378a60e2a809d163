"""Several kinds of content under one key of a shuffle: frames that say their kind and length, joined in any order."""

import struct
from collections import defaultdict
from collections.abc import Iterable

import pyarrow as pa

_HEADER = struct.Struct("<qq")


def frame(kind: int, content: bytes) -> bytes:
    """`content` with its kind and length before it."""
    return _HEADER.pack(kind, len(content)) + content


def frames(packed: Iterable[bytes]) -> defaultdict[int, list[memoryview]]:
    """Kind to its contents, not copied, of any number of frames joined in any way."""
    found: defaultdict[int, list[memoryview]] = defaultdict(list)
    for each in packed:
        whole = memoryview(each)
        start = 0
        while start < len(each):
            kind, size = _HEADER.unpack_from(each, start)
            start += _HEADER.size
            found[kind].append(whole[start : start + size])
            start += size
    return found


def table_bytes(table: pa.Table) -> bytes:
    """`table` as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def table_of(streams: Iterable[bytes | memoryview], schema: pa.Schema) -> pa.Table:
    """The rows of Arrow streams, one after the other."""
    return pa.concat_tables([schema.empty_table(), *(pa.ipc.open_stream(each).read_all() for each in streams)])
