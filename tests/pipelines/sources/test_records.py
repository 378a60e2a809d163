"""What readers yield."""

from typing import get_args

import pytest

from ctllm.pipelines.sources.records import NUM_FIRST_BYTES, Failure, Record
from ctllm.schemas.document import DOCUMENTS, FAILURES, FailureKind


def test_a_record_says_nothing_that_documents_cannot_hold() -> None:
    """Whatever a source knows of a text has a column of the documents' table; nothing is dropped on the way."""
    known = set(Record._fields) - {"path", "offset"}  # where it came from is in its key
    assert known - set(DOCUMENTS.names) == {"code_language"}  # which becomes `lang`


def test_a_plain_record_claims_nothing() -> None:
    """A text without metadata is UTF-8 that needed no repair, and everything else is unknown, not empty."""
    record = Record("a", 0, "文")
    assert (record.charset, record.repair) == ("utf-8", None)
    unset = set(Record._fields) - {"id", "offset", "text", "charset"}
    assert {name: getattr(record, name) for name in unset} == dict.fromkeys(unset)


@pytest.mark.parametrize("given", [Record("a", 0, "文"), Failure(0, "broken_json", "why")])
def test_what_was_read_stays_as_it_was(given: Record | Failure) -> None:
    """Nothing downstream changes a record or its place, nor adds to it."""
    with pytest.raises(AttributeError):
        given.offset = 1  # type: ignore[misc]
    assert not hasattr(given, "__dict__")


def test_failures_fit_their_table() -> None:
    """The bytes that are kept of a bad record are as many as the table says, and every kind of failure is a word."""
    assert FAILURES.field("first_bytes").metadata[b"unit"] == f"up to {NUM_FIRST_BYTES} bytes".encode()
    assert set(Failure._fields) - {"offset"} <= set(FAILURES.names) | {"path"}
    assert all(kind.replace("_", "").isalpha() for kind in get_args(FailureKind))
