"""What the tests of the readers share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.pipelines.sources.reader import READERS
from ctllm.pipelines.sources.records import Failure, Record
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import SourceConfig

Read = Callable[..., list[Record | Failure]]


@pytest.fixture
def read() -> Read:
    """Everything that the reader of a file's format yields, over all of its splits."""

    def read_all(path: Path | str, **config: object) -> list[Record | Failure]:
        sources = SourceConfig.model_validate(config)
        splits = plan_splits([str(path)], config=sources)
        return [found for split in splits for found in READERS[split.format](split, config=sources)]

    return read_all
