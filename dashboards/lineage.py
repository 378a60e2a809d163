"""From the curated version to the checkpoints: what was made from what, as the manifests recorded it, checked again.

Every link says which digest the later product recorded of the earlier one and whether it is that of what lies there
now. Products are found through the paths that pretraining runs recorded; what is gone is shown as missing.
"""

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, TypeVar

from ctllm.schemas.config import Config
from ctllm.schemas.contents import CHECKPOINTS, MANIFEST, WEIGHTS, fingerprint_of
from ctllm.schemas.curated import curated_parts
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, file_digest, filesystem_of, join, read_json
from ctllm.schemas.manifest import RunManifest
from ctllm.schemas.tokens import TOKENIZER, PlanManifest, TokensManifest, tokens_fingerprint
from ctllm.schemas.training_run import DATA, IDENTITY, SUMMARY

MAX_HASHED_BYTES = 2 << 30  # chosen: seconds; larger weights are shown as not checked
DIGITS = 16

_Manifest = TypeVar("_Manifest", bound=Config)


class _Picture:
    """Nodes and links while they are found."""

    def __init__(self) -> None:
        self.nodes: list[dict[str, Any]] = []
        self.links: list[dict[str, Any]] = []

    def add(self, node: str, kind: str, *, name: str, digest: str | None, **facts: Any) -> None:  # noqa: ANN401
        """Adds a product once; without a digest it is missing."""
        if all(each["id"] != node for each in self.nodes):
            self.nodes.append({"id": node, "kind": kind, "name": name, "digest": digest, "facts": facts})

    def join(self, origin: str, product: str, *, recorded: str | None, found: str | None) -> None:
        """Links two products; `state` is same, other, or unchecked where one of the digests is not known."""
        state = "unchecked" if recorded is None or found is None else "same" if recorded == found else "other"
        shown = recorded and recorded[:DIGITS]
        link = {"from": origin, "to": product, "recorded": shown, "state": state}
        if link not in self.links:
            self.links.append(link)


def lineage(run: str, trainings: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """`nodes` (id, kind, name, digest, facts), in the order of the way, and `links` (from, to, recorded, state)."""
    picture = _Picture()
    manifest = RunManifest.model_validate(read_json(join(run, "manifest.json")))
    kept = manifest.stages.get("publish", {}).get("counts", {}).get("kept")
    picture.add("curated", "curated", name=manifest.run_id, digest=fingerprint_of(run), documents=kept)
    seen: dict[str, str] = {}  # digest of weights to the checkpoint's node
    for number, directory in enumerate(trainings):
        if exists(join(directory, IDENTITY)):
            _add_training(picture, run, directory, node=f"training {number}", seen=seen)
    return {"nodes": picture.nodes, "links": picture.links}


def attached(run: str, trainings: Sequence[str]) -> list[str]:
    """Those of `trainings` that saw the text of `run`, then those that went on from a checkpoint of one of them.

    One that cannot be read is none of them.
    """
    identities = {each: identity for each in trainings if (identity := _read_or_none(join(each, IDENTITY)))}
    found = [each for each in identities if _saw(run, each)]
    for directory in found:  # grows on the way
        weights = {_digests(path)[1] for _step, path, _recorded in _checkpoints(directory)} - {None}
        found += [each for each in identities if each not in found and identities[each].get("weights") in weights]
    return found


def _saw(run: str, training: str) -> bool:
    data = _read_or_none(join(training, DATA)) or {}
    try:
        tokens = _manifest(data.get("tokens"), TokensManifest)
    except ValueError:  # of another version, or no JSON
        return False
    return tokens is not None and tokens.fingerprint == _expected_fingerprint(run, tokens)


def _read_or_none(path: str) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, InputError):
        value = read_json(path) if exists(path) else None
        return value if isinstance(value, dict) else None
    return None


def _add_training(picture: _Picture, run: str, directory: str, *, node: str, seen: dict[str, str]) -> None:
    identity = read_json(join(directory, IDENTITY))
    name = directory.rstrip("/").rsplit("/", 1)[-1]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:DIGITS]
    sources = list(_data_of(picture, run, directory, identity)) if "plan" in identity else []
    summary = read_json(join(directory, SUMMARY)) if exists(join(directory, SUMMARY)) else {}
    picture.add(node, "training", name=name, digest=digest, stage=summary.get("stage") or identity.get("stage"))
    for origin, recorded, found in sources:
        picture.join(origin, node, recorded=recorded, found=found)
    if weights := identity.get("weights"):
        if weights not in seen:
            picture.add(f"weights {weights}", "checkpoint", name="", digest=None)
        origin = seen.get(weights, f"weights {weights}")
        picture.join(origin, node, recorded=weights, found=weights if weights in seen else None)
    for step, path, recorded in _checkpoints(directory):
        found, weights = _digests(path)
        checkpoint = f"{node} step {step}"
        picture.add(checkpoint, "checkpoint", name=f"{name} / {step}", digest=recorded[:DIGITS])
        picture.join(node, checkpoint, recorded=recorded, found=found)
        if weights:
            seen[weights] = checkpoint


def _data_of(
    picture: _Picture, run: str, directory: str, identity: dict[str, Any]
) -> Iterator[tuple[str, str | None, str | None]]:
    """Adds plan, tokens and tokenizer of a pretraining run; the plan and the tokenizer with the recorded digests."""
    data = read_json(join(directory, DATA)) if exists(join(directory, DATA)) else {}
    plan = _manifest(data.get("plan"), PlanManifest)
    tokens = _manifest(data.get("tokens"), TokensManifest)
    plan_node, tokens_node = f"plan {identity['plan']}", f"tokens {data.get('tokens')}"
    if tokens:
        model = join(data["tokens"], TOKENIZER)
        found = file_digest(model) if exists(model) else None
        tokenizer = f"tokenizer {tokens.tokenizer_digest}"
        picture.add(tokenizer, "tokenizer", name=TOKENIZER, digest=found and found[:DIGITS], pieces=tokens.vocab_size)
        total = sum(lane.tokens for lane in tokens.lanes.values())
        picture.add(tokens_node, "tokens", name=_last(data["tokens"]), digest=tokens.fingerprint, tokens=total)
        picture.join("curated", tokens_node, recorded=tokens.fingerprint, found=_expected_fingerprint(run, tokens))
        picture.join(tokenizer, tokens_node, recorded=tokens.tokenizer_digest, found=found)
        yield tokenizer, identity.get("tokenizer"), tokens.tokenizer_digest
    else:
        picture.add(tokens_node, "tokens", name=_last(data.get("tokens")), digest=None)
    planned = plan.num_label_tokens if plan else None
    picture.add(
        plan_node,
        "plan",
        name=_last(data.get("plan")),
        digest=plan.plan_digest[:DIGITS] if plan else None,
        labels=planned,
    )
    picture.join(
        tokens_node,
        plan_node,
        recorded=plan.tokens_fingerprint if plan else None,
        found=tokens.fingerprint if tokens else None,
    )
    yield plan_node, identity["plan"], plan.plan_digest if plan else None


def _manifest(directory: str | None, model: type[_Manifest]) -> _Manifest | None:
    """The manifest of a directory; None where it is no longer there."""
    if directory is None or not exists(join(directory, MANIFEST)):
        return None
    return model.model_validate(read_json(join(directory, MANIFEST)))


def _last(directory: str | None) -> str:
    return (directory or "").rstrip("/").rsplit("/", 1)[-1]


def _expected_fingerprint(run: str, tokens: TokensManifest) -> str | None:
    """What token shards of this run's text and their tokenizer would be called; None where nothing is published."""
    try:
        parts = curated_parts(run)
    except InputError:
        return None
    return tokens_fingerprint([(part.name, part.sha256) for part in parts], tokens.tokenizer_digest)


def _checkpoints(directory: str) -> Iterator[tuple[int, str, str]]:
    """Step, path of the weights and their recorded sha256 of every checkpoint that is there, oldest first."""
    fs, root = filesystem_of(join(directory, CHECKPOINTS))
    for path in sorted(fs.ls(root, detail=False)) if fs.exists(root) else []:
        place = join(directory, CHECKPOINTS, _last(path))
        if _last(path).startswith("step-") and exists(join(place, MANIFEST)):
            yield (
                int(_last(path).removeprefix("step-")),
                join(place, WEIGHTS),
                read_json(join(place, MANIFEST))[WEIGHTS],
            )


def _digests(path: str) -> tuple[str | None, str | None]:
    """sha256 of a safetensors file, and of the names and bytes of its tensors, as trainings record their first weights.

    None for a file that is gone or too large to be read for a picture.
    """
    fs, name = filesystem_of(path)
    if not fs.exists(name) or fs.size(name) > MAX_HASHED_BYTES:
        return None, None
    return _hashed(path, fs.size(name), str(fs.modified(name)))


@lru_cache(maxsize=256)
def _hashed(path: str, _size: int, _changed: str) -> tuple[str, str]:
    """The digests of a file that has not changed since; a tensor at a time is in memory."""
    fs, name = filesystem_of(path)
    digest = hashlib.sha256()
    with fs.open(name, "rb") as file:
        whole = hashlib.file_digest(file, "sha256").hexdigest()
        file.seek(0)
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        tensors = json.loads(file.read(header_bytes))
        tensors.pop("__metadata__", None)
        for tensor, entry in sorted(tensors.items()):
            first, last = entry["data_offsets"]
            digest.update(tensor.encode())
            file.seek(8 + header_bytes + first)
            digest.update(file.read(last - first))
    return whole, digest.hexdigest()
