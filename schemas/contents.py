"""What a directory holds: kind, fingerprint, counts and settings, read off the manifest that its stage wrote last."""

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from ctllm.schemas.data_version import Contents, Kind
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, filesystem_of, join, read_json, remove_tree, walk_files
from ctllm.schemas.manifest import SUCCESS
from ctllm.schemas.training_run import DATA, IDENTITY, SUMMARY

MANIFEST = "manifest.json"
CHECKPOINTS = "checkpoints"
WEIGHTS = "model.safetensors"

_Facts = tuple[Kind, str, dict[str, Any], dict[str, Any], tuple[str, ...]]
"""kind, fingerprint, counts, config, inputs."""


def read_contents(path: str) -> Contents:
    """What the directory `path` holds. Raises InputError when no finished stage of ours wrote it."""
    found = find_contents(path)
    if found is None:
        raise InputError(f"{path}: no finished stage wrote this; data of others are registered with `ctllm runs adopt`")
    return found


def find_contents(path: str) -> Contents | None:
    """The same, None for everything that our stages did not finish."""
    facts = next(filter(None, (read(path) for read in _READERS)), None)
    if facts is None:
        return None
    kind, fingerprint, counts, config, inputs = facts
    is_whole = kind != "training" or bool(read_json(join(path, SUMMARY))["finished"])
    num_files, size = _measure(path)
    return Contents(
        kind=kind,
        fingerprint=fingerprint,
        is_whole=is_whole,
        counts=counts,
        config=config,
        inputs=inputs,
        num_files=num_files,
        size_bytes=size,
    )


def fingerprint_of(path: str) -> str | None:
    """The fingerprint alone, from manifests: cheap at any size. None for what has no manifest of ours."""
    facts = next(filter(None, (read(path) for read in _READERS)), None)
    return facts[1] if facts else None


def foreign_contents(path: str) -> Contents:
    """A file or directory of others; the fingerprint is of names and sizes. Raises InputError when nothing is there."""
    fs, name = filesystem_of(path)
    if not fs.exists(name):
        raise InputError(f"{path}: not there")
    sizes = {file.removeprefix(name): info["size"] for file, info in fs.find(name, detail=True).items()}
    return Contents(
        kind="files",
        fingerprint=_digest(sizes),
        is_whole=True,
        counts={"files": len(sizes)},
        config={},
        num_files=len(sizes),
        size_bytes=sum(sizes.values()),
    )


def delete_contents(path: str) -> None:
    """Deletes the directory of a version."""
    remove_tree(path)


def _curated(path: str) -> _Facts | None:
    success = join(path, "curated", SUCCESS)
    if not (exists(join(path, MANIFEST)) and exists(success)):
        return None
    manifest, published = read_json(join(path, MANIFEST)), read_json(success)
    inputs = dict.fromkeys(each["url"] for each in manifest["inputs"])
    return "curated", _digest(published["files"]), published["counts"], manifest["config"], tuple(inputs)


def _tokenizer(path: str) -> _Facts | None:
    manifest = _manifest_with(path, "sample_chars")
    if manifest is None:
        return None
    counts = {"vocab_size": manifest["vocab_size"]}
    return "tokenizer", manifest["tokenizer_digest"][:16], counts, manifest["config"], ()


def _tokens(path: str) -> _Facts | None:
    manifest = _manifest_with(path, "shards")
    if manifest is None:
        return None
    digests = {each["name"]: [each["sha256_tokens"], each["sha256_index"]] for each in manifest["shards"]}
    names = ("documents", "tokens", "bytes")
    counts = {name: sum(lane[name] for lane in manifest["lanes"].values()) for name in names}
    config = {name: manifest[name] for name in ("tokenizer_digest", "vocab_size", "dtype")}
    return "tokens", _digest(digests), counts, config, ()


def _plan(path: str) -> _Facts | None:
    manifest = _manifest_with(path, "plan_digest")
    if manifest is None:
        return None
    counts = {name: manifest[name] for name in ("num_documents", "num_sequences", "num_label_tokens")}
    return "plan", manifest["plan_digest"][:16], counts, manifest["config"], ()


def _conversations(path: str) -> _Facts | None:
    if not exists(join(path, SUCCESS)):
        return None
    manifest = read_json(join(path, SUCCESS))
    if manifest["stage"] != "conversations":
        return None
    return "conversations", _digest(manifest["files"]), manifest["counts"], {}, ()


def _training(path: str) -> _Facts | None:
    if not (exists(join(path, IDENTITY)) and exists(join(path, SUMMARY))):
        return None
    summary, identity = read_json(join(path, SUMMARY)), read_json(join(path, IDENTITY))
    checkpoint = summary["checkpoint"].rpartition("/")[2]  # the run may have been moved since
    weights = read_json(join(path, CHECKPOINTS, checkpoint, MANIFEST))[WEIGHTS]
    counts = {name: summary[name] for name in ("step", "label_tokens", "num_parameters", "last_loss")}
    is_pretraining = identity.get("stage") == "pretrain" and exists(join(path, DATA))
    inputs = tuple(read_json(join(path, DATA)).values()) if is_pretraining else ()
    return "training", weights[:16], counts, identity, inputs


_READERS: tuple[Callable[[str], _Facts | None], ...] = (_curated, _tokenizer, _tokens, _plan, _conversations, _training)


def _manifest_with(path: str, key: str) -> dict[str, Any] | None:
    """The manifest of a directory, if it has this key, which only one kind has."""
    if not exists(join(path, MANIFEST)):
        return None
    manifest = read_json(join(path, MANIFEST))
    return manifest if isinstance(manifest, dict) and key in manifest else None


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _measure(path: str) -> tuple[int, int]:
    """Number of files below `path`, and their bytes."""
    fs, _ = filesystem_of(path)
    names = walk_files(path)
    return len(names), sum(int(fs.size(filesystem_of(join(path, name))[1])) for name in names)
