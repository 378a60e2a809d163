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
