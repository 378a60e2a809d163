"""The tokenizer as a file."""

from pathlib import Path

import pytest

from ctllm.model.tokenizer import Tokenizer
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import file_digest
from ctllm.schemas.tokens import SYMBOLS


def test_a_file_and_its_directory_are_the_same(tokenizer_directory: str) -> None:
    """Both load, and name the same file, digest and symbols."""
    of_directory, of_file = Tokenizer(tokenizer_directory), Tokenizer(f"{tokenizer_directory}/tokenizer.model")
    assert of_directory.path == of_file.path
    assert of_directory.digest == of_file.digest == file_digest(of_file.path)
    assert [of_file.symbol_id(symbol) for symbol in SYMBOLS] == [1, 2, 3, 4, 5]


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    """The message says how one is made."""
    with pytest.raises(InputError, match="train one with `ctllm tokenizer train`"):
        Tokenizer(str(tmp_path))
