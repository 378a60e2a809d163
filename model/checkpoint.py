"""Checkpoints that are whole or not there: `RUN/checkpoints/step-00001234/`.

    model.safetensors   weights, float32, no copy of a tied head
    optimizer.pt        moments
    config.json         the model's shape
    state.json          steps done, digest of the run's identity, length of the ledger
    tokenizer.model     so that a checkpoint alone can talk
    manifest.json       sha256 of the files above, written last

There is no random or data state: batch k follows from k. A directory is filled under a temporary name, flushed, and
renamed. Readers accept only directories whose files match their manifest and fall back to the one before. SIGKILL costs
the steps since the last checkpoint.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ctllm.model.transformer import Transformer, empty_transformer
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import file_digest
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.training_run import TrainingState

CHECKPOINTS = "checkpoints"
_STEP_NAME = re.compile(r"step-\d{8}")


def save_checkpoint(
    run: str, *, model: Transformer, optimizer: torch.optim.Optimizer, state: TrainingState, tokenizer: str, keep: int
) -> str:
    """Writes the checkpoint of `state.step`, then deletes all but the `keep` newest; returns its path.

    Raises OutputError when the directory cannot be written; earlier checkpoints are then untouched.
    """
    root = Path(run) / CHECKPOINTS
    final = root / f"step-{state.step:08d}"
    temporary = root / f".{final.name}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file(
            {name: tensor.contiguous() for name, tensor in model.state_dict().items()}, temporary / "model.safetensors"
        )
        torch.save(optimizer.state_dict(), temporary / "optimizer.pt")
        (temporary / "config.json").write_text(model.config.model_dump_json(indent=1) + "\n")
        (temporary / "state.json").write_text(state.model_dump_json(indent=1) + "\n")
        shutil.copyfile(tokenizer, temporary / "tokenizer.model")
        _seal(temporary)
        shutil.rmtree(final, ignore_errors=True)  # a broken one of an earlier life
        temporary.rename(final)
        _flush(root)
    except OSError as error:
        raise OutputError(
            f"{final}: the checkpoint cannot be written ({error.strerror}); free space or fix permissions"
        ) from error
    for old in _checkpoint_directories(run)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return str(final)


def broken_files(checkpoint: str) -> list[str]:
    """Names of files that are missing or differ from the manifest; `manifest.json` itself when it cannot be read."""
    directory = Path(checkpoint)
    try:
        digests = json.loads((directory / "manifest.json").read_text())
    except (OSError, ValueError):
        return ["manifest.json"]
    return [name for name, digest in digests.items() if not _matches(directory / name, digest)]


def latest_checkpoint(run: str, *, progress: Progress = silent) -> str | None:
    """The newest whole checkpoint of the run, or None; broken ones are reported and passed over."""
    for directory in _checkpoint_directories(run):
        broken = broken_files(str(directory))
        if not broken:
            return str(directory)
        message = f"{directory}: {', '.join(broken)} missing or damaged; using the checkpoint before"
        progress(ProgressEvent("checkpoint", 0, 0, message=message))
    return None


def find_checkpoint(path: str) -> str:
    """The checkpoint that `path` means: itself, or the newest whole one of the run directory `path`.

    Raises InputError when there is none, or when the named one is damaged.
    """
    if _STEP_NAME.fullmatch(Path(path).name) or (Path(path) / "model.safetensors").exists():
        if broken := broken_files(path):
            raise InputError(f"{path}: {', '.join(broken)} missing or damaged; use another checkpoint")
        return path
    found = latest_checkpoint(path)
    if found is None:
        raise InputError(f"{path}: neither a checkpoint nor a run directory with a whole one in {CHECKPOINTS}/")
    return found


def load_model(checkpoint: str, *, device: torch.device | str = "cpu") -> tuple[Transformer, ModelConfig]:
    """The model of a checkpoint (or of a run's newest one), in evaluation mode. Raises InputError."""
    directory = Path(find_checkpoint(checkpoint))
    config = ModelConfig.model_validate_json((directory / "config.json").read_text())
    model = empty_transformer(config, device=device)
    model.load_state_dict(load_file(directory / "model.safetensors", device=str(device)))
    return model.eval(), config


def restore(checkpoint: str, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Puts weights and moments of a verified checkpoint into `model` and `optimizer`, bit by bit."""
    directory = Path(checkpoint)
    device = next(model.parameters()).device
    model.load_state_dict(load_file(directory / "model.safetensors", device=str(device)))
    optimizer.load_state_dict(torch.load(directory / "optimizer.pt", map_location=device, weights_only=True))
    return TrainingState.model_validate_json((directory / "state.json").read_text())


def weights_digest(model: nn.Module) -> str:
    """sha256 over names and bytes of all weights: equal digests mean bit-equal models."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _checkpoint_directories(run: str) -> list[Path]:
    """Newest first; temporary directories of killed writers are not among them."""
    root = Path(run) / CHECKPOINTS
    if not root.is_dir():
        return []
    return sorted((entry for entry in root.iterdir() if _STEP_NAME.fullmatch(entry.name)), reverse=True)


def _seal(directory: Path) -> None:
    """Flushes every file, then writes and flushes the manifest."""
    names = sorted(entry.name for entry in directory.iterdir())
    for name in names:
        _flush(directory / name)
    digests = {name: file_digest(str(directory / name)) for name in names}
    (directory / "manifest.json").write_text(json.dumps(digests, indent=1) + "\n")
    _flush(directory / "manifest.json")
    _flush(directory)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _matches(path: Path, digest: str) -> bool:
    return path.is_file() and file_digest(str(path)) == digest
