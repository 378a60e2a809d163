"""The Signer: what a row of BANDS holds."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.dedup.minhash import bands_and_rows
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.dedup.verify import Sketches, similarities
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.duplicates import BANDS

Documents = Callable[..., pa.RecordBatch]


def test_row_holds_signature_bands_and_sketch(documents: Documents, essays: list[str]) -> None:
    """A document has its key, 128 bits, its number of shingles, a key per band and a sketch of at most k hashes."""
    signed = Signer(DedupConfig(sketch_size=64)).sign(documents([*essays, "太短了"], first_key=7))
    num_bands, _ = bands_and_rows(0.8, 128)
    assert signed.schema.equals(BANDS)
    assert signed["key"].to_pylist() == list(range(7, 13))
    assert [len(each) for each in signed["bands"].to_pylist()] == [num_bands] * 5 + [0]
    assert [len(each) for each in signed["sketch"].to_pylist()] == [64 * 4] * 5 + [0]
    assert all(200 < each < 400 for each in signed["num_shingles"].to_pylist()[:5])
    assert signed["num_shingles"][5].as_py() == 0


def test_near_off_leaves_the_exact_signature(documents: Documents, essays: list[str]) -> None:
    """With `near: false` documents have no bands and no sketch, and the same 128 bits as before."""
    batch = documents(essays)
    near, exact = Signer(DedupConfig()).sign(batch), Signer(DedupConfig(near=False)).sign(batch)
    assert exact["bands"].to_pylist() == [[]] * 5
    assert exact["sketch"].to_pylist() == [b""] * 5
    assert exact["exact_high"].equals(near["exact_high"])
    assert exact["exact_low"].equals(near["exact_low"])


def test_signature_depends_on_nothing_but_the_text(documents: Documents, essays: list[str]) -> None:
    """Alone, in a batch of several megabytes, or in a slice of one, a text has the same signature."""
    signer = Signer(DedupConfig())
    long = essays[0] * 2000
    together = signer.sign(documents([essays[0], long, *essays[1:], "", long]).slice(1))
    assert together.num_rows == 7
    for row, text in enumerate([long, *essays[1:]]):
        alone = signer.sign(documents([text], first_key=row + 1))
        assert together.slice(row, 1).to_pylist() == alone.to_pylist()


def test_no_documents_give_no_rows(documents: Documents) -> None:
    """An empty batch is signed to an empty batch of the right schema."""
    signed = Signer(DedupConfig()).sign(documents([]))
    assert signed.num_rows == 0
    assert signed.schema.equals(BANDS)


@pytest.mark.parametrize("lane", ["en", "code"])
def test_words_are_shingled_where_there_are_no_characters(documents: Documents, lane: str) -> None:
    """English text has word 3-grams: n words give n - 2 shingles; in code each operator counts as a word."""
    words = " ".join(f"word{i} +" for i in range(30))
    signed = Signer(DedupConfig()).sign(documents([words], lane=lane))
    assert signed["num_shingles"].to_pylist() == [28 if lane == "en" else 58]


def test_latin_names_do_not_break_han_text(documents: Documents) -> None:
    """A text in which no Han run is five characters long still has shingles, and is found alike when one is changed."""
    text = (
        "用 Python 写 Beam 的管道，在 Flink 上跑，比 Spark 省心；用 Rust 写 kernel，用 Arrow 传数据，用 Parquet 存。"
        * 2
    )
    text += "最后在 Grafana 看 latency，在 Prefect 看 flow，在 GitHub 提 issue，在 Slack 里问 Alice 和 Bob。"
    signed = pa.Table.from_batches([Signer(DedupConfig()).sign(documents([text, text.replace("Alice", "Carol")]))])
    jaccard, _ = similarities(Sketches.of(signed), Sketches.of(signed), np.array([[0, 1]]), sketch_size=256)
    assert 0.8 < jaccard[0] < 1


def test_renamed_licence_header_leaves_an_exact_copy(documents: Documents) -> None:
    """A source file under another licence has its exact signature and other shingles; as prose it has neither."""
    code = "\n".join(f"int step{i}(int x) {{ return x * {i}; }}" for i in range(12))
    texts = [
        f"// Copyright 2014 Example.\n{code}",
        f"/* Licensed to the Second Foundation\n * under the MIT licence */\n{code}",
        code,
    ]
    signed = Signer(DedupConfig()).sign(documents(texts, lane="code"))
    assert len(set(signed["exact_high"].to_pylist())) == len(set(signed["exact_low"].to_pylist())) == 1
    assert len(set(signed["num_shingles"].to_pylist())) == 3
    assert len(set(Signer(DedupConfig()).sign(documents(texts, lane="en"))["exact_high"].to_pylist())) == 3
