"""Tests of turning a split into Arrow batches."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.sources.reader import MAX_BATCH_BYTES, MAX_BATCH_DOCUMENTS, SourceBatch, read_batches
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import CurationConfig, SourceConfig
from ctllm.schemas.document import DOCUMENTS, FAILURES, document_keys


@pytest.fixture(scope="module")
def identifier() -> LanguageIdentifier:
    """The installed model."""
    return LanguageIdentifier.load()


def batches(path: Path, identifier: LanguageIdentifier, config: CurationConfig) -> Iterator[SourceBatch]:
    """All batches of a file."""
    for split in plan_splits([str(path)], config=config.sources):
        yield from read_batches(split, config=config, identifier=identifier)


def write_rows(path: Path, rows: list[object]) -> Path:
    """JSON Lines."""
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def test_a_document_carries_all_that_is_known(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """Key, provenance, language, script and normalised text of a record, in the schema's types."""
    path = write_rows(
        tmp_path / "a.jsonl", [{"text": "他們走了。\r\n\x00再見。", "id": "i", "url": "http://a", "license": "MIT"}]
    )
    (batch,) = batches(path, identifier, CurationConfig(snapshot=3))
    assert batch.documents.schema == DOCUMENTS
    assert batch.failures.schema == FAILURES
    assert batch.failures.num_rows == 0
    assert batch.documents.to_pylist() == [
        {
            "key": 3 << 52, "id": "i", "url": "http://a", "source": "a", "snapshot": 3, "path": str(path),
            "title": None, "date": None, "license": "MIT", "lane": "zh", "lang": "zh", "lang_score": 1.0,
            "script": "hant", "charset": "utf-8", "repair": None, "text": "他們走了。\n再見。",
        }
    ]  # fmt: skip


def test_mojibake_is_repaired_and_noted(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """A text read in the wrong charset is read again, in Chinese, unless that is off; programs are left as they are."""
    text = "他们在这里的工作，是为了说明：国家与个人之间的关系。"
    wrong = text.encode().decode("latin-1")
    path = write_rows(tmp_path / "a.jsonl", [{"text": wrong}, {"text": text}, {"text": wrong, "path": "a.py"}])
    (batch,) = batches(path, identifier, CurationConfig())
    assert batch.documents["repair"].to_pylist() == ["latin-1>utf-8", None, None]
    assert batch.documents["text"].to_pylist()[:2] == [text, text]
    assert batch.documents["lane"].to_pylist()[:2] == ["zh", "zh"]
    (batch,) = batches(path, identifier, CurationConfig(sources=SourceConfig(repair_mojibake=False)))
    assert batch.documents["repair"].to_pylist() == [None] * 3


def test_every_record_is_a_document_or_a_failure(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """Blank texts, half surrogate pairs (in text or id) and oversized texts are counted; keys have no gaps."""
    rows = [
        {"text": "一"},
        {"text": " \r\n\x00"},
        {"text": "a\ud800"},
        {"text": "b", "id": "\udfff"},
        {"text": "二"},
        {"text": "三" * 2000},
        {},
    ]
    path = write_rows(tmp_path / "a.jsonl", rows)
    config = CurationConfig(sources=SourceConfig(max_document_bytes=5000))
    path.write_text(path.read_text() + '\n{"text": "' + "四" * 1000 + '"}')
    (batch,) = batches(path, identifier, config)
    assert batch.documents["text"].to_pylist() == ["一", "二", "四" * 1000]
    assert batch.documents["key"].to_pylist() == [0, 1, 2]
    assert batch.failures["error"].to_pylist() == [
        "empty_text",
        "broken_encoding",
        "broken_encoding",
        "too_large",
        "missing_text",
    ]
    assert batch.failures["path"].to_pylist() == [str(path)] * 5
    assert batch.failures["offset"].to_pylist() == [
        path.read_text().index(each)
        for each in ('{"text": " ', '{"text": "a', '{"text": "b', '{"text": "\\u4e09', "{}")
    ]


def test_batches_are_bounded_by_documents(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """4,096 documents fill a batch; keys run on over batches."""
    num_rows = MAX_BATCH_DOCUMENTS + 1
    path = write_rows(tmp_path / "a.jsonl", [{"text": "字"}] * num_rows)
    found = list(batches(path, identifier, CurationConfig()))
    assert [batch.documents.num_rows for batch in found] == [MAX_BATCH_DOCUMENTS, 1]
    keys = np.concatenate([batch.documents["key"].to_numpy() for batch in found])
    assert np.array_equal(keys, document_keys(snapshot=0, split=0, first_row=0, num_rows=num_rows))


def test_batches_are_bounded_by_bytes(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """8 MiB of text fill a batch exactly; a larger document is a batch of its own."""
    half = MAX_BATCH_BYTES // 2
    path = write_rows(tmp_path / "a.jsonl", [{"text": "x" * size} for size in (half, half, 1, MAX_BATCH_BYTES + 1, 1)])
    found = list(batches(path, identifier, CurationConfig()))
    assert [batch.documents.num_rows for batch in found] == [2, 1, 1, 1]


def test_batches_are_bounded_by_failures(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """A file of broken lines alone does not gather them all in memory."""
    path = tmp_path / "a.jsonl"
    path.write_text("{broken\n" * (MAX_BATCH_DOCUMENTS + 1))
    found = list(batches(path, identifier, CurationConfig()))
    assert [(batch.documents.num_rows, batch.failures.num_rows) for batch in found] == [
        (0, MAX_BATCH_DOCUMENTS),
        (0, 1),
    ]
    assert all(batch.documents.schema == DOCUMENTS for batch in found)


def test_a_file_that_vanishes_is_a_failure(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """What was there when the run was planned and cannot be read now is counted, not a crash."""
    path = write_rows(tmp_path / "a.jsonl", [{"text": "字"}])
    splits = plan_splits([str(path)], config=SourceConfig())
    path.unlink()
    (batch,) = read_batches(splits[0], config=CurationConfig(), identifier=identifier)
    assert batch.failures["error"].to_pylist() == ["unreadable"]


def test_reading_twice_gives_equal_bytes(identifier: LanguageIdentifier, tmp_path: Path) -> None:
    """The same file gives the same batches, whichever worker reads it."""
    path = write_rows(tmp_path / "a.jsonl", [{"text": f"第{row}章，天气很好。"} for row in range(50)])
    first, second = (
        pa.Table.from_batches([batch.documents for batch in batches(path, identifier, CurationConfig())])
        for _ in range(2)
    )
    assert first.equals(second)
