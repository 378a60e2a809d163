"""Reading token shards."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ctllm.model.token_shards import TokenShards
from ctllm.schemas.errors import AccountingError, InputError


def test_a_segment_predicts_its_own_tokens(write_shards: Callable[..., TokenShards]) -> None:
    """Labels are the segment's tokens, inputs the tokens before them; the first comes after an end of document."""
    shards = write_shards([("zh", [5, 6, 7]), ("zh", [8, 9])])
    inputs, labels = shards.segment(0, 1, 4)
    assert (inputs.tolist(), labels.tolist()) == ([1, 5, 6, 7], [5, 6, 7, 1])
    inputs, labels = shards.segment(0, 5, 3)
    assert (inputs.tolist(), labels.tolist()) == ([1, 8, 9], [8, 9, 1])
    assert shards.index(0)["offset"].to_pylist() == [1, 5]


def test_incomplete_directories_are_refused(write_shards: Callable[..., TokenShards], tmp_path: Path) -> None:
    """Without a manifest, or with a shortened file, nothing is trained on by mistake."""
    with pytest.raises(InputError, match="run `ctllm tokenize`"):
        TokenShards(str(tmp_path / "nowhere"))
    shards = write_shards([("zh", [5, 6, 7])])
    path = Path(shards.directory) / "tokens" / "zh-part-00000.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(AccountingError, match="not 10 bytes long"):
        TokenShards(shards.directory)


def test_shards_of_another_tokenizer_are_refused(write_shards: Callable[..., TokenShards]) -> None:
    """When the tokenizer beside the shards is not the one they were made with, their numbers mean nothing."""
    shards = write_shards([("zh", [5, 6, 7])])
    Path(shards.tokenizer).write_bytes(b"another model")
    with pytest.raises(AccountingError, match=r"tokenizer\.model: another tokenizer than the one these"):
        TokenShards(shards.directory)


@pytest.mark.parametrize("name", ["tokens/zh-part-00000.bin", "documents/zh-part-00000.parquet"])
def test_changed_bytes_are_found(write_shards: Callable[..., TokenShards], name: str) -> None:
    """A file of the right length with other bytes is named when the shards are verified."""
    shards = write_shards([("zh", [5, 6, 7])])
    shards.verify()
    path = Path(shards.directory) / name
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    with pytest.raises(AccountingError, match=f"{path.name}: missing or changed"):
        TokenShards(shards.directory).verify()
