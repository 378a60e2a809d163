"""Verdicts: every reason has one meaning, and what a rule measured comes back from the file as it was."""

import tempfile
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.schemas import verdict
from ctllm.schemas.duplicates import DUPLICATES, PAIRS
from ctllm.schemas.files import read_parquet, write_parquet
from ctllm.schemas.rules import RulesConfig

REASON = st.tuples(st.text(max_size=5), st.floats(), st.floats()).map(
    lambda each: dict(zip(("reason", "value", "threshold"), each, strict=True))
)
VERDICT = st.tuples(
    st.integers(0, 2**64 - 1),
    st.sampled_from(["zh", "en", "code", "other"]),
    st.booleans(),
    st.lists(REASON, max_size=3),
).map(lambda each: dict(zip(("key", "lane", "kept", "reasons"), each, strict=True)))


@pytest.mark.parametrize("zh_set", ["zh", "ctllm_zh"])
def test_no_reason_has_two_meanings(zh_set: Any) -> None:
    """What removes a document without being a rule bears the name of no rule of any lane, and each its own."""
    others = [*verdict.COPIES.values(), verdict.OTHER_LANGUAGE, verdict.NOTHING_LEFT]
    rules = {rule.name for ruleset in RulesConfig(zh_set=zh_set).by_lane().values() for rule in ruleset.rules()}
    assert len(set(others)) == len(others) == 5
    assert not rules & set(others)


@pytest.mark.parametrize("schema", [PAIRS, DUPLICATES])
def test_every_kind_of_copy_has_its_reason(schema: pa.Schema) -> None:
    """The kinds that pairs and duplicates may have, as their schemas list them, are those with a reason."""
    assert schema.field("kind").metadata[b"meaning"].decode().split(" | ") == list(verdict.COPIES)


@given(st.lists(VERDICT, max_size=4))
def test_verdicts_come_back_from_their_file(rows: list[dict[str, Any]]) -> None:
    """Order of reasons, infinite values and values that were never measured (NaN) survive, keys above 2^63 too."""
    with tempfile.TemporaryDirectory() as directory:
        write_parquet(f"{directory}/verdicts.parquet", pa.Table.from_pylist(rows, schema=verdict.VERDICTS))
        back = read_parquet(f"{directory}/verdicts.parquet")
    assert back.schema.equals(verdict.VERDICTS)
    assert repr(back.to_pylist()) == repr(rows)  # as text: NaN equals NaN there
