"""Measuring a batch gives one row of SIGNALS per document, whatever the batch."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.signals.measure import Measurer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import DOCUMENTS
from ctllm.schemas.signals import SIGNALS

TEXTS = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("汉𠀀👩\u200d👧Ａ的。\n")), max_size=5
)


@pytest.fixture(scope="module")
def measurer() -> Measurer:
    """One measurer for all tests of this file."""
    return Measurer(CurationConfig())


def documents(texts: list[str]) -> pa.RecordBatch:
    """A batch of DOCUMENTS with these texts."""
    columns = {"text": texts, "key": range(len(texts)), "lang_score": [1.0] * len(texts)}
    blank = {field.name: ["" if pa.types.is_string(field.type) else 0] * len(texts) for field in DOCUMENTS}
    return pa.RecordBatch.from_pydict(blank | columns, schema=DOCUMENTS)


@given(texts=TEXTS)
def test_a_document_measures_the_same_alone_and_in_any_batch(measurer: Measurer, texts: list[str]) -> None:
    """Signals depend on the text only, so the number of workers and the size of batches change nothing."""
    together = measurer.measure(documents(texts))
    assert together.schema == SIGNALS
    assert together.column("num_chars").to_pylist() == [len(text) for text in texts]
    assert together.column("num_bytes").to_pylist() == [len(text.encode()) for text in texts]
    for row in range(len(texts)):
        alone = measurer.measure(documents(texts).slice(row, 1))
        assert alone.to_pylist() == together.slice(row, 1).to_pylist()


def test_texts_that_are_decoded_already_measure_the_same(measurer: Measurer) -> None:
    """With code points passed in, a batch cut into several slices gives each document the signals it has alone."""
    texts = [unit * 60_000 for unit in ("今天天气好。\n", "one word ", "👩‍👧é。\n")] + [""]
    batch = documents(texts)
    together = measurer.measure(batch, TextBatch.of(batch.column("text")))
    alone = [measurer.measure(batch.slice(row, 1)).to_pylist()[0] for row in range(len(texts))]
    assert together.to_pylist() == alone


@given(texts=TEXTS)
def test_signals_are_finite_and_shares_lie_between_zero_and_one(measurer: Measurer, texts: list[str]) -> None:
    """No text, not the empty one either, measures as NaN, infinite or more than everything."""
    signals = measurer.measure(documents([*texts, ""]))
    for field in [each for each in list(SIGNALS)[1:] if not each.nullable]:
        values = np.asarray(signals.column(field.name))
        assert np.isfinite(values).all()
        if field.metadata[b"unit"] == b"share":
            assert ((values >= 0) & (values <= 1)).all(), field.name
