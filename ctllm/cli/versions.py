"""`name@version` on the command line: read wherever a directory is, written where `--out` says so."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import typer

from ctllm.cli.console import console, print_warning
from ctllm.schemas.config import Config, parse_config
from ctllm.schemas.contents import fingerprint_of, read_contents
from ctllm.schemas.data_version import DEV, DataVersion, Origin, StateChange, parse_reference
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import absolute_path, remove_tree
from ctllm.schemas.registry import Registry, now

DIRECTORY_KEYS = frozenset({"tokens", "plan", "checkpoint", "conversations", "preferences", "curation", "run"})
"""Keys of configs that hold a directory to read."""
Settings = TypeVar("Settings", bound=Config)


def located(text: str) -> str:
    """The path that `name@version` stands for; a path as it is. For typer's `parser`."""
    return Registry.default().locate(text, warn=print_warning)


located.__name__ = "path or name@version"  # typer shows it in --help


def with_directories(config: Settings, *, origin: str) -> Settings:
    """`config` with every version in a directory's key replaced by its path."""
    return parse_config(_replaced(config.model_dump(mode="json")), type(config), origin=origin)


def _replaced(value: Any) -> Any:  # noqa: ANN401 - whatever a config holds
    if isinstance(value, list):
        return [_replaced(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: located(each) if key in DIRECTORY_KEYS and isinstance(each, str) else _replaced(each)
        for key, each in value.items()
    }


@contextmanager
def building(out: str, *, settings: Config | None = None, made_from: Mapping[str, str | None]) -> Iterator[str]:
    """The directory that `out` means; a `name@version` is published when the block ends and the work is whole.

    A version that is published is not made again: the command ends here, with a warning when it would now be made
    otherwise. `dev` is emptied first. `made_from` is role to path, as given or located.
    """
    if parse_reference(out) is None:
        yield out
        return
    registry = Registry.default()
    name, version = parse_reference(out) or ("", "")
    origins = tuple(origin_of(role, path, registry) for role, path in made_from.items() if path)
    recipe = _recipe(settings, origins)
    place = registry.place_of(out)
    if version != DEV:
        _end_if_published(registry, out, recipe)
    if os.environ.get("RANK", "0") != "0":  # of torchrun's processes the first publishes
        yield place
        return
    with registry.building(out):
        if version == DEV:
            remove_tree(place)
        yield place
        contents = read_contents(place)
        if not contents.is_whole:
            console.print(f"{out} is published when its training has made all steps", markup=False)
            return
        made = DataVersion(
            name=name, version=version, path=place, is_adopted=False, recipe=recipe, made_from=origins,
            contents=contents, history=(StateChange(state="published", at=now()),),
        )  # fmt: skip
        registry.add(made)
    console.print(f"published {out}: {contents.fingerprint} at {place}", markup=False)


def _end_if_published(registry: Registry, reference: str, recipe: str) -> None:
    """Ends the command, successfully, when there is nothing to do any more."""
    try:
        known = registry.find(reference)
    except InputError:
        return
    if known.recipe not in (None, recipe):
        print_warning(
            f"{reference} was made with other settings or from other data (recipe {known.recipe}, now {recipe}); "
            f"it stays as published: give another version, or `{known.name}@{DEV}`"
        )
    console.print(f"{reference} was published at {known.published_at}; nothing is done", markup=False)
    raise typer.Exit(0)


def origin_of(role: str, path: str, registry: Registry) -> Origin:
    """Where something came from: the version that lies at `path`, if one does."""
    place = absolute_path(path)
    for version in registry.versions():
        if path == version.reference or place == version.path or place.startswith(version.path.rstrip("/") + "/"):
            return Origin(role=role, path=version.reference, fingerprint=version.contents.fingerprint)
    return Origin(role=role, path=place, fingerprint=fingerprint_of(path))


def _recipe(settings: Config | None, origins: tuple[Origin, ...]) -> str:
    """Of what decides the outcome: not where it is written or read, nor on what machine."""
    values = settings.model_dump(mode="json", exclude={"out", *DIRECTORY_KEYS}) if settings else {}
    parts = [values, [[each.role, each.fingerprint or each.path] for each in origins]]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
