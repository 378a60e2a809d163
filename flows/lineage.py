"""From a URL to the checkpoints that saw it, over all registered versions: curations, token shards, trainings."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from ctllm.model.document_trace import trace_document
from ctllm.pipelines.why import explain
from ctllm.schemas.data_version import DataVersion
from ctllm.schemas.errors import CtllmError, InputError
from ctllm.schemas.files import exists, join, list_files, read_json, read_parquet
from ctllm.schemas.registry import Registry
from ctllm.schemas.tokens import DOCUMENTS
from ctllm.schemas.training_run import DATA

COLUMNS = ["key", "id", "url"]


@dataclass(frozen=True)
class Sighting:
    """What one version knows of a document."""

    reference: str
    kind: str
    outcome: str
    """unreadable, kept, removed, tokenized, trained on, held out, left out, not trained on so far."""
    detail: str
    checkpoints: tuple[str, ...] = ()
    """Those there now whose weights have seen it."""


def trace_versions(registry: Registry, document: str) -> list[Sighting]:
    """Every registered version that holds the document of this id, URL or key, in the order of the data's way.

    Raises InputError when none does. A version that is gone or broken is listed with what is wrong, not passed over.
    """
    sightings: list[Sighting] = []
    versions = [each for each in registry.versions() if each.state != "deleted"]
    for kind, look in _LOOK.items():
        for version in versions:
            if version.contents.kind == kind:
                sightings += _looked(look, version, document)
    if not any(each.outcome != "unreadable" for each in sightings):
        broken = f"; unreadable: {', '.join(each.reference for each in sightings)}" if sightings else ""
        raise InputError(f"{document}: no registered version holds a document of this id, URL or key{broken}")
    return sightings


_Look = Callable[[DataVersion, str], Iterator[Sighting]]


def _looked(look: _Look, version: DataVersion, document: str) -> list[Sighting]:
    try:
        return list(look(version, document))
    except CtllmError as error:
        return [Sighting(version.reference, version.contents.kind, "unreadable", str(error))]


def _called(directory: str, document: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Part and row of every document of the tables in `directory` that has this id, URL or key."""
    for path in list_files(directory, suffix=".parquet"):
        table = read_parquet(path, columns=COLUMNS)
        hit = pc.or_kleene(pc.equal(table["id"], document), pc.equal(table["url"], document))
        hit = pc.or_kleene(hit, pc.equal(table["key"].cast("string"), document))
        part = path.rpartition("/")[2].removesuffix(".parquet")
        yield from ((part, row) for row in table.filter(pc.fill_null(hit, False)).to_pylist())


def _in_curation(version: DataVersion, document: str) -> Iterator[Sighting]:
    if not any(True for _ in _called(join(version.path, DOCUMENTS), document)):
        return
    found = explain(version.path, document)
    lane = found.document["lane"]
    if found.kept:
        yield Sighting(version.reference, "curated", "kept", f"lane {lane}, {len(found.edits)} edits")
        return
    reasons = ", ".join(f"{each['reason']} {each['value']:.4g}" for each in found.reasons)
    yield Sighting(version.reference, "curated", "removed", f"lane {lane}: {reasons}")


def _in_tokens(version: DataVersion, document: str) -> Iterator[Sighting]:
    for part, row in _called(join(version.path, DOCUMENTS), document):
        yield Sighting(version.reference, "tokens", "tokenized", f"{row['id']}, key {row['key']}, in {part}")


def _in_training(version: DataVersion, document: str) -> Iterator[Sighting]:
    if "plan" not in version.contents.config:
        return  # SFT and DPO are trained on chats
    tokens = read_json(join(version.path, DATA))["tokens"]
    if exists(tokens) and not any(True for _ in _called(join(tokens, DOCUMENTS), document)):
        return
    for found in trace_document(version.path, document):
        steps = ", ".join(f"{visit.step:,}" for visit in found.done)
        if found.is_held_out:
            yield Sighting(version.reference, "training", "held out", "measured on, never trained on")
        elif not found.is_planned:
            yield Sighting(version.reference, "training", "left out", "its lane or source has more than its share")
        elif not found.done:
            yield Sighting(
                version.reference, "training", "not trained on so far", f"{len(found.to_come)} visits to come"
            )
        else:
            seen = tuple(found.checkpoints)
            yield Sighting(version.reference, "training", "trained on", f"steps {steps}", seen)


_LOOK: dict[str, _Look] = {"curated": _in_curation, "tokens": _in_tokens, "training": _in_training}
