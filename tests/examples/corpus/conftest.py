"""The example corpus, built once for all tests of its parts."""

from pathlib import Path

import pytest

from ctllm.examples.corpus.build import build_corpus
from ctllm.examples.corpus.expected import Expected


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Expected]]:
    """The corpus, built once."""
    out = tmp_path_factory.mktemp("build") / "corpus"
    return out, build_corpus(out)
