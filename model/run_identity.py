"""Which run a directory belongs to: `RUN/run.json` holds everything that decides the outcome of a training run."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from ctllm.model.checkpoint import CHECKPOINTS
from ctllm.schemas.errors import ConfigError, OutputError
from ctllm.schemas.files import exists, join, read_json, write_json
from ctllm.schemas.training_run import IDENTITY

FREE_LOOP_KEYS = ("shard_processes", "recompute")
"""Keys of `loop` that say where and how a step is computed, not what: a resume may change them."""


def without_free_keys(identity: Mapping[str, Any]) -> dict[str, Any]:
    """The identity without `FREE_LOOP_KEYS`."""
    loop = {key: value for key, value in identity.get("loop", {}).items() if key not in FREE_LOOP_KEYS}
    return {**identity, "loop": loop} if loop else dict(identity)


def identity_digest(identity: Mapping[str, Any]) -> str:
    """16 hex digits that change when, and only when, a value of the identity changes."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def claim_run(run: str, identity: Mapping[str, Any], *, resume: bool, writes: bool = True) -> None:
    """Makes `run` the directory of this identity; without `writes` only checks, as all processes but the first do.

    Raises OutputError when it holds checkpoints and `resume` is off, ConfigError when `resume` is on and the directory
    belongs to another identity; the message names what differs.
    """
    path = join(run, IDENTITY)
    if not resume and exists(join(run, CHECKPOINTS)):
        raise OutputError(f"{run}: holds a training run already; pass --resume to continue it or choose another out")
    if resume and exists(path):
        before, now = dict(_leaves(read_json(path))), dict(_leaves(json.loads(json.dumps(identity))))
        changed = [key for key in sorted(before.keys() | now.keys()) if before.get(key) != now.get(key)]
        if changed:
            shown = "; ".join(f"{key} was {before.get(key)}, is {now.get(key)}" for key in changed)
            raise ConfigError(
                f"{run}: --resume with another run's settings: {shown}; restore them or choose another out"
            )
    if writes:
        write_json(path, identity)


def _leaves(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - whatever JSON holds
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from _leaves(inner, f"{prefix}.{key}" if prefix else key)
