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

Training waits only for the copy on the host that a checkpoint is written from (`CheckpointWriter`).

A run of several processes writes the same files: the first gathers tensor by tensor what is shared out and holds all
of it in its host memory, 12 bytes a weight (22.5 GB at 1.9 B weights), until it is on the disk. So the number of
processes may change at every resume.
"""

import hashlib
import json
import os
import re
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ctllm.model.distributed import shared_like, whole
from ctllm.model.lora import merged
from ctllm.model.transformer import Transformer, empty_transformer
from ctllm.schemas.errors import InputError, OutputError
from ctllm.schemas.files import file_digest
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.training_config import ModelConfig
from ctllm.schemas.training_run import TrainingState

CHECKPOINTS = "checkpoints"
_STEP_NAME = re.compile(r"step-\d{8}")


@dataclass(frozen=True)
class Snapshot:
    """What a checkpoint is written from: copies on the host, which training no longer changes."""

    config: ModelConfig
    weights: dict[str, Tensor]
    moments: dict[str, Any]
    """An optimizer's state dict."""
    state: TrainingState


def take_snapshot(model: Transformer, optimizer: torch.optim.Optimizer, state: TrainingState) -> Snapshot:
    """Copies weights and moments to the host; all processes call it, and the first gets them, the others nothing."""
    is_first = not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0

    def copied(value: Any) -> Any:  # noqa: ANN401 - the values of a state dict
        if not isinstance(value, Tensor):
            return value
        full = whole(value.detach())
        return full.to("cpu", copy=True).contiguous() if is_first else None

    moments = optimizer.state_dict()
    moments["state"] = {
        number: {name: copied(value) for name, value in each.items()} for number, each in moments["state"].items()
    }
    return Snapshot(model.config, {name: copied(tensor) for name, tensor in model.state_dict().items()}, moments, state)


def save_checkpoint(
    run: str, *, model: Transformer, optimizer: torch.optim.Optimizer, state: TrainingState, tokenizer: str, keep: int
) -> str:
    """Writes the checkpoint of `state.step`; see `write_checkpoint`."""
    return write_checkpoint(run, take_snapshot(model, optimizer, state), tokenizer=tokenizer, keep=keep)


def write_checkpoint(run: str, snapshot: Snapshot, *, tokenizer: str, keep: int) -> str:
    """Writes the checkpoint of the snapshot's step, then deletes all but the `keep` newest; returns its path.

    Raises OutputError when the directory cannot be written; earlier checkpoints are then untouched.
    """
    root = Path(run) / CHECKPOINTS
    final = root / f"step-{snapshot.state.step:08d}"
    temporary = root / f".{final.name}.tmp"
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        save_file(snapshot.weights, temporary / "model.safetensors")
        with (temporary / "optimizer.pt").open("wb") as file:  # torch's own writer does not say why it fails
            torch.save(snapshot.moments, file)
        (temporary / "config.json").write_text(snapshot.config.model_dump_json(indent=1) + "\n")
        (temporary / "state.json").write_text(snapshot.state.model_dump_json(indent=1) + "\n")
        shutil.copyfile(tokenizer, temporary / "tokenizer.model")
        _seal(temporary)
        shutil.rmtree(final, ignore_errors=True)  # a broken one of an earlier life
        temporary.rename(final)
        _flush(root)
    except (OSError, SafetensorError, RuntimeError) as error:  # torch and safetensors wrap a full disk in their own
        shutil.rmtree(temporary, ignore_errors=True)
        raise OutputError(
            f"{final}: the checkpoint cannot be written ({_reason(error)}); free space or fix permissions"
        ) from error
    for old in _checkpoint_directories(run)[keep:]:
        shutil.rmtree(old, ignore_errors=True)
    return str(final)


def _reason(error: Exception) -> str:
    """What the system said. torch raises a RuntimeError about positions while it handles that."""
    said = error.__context__ if isinstance(error.__context__, OSError) else error
    return getattr(said, "strerror", None) or str(said).splitlines()[0]


class CheckpointWriter:
    """Writes checkpoints in a thread while training goes on; a context manager, which waits for the last one.

    A snapshot is taken before the next step changes weights, so what is written is as if training had waited; one
    snapshot at a time is held. Raises OutputError, at the next call or at the end, when a write failed.
    """

    def __init__(self, run: str, *, tokenizer: str, keep: int) -> None:
        self._run, self._tokenizer, self._keep = run, tokenizer, keep
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the write that ended last failed; `wait` says how."""
        return self._error is not None

    def start(self, snapshot: Snapshot) -> None:
        """Waits for the checkpoint before, then begins to write this one."""
        self.wait()
        self._thread = threading.Thread(target=self._write, args=(snapshot,), name="checkpoint")
        self._thread.start()

    def wait(self) -> None:
        """Returns when the newest checkpoint is on the disk. Raises OutputError when it could not be written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            newest = latest_checkpoint(self._run)
            whole_one = f"{newest} is whole, --resume continues from it" if newest else "there is no checkpoint yet"
            raise OutputError(f"{error}; {whole_one}") from error

    def __enter__(self) -> "CheckpointWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self.wait()
        elif self._thread is not None:  # the error on its way is told, not that of the write
            self._thread.join()

    def _write(self, snapshot: Snapshot) -> None:
        try:
            write_checkpoint(self._run, snapshot, tokenizer=self._tokenizer, keep=self._keep)
        except Exception as error:
            self._error = error


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


def checkpoint_steps(run: str) -> dict[str, int]:
    """Checkpoints of the run, oldest first, whole or not, to the number of steps whose updates they hold."""
    return {str(path): int(path.name.removeprefix("step-")) for path in reversed(_checkpoint_directories(run))}


def go_back(run: str, *, to_step: int) -> str | None:
    """The newest whole checkpoint of at most `to_step` steps, after deleting those after it; None, deleting none."""
    directories = _checkpoint_directories(run)
    before = [each for each in directories if _step(each) <= to_step and not broken_files(str(each))]
    if not before:
        return None
    for directory in directories:  # newest first: killed in between, a run resumes from one before the spike
        if _step(directory) > _step(before[0]):
            shutil.rmtree(directory)
    return str(before[0])


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
    """The model of a checkpoint (or of a run's newest one), adapters merged, in evaluation mode. Raises InputError."""
    directory = Path(find_checkpoint(checkpoint))
    config = ModelConfig.model_validate_json((directory / "config.json").read_text())
    model = empty_transformer(config, device=device)
    model.load_state_dict(merged(load_file(directory / "model.safetensors", device=str(device))))
    return model.eval(), config


def restore(checkpoint: str, *, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingState:
    """Puts weights and moments of a verified checkpoint into `model` and `optimizer`, bit by bit.

    Of several processes each reads the files and keeps its share; one tensor at a time is whole.
    """
    directory = Path(checkpoint)
    with safe_open(directory / "model.safetensors", framework="pt") as file:
        weights = {name: shared_like(file.get_tensor(name), like) for name, like in model.state_dict().items()}
    model.load_state_dict(weights)
    moments = torch.load(directory / "optimizer.pt", map_location="cpu", mmap=True, weights_only=True)
    parameters = [weight for group in optimizer.param_groups for weight in group["params"]]
    moments["state"] = {
        number: {name: _moment(value, parameters[number]) for name, value in each.items()}
        for number, each in moments["state"].items()
    }
    optimizer.load_state_dict(moments)
    return TrainingState.model_validate_json((directory / "state.json").read_text())


def _moment(value: Tensor, weight: Tensor) -> Tensor:
    """A moment as its weight is shared out; AdamW's step counter, a scalar, as it is."""
    return shared_like(value.clone(), weight) if value.shape == weight.shape else value.clone()  # not the mapped file


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


def _step(directory: Path) -> int:
    return int(directory.name.removeprefix("step-"))


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
