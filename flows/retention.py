"""Which versions go: all but the newest and the accepted ones of a name, and nothing that a kept one was made from."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from ctllm.schemas.contents import delete_contents
from ctllm.schemas.data_version import DEV, DataVersion
from ctllm.schemas.files import exists
from ctllm.schemas.registry import Registry, now


@dataclass(frozen=True)
class Fate:
    """What retention does with a version, and why."""

    version: DataVersion
    is_deleted: bool
    why: str


def fates(registry: Registry, *, keep_last: int, min_age_days: float) -> list[Fate]:
    """Every version whose files are there, with its fate."""
    versions = [each for each in registry.versions() if each.state != "deleted" or exists(each.path)]
    kept: dict[str, str] = {}
    for version in versions:
        if why := _why_kept(registry, version, versions, keep_last=keep_last, min_age_days=min_age_days):
            kept[version.reference] = why
    _keep_origins(registry, versions, kept)
    return [
        Fate(each, each.reference not in kept, kept.get(each.reference, f"older than the last {keep_last}"))
        for each in versions
    ]


def _why_kept(
    registry: Registry, version: DataVersion, versions: Iterable[DataVersion], *, keep_last: int, min_age_days: float
) -> str | None:
    if version.is_adopted or version.path != registry.place_of(version.reference):
        return "lies where others put it"
    if version.version == DEV:
        return "dev"
    if version.state == "deleted":
        return None  # killed between the record and its files
    if version.state == "accepted":
        return "accepted"
    age = datetime.fromisoformat(now()) - datetime.fromisoformat(version.published_at)
    if age < timedelta(days=min_age_days):
        return f"younger than {min_age_days:g} days"
    newer = [
        each
        for each in versions
        if each.name == version.name and each.version != DEV and each.state not in ("withdrawn", "deleted")
        and each.published_at > version.published_at
    ]  # fmt: skip
    return f"one of the last {keep_last}" if version.state != "withdrawn" and len(newer) < keep_last else None


def _keep_origins(registry: Registry, versions: list[DataVersion], kept: dict[str, str]) -> None:
    """Adds what the kept ones were made from, however far back."""
    products = {each.reference: {product.reference for product in registry.dependents(each)} for each in versions}
    is_growing = True
    while is_growing:
        found = {
            reference: f"{min(needed)} was made from it"
            for reference, made in products.items()
            if reference not in kept and (needed := made & kept.keys())
        }
        kept |= found
        is_growing = bool(found)


def delete(registry: Registry, doomed: Iterable[Fate]) -> None:
    """Deletes files, after the record says so: killed in between, the next retention finishes it."""
    for fate in doomed:
        if fate.version.state != "deleted":
            registry.set_state(fate.version.reference, "deleted", reasons=[f"retention: {fate.why}"])
        delete_contents(fate.version.path)
