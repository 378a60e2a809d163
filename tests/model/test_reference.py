"""The reference as a product: keyed by pairs and weights, checked when it is read."""

from pathlib import Path

import pyarrow as pa
import pytest
import torch

from ctllm.model.checkpoint import load_model
from ctllm.model.preference_pairs import Pair, score_pairs, tokenize_pairs
from ctllm.model.reference import REFERENCE, load_reference
from ctllm.model.shared_work import ALONE, SharedWork
from ctllm.model.tokenizer import Tokenizer
from ctllm.model.transformer import Transformer
from ctllm.schemas.errors import AccountingError
from ctllm.schemas.files import list_files, read_parquet, write_parquet
from ctllm.schemas.progress import ProgressEvent

Groups = tuple[list[Pair], list[Pair]]


@pytest.fixture
def groups(tokenizer_directory: str) -> Groups:
    """Eighteen pairs to train on, three batches, and nine held out, two."""
    rows = [
        {
            "id": "p",
            "source": "s",
            "lane": "zh",
            "prompt": [{"role": "user", "content": f"{number}？"}],
            "chosen": f"好的，{number}。",
            "rejected": f"不知道{number}!!",
        }
        for number in range(27)
    ]
    pairs = tokenize_pairs(rows, tokenizer=Tokenizer(tokenizer_directory), context_length=128).pairs
    return pairs[:18], pairs[18:]


@pytest.fixture
def model(checkpoint: str) -> Transformer:
    """The reference."""
    return load_model(checkpoint)[0]


def load(directory: Path, model: Transformer, groups: Groups, work: SharedWork = ALONE) -> list[torch.Tensor]:
    """The reference of all groups."""
    return load_reference(str(directory), model, groups, padding_id=1, work=work)


def test_it_is_what_the_model_scores_and_is_computed_once(tmp_path: Path, model: Transformer, groups: Groups) -> None:
    """Each group has the bits of scoring it by itself; the second time only the samples are scored."""
    batches: list[int] = []

    def count(event: ProgressEvent) -> None:
        batches.append(event.total)

    first = load(tmp_path, model, groups, SharedWork(progress=count))
    assert all(
        torch.equal(found, score_pairs(model, group, padding_id=1)) for found, group in zip(first, groups, strict=True)
    )
    assert max(batches) == 3
    batches.clear()
    again = load(tmp_path, model, groups, SharedWork(progress=count))
    assert all(torch.equal(*both) for both in zip(first, again, strict=True))
    assert max(batches) == 1


def test_other_pairs_weights_or_precision_have_files_of_their_own(
    tmp_path: Path, model: Transformer, groups: Groups
) -> None:
    """A token, a weight, the order or the precision changed: a new file, and the old ones stay."""
    load(tmp_path, model, groups)
    load(tmp_path, model, (groups[1], groups[0]))
    load(tmp_path, model, (groups[0][1:], groups[1]))
    model.compute_dtype = torch.bfloat16
    load(tmp_path, model, groups)
    model.compute_dtype = torch.float32
    with torch.no_grad():
        next(model.parameters())[0, 0] += 1.0
    load(tmp_path, model, groups)
    assert len(list_files(str(tmp_path))) == 5


@pytest.mark.parametrize("row", [0, 17, 18, 26])
def test_a_level_that_moved_is_noticed(tmp_path: Path, model: Transformer, groups: Groups, row: int) -> None:
    """Both answers moved alike leave every loss as it was; the levels of the first and last pairs are compared too."""
    load(tmp_path, model, groups)
    (path,) = list_files(str(tmp_path))
    table = read_parquet(path)
    moved = [
        [value + (0.5 if number == row else 0.0) for number, value in enumerate(table[name].to_pylist())]
        for name in ("chosen", "rejected")
    ]
    write_parquet(path, pa.table(moved, schema=REFERENCE.with_metadata(table.schema.metadata)))
    with pytest.raises(AccountingError, match=r"pairs \d+ to \d+ is 0\.5 nats from this checkpoint's; delete the file"):
        load(tmp_path, model, groups)


@pytest.mark.parametrize("fault", ["renamed", "short", "keyless"])
def test_a_file_that_is_not_what_its_name_says_is_refused(
    tmp_path: Path, model: Transformer, groups: Groups, fault: str
) -> None:
    """A copy under another key, a file with rows missing, one without a key: named, with the way out."""
    load(tmp_path, model, groups)
    (path,) = list_files(str(tmp_path))
    table = read_parquet(path)
    if fault == "renamed":
        table = table.replace_schema_metadata({b"ctllm.reference": b"another"})
    if fault == "short":
        table = table.slice(1)
    if fault == "keyless":
        table = table.replace_schema_metadata(None)
    write_parquet(path, table)
    with pytest.raises(AccountingError, match=r"holds 2[67] pairs of .* instead of 27 of .*delete the file"):
        load(tmp_path, model, groups)
