"""What the tests of the readers share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.pipelines.sources.reader import READERS
from ctllm.pipelines.sources.records import Failure, Record, RecordBlock
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import SourceConfig

Read = Callable[..., list[Record | Failure]]


@pytest.fixture
def read() -> Read:
    """Everything that the reader of a file's format yields, over all of its splits."""

    def read_all(path: Path | str, **config: object) -> list[Record | Failure]:
        sources = SourceConfig.model_validate(config)
        splits = plan_splits([str(path)], config=sources)
        found = (each for split in splits for each in READERS[split.format](split, config=sources))
        return [row for each in found for row in (_rows(each) if isinstance(each, RecordBlock) else [each])]

    return read_all


def _rows(block: RecordBlock) -> list[Record | Failure]:
    texts = block.texts.to_pylist()
    return [record._replace(text=text) for record, text in zip(block.records, texts, strict=True)]
