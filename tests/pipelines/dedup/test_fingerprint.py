"""One tokenisation for bands and lines: cuts at lines and sentences do not change what is signed."""

import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.fingerprint import Fingerprinter
from ctllm.pipelines.dedup.sentences import cut_prose, list_marks
from ctllm.pipelines.dedup.signature import Signer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.duplicates import BANDS
from ctllm.schemas.lines import LINES, REPEATS

BESIDE_CUTS = "\t\n\v\f\r \u3000\u00a0.!?。！？…\"')]”’」』】）》"
ALPHABET = BESIDE_CUTS + "a\u0301\u0338é㎡か゛甲乙丙1{}=_-"


def _config(**dedup: object) -> CurationConfig:
    lines = {"min_sentence_tokens": 2, "min_tokens": 1, "across_documents": 2}
    return CurationConfig.model_validate({"lines": lines, "dedup": {"min_shingles": 1, **dedup}})


def _documents(texts: list[str], lanes: list[str]) -> pa.RecordBatch:
    return pa.record_batch({
        "key": pa.array(range(len(texts)), pa.uint64()), "lane": pa.array(lanes, pa.string()),
        "url": pa.array([None] * len(texts), pa.string()), "text": pa.array(texts, pa.large_string()),
    })  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.text(ALPHABET, max_size=40), st.sampled_from(["zh", "en", "code"])), max_size=4))
def test_bands_are_those_of_the_whole_texts(rows: list[tuple[str, str]]) -> None:
    """Signed with the tokens of lines and sentences, each text has the bands that it has alone."""
    documents = _documents([text for text, _ in rows], [lane for _, lane in rows])
    for form in ({"form": "folded"}, {"form": "verbatim"}, {"form": "verbatim", "shingle_hash": "sha1"}):
        config = _config(**form)
        measured = Fingerprinter(config).measure(documents, TextBatch.of(documents.column("text")))
        assert measured["bands"].equals(Signer(config.dedup).sign(documents))


def test_nothing_composes_with_what_stands_before_a_cut() -> None:
    """Of all characters that others compose with, none does with white space, an end or a closer before it."""
    characters = [chr(code) for code in range(1, 0x30000) if not 0xD800 <= code < 0xE000]
    texts = [text for each in characters for text in (f"{each}乙。", f"甲。{each}乙", f"甲{each} 乙")]
    batch = TextBatch.of(pa.array(texts, pa.large_string()))
    found = cut_prose(batch.codepoints, batch.offsets, marks=list_marks(batch.codepoints), min_chars=1)
    cuts = np.concatenate([found.starts_S, found.ends_S])
    cuts = cuts[~np.isin(cuts, batch.offsets)]  # where texts begin and end nothing composes anyway
    assert {chr(code) for code in batch.codepoints[cuts - 1]} == set(BESIDE_CUTS)
    composed = (unicodedata.decomposition(chr(code)) for code in range(0x110000))
    seconds = {chr(int(each.split()[1], 16)) for each in composed if each and each[0] != "<" and " " in each}
    seconds |= {chr(code) for code in range(0x110000) if unicodedata.combining(chr(code))}
    for before in BESIDE_CUTS:
        alone = unicodedata.normalize("NFKC", before)
        for second in seconds:
            assert unicodedata.normalize("NFKC", before + second) == alone + unicodedata.normalize("NFKC", second)


def test_all_slices_are_measured() -> None:
    """Texts beyond the size of a slice have their rows, in order, as if each were alone; of none there are none."""
    texts = [f"第{number}条规定了办法。" * 50_000 for number in range(3)]
    documents = _documents(texts, ["zh"] * 3)
    fingerprinter = Fingerprinter(_config())
    measured = fingerprinter.measure(documents, TextBatch.of(documents.column("text")))
    for name in ("bands", "lines", "repeats"):
        alone = [
            fingerprinter.measure(one, TextBatch.of(one.column("text")))[name]
            for one in (documents.slice(row, 1) for row in range(3))
        ]
        assert pa.Table.from_batches([measured[name]]).equals(pa.Table.from_batches(alone).combine_chunks())
        assert np.unique(measured[name]["key"].to_numpy()).tolist() == [0, 1, 2]
    empty = _documents([], [])
    nothing = fingerprinter.measure(empty, TextBatch.of(empty.column("text")))
    assert [each.schema for each in nothing.values()] == [BANDS, LINES, REPEATS]
