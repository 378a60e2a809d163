"""Checkpoints: whole or not there, verified, the one before as fallback."""

from pathlib import Path

import pytest
import torch

from ctllm.model.checkpoint import (
    broken_files,
    find_checkpoint,
    latest_checkpoint,
    load_model,
    restore,
    save_checkpoint,
    weights_digest,
)
from ctllm.model.optimizer import build_optimizer
from ctllm.model.transformer import Transformer, new_transformer
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.progress import ProgressEvent
from ctllm.schemas.training_config import ModelConfig, OptimizerConfig
from ctllm.schemas.training_run import TrainingState


@pytest.fixture
def model(tiny: ModelConfig) -> Transformer:
    """A small model."""
    return new_transformer(tiny, seed=0)


@pytest.fixture
def optimizer(model: Transformer) -> torch.optim.Optimizer:
    """AdamW after one step, so that it has moments."""
    optimizer = build_optimizer(model, OptimizerConfig())
    model(torch.tensor([[1, 2, 3]])).sum().backward()
    optimizer.step()
    return optimizer


def save(run: Path, model: Transformer, optimizer: torch.optim.Optimizer, *, step: int, keep: int = 2) -> str:
    """Saves with a tokenizer of three bytes."""
    tokenizer = run / "given.model"
    run.mkdir(exist_ok=True)
    tokenizer.write_bytes(b"abc")
    state = TrainingState(step=step, label_tokens=10 * step, run_digest="d", ledger_bytes=0)
    return save_checkpoint(str(run), model=model, optimizer=optimizer, state=state, tokenizer=str(tokenizer), keep=keep)


def test_what_is_restored_is_what_was_saved(
    tmp_path: Path, model: Transformer, optimizer: torch.optim.Optimizer
) -> None:
    """Weights, moments, state and tokenizer come back bit by bit; a tied head is stored once."""
    path = save(tmp_path / "run", model, optimizer, step=7)
    other = new_transformer(model.config, seed=9)
    moments = build_optimizer(other, OptimizerConfig())
    state = restore(path, model=other, optimizer=moments)
    assert (state.step, state.label_tokens) == (7, 70)
    assert weights_digest(other) == weights_digest(model)
    saved = optimizer.state_dict()["state"]
    assert all(torch.equal(saved[k][n], v[n]) for k, v in moments.state_dict()["state"].items() for n in v)
    names = sorted(each.name for each in Path(path).iterdir())
    expected = ["config.json", "manifest.json", "model.safetensors", "optimizer.pt", "state.json", "tokenizer.model"]
    assert names == expected
    loaded, config = load_model(str(tmp_path / "run"))
    assert config == model.config
    assert weights_digest(loaded) == weights_digest(model)
    assert not loaded.training


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.pt", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, model: Transformer, optimizer: torch.optim.Optimizer, name: str
) -> None:
    """One changed or missing byte in any file makes the one before it the newest, and says so."""
    first = save(tmp_path, model, optimizer, step=1)
    second = save(tmp_path, model, optimizer, step=2)
    assert latest_checkpoint(str(tmp_path)) == second
    file = Path(second) / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    events: list[ProgressEvent] = []
    assert latest_checkpoint(str(tmp_path), progress=events.append) == first
    assert [name in event.message for event in events] == [True]
    with pytest.raises(InputError, match=f"{name} missing or damaged"):
        find_checkpoint(second)
    file.unlink()
    assert broken_files(second) == [name]


def test_an_unfinished_checkpoint_does_not_count(
    tmp_path: Path, model: Transformer, optimizer: torch.optim.Optimizer
) -> None:
    """What a killed writer leaves behind is neither found nor in the way of the next writer."""
    first = save(tmp_path, model, optimizer, step=1)
    leftover = tmp_path / "checkpoints" / ".step-00000002.tmp"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    assert latest_checkpoint(str(tmp_path)) == first
    second = save(tmp_path, model, optimizer, step=2)
    assert broken_files(second) == []
    assert not leftover.exists()


def test_only_the_newest_are_kept(tmp_path: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> None:
    """Older checkpoints go when newer ones are whole."""
    for step in (1, 2, 3):
        save(tmp_path, model, optimizer, step=step, keep=2)
    kept = sorted(each.name for each in (tmp_path / "checkpoints").iterdir())
    assert kept == ["step-00000002", "step-00000003"]


def test_nothing_to_find(tmp_path: Path) -> None:
    """A directory without checkpoints is named."""
    assert latest_checkpoint(str(tmp_path)) is None
    with pytest.raises(InputError, match="neither a checkpoint nor a run directory"):
        load_model(str(tmp_path))


def test_an_unwritable_directory_is_named(tmp_path: Path, model: Transformer, optimizer: torch.optim.Optimizer) -> None:
    """A file where the directory should be ends in one clear message."""
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(OutputError, match="checkpoint cannot be written"):
        save(tmp_path, model, optimizer, step=1)


def test_digest_sees_one_bit(model: Transformer) -> None:
    """The smallest change of one weight changes the digest."""
    before = weights_digest(model)
    with torch.no_grad():
        weight = model.norm.weight
        weight[0] = torch.nextafter(weight[0], torch.tensor(2.0))
    assert weights_digest(model) != before
