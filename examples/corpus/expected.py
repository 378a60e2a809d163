"""What must become of every record: kept, removed for these reasons, or failed, and which copy stands for which."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ctllm.examples.corpus.containers import record_id
from ctllm.examples.corpus.documents import TREES, Document
from ctllm.examples.corpus.variants import reads_the_same

TREE_SOURCE = "corpus"  # the folder's name where `ctllm demo` and the tests build it
SAFE_MARGIN_CHARS = 30
"""Copies of which one is an HTML page must differ by more: menus that extraction leaves in must not turn the order."""


@dataclass(frozen=True)
class Expected:
    """One line of expected.jsonl; README.md says what each field means."""

    id: str
    container: str
    source: str
    outcome: Literal["kept", "removed", "failed"]
    lane: str | None
    reasons: tuple[str, ...]
    kept_id: str | None
    plant: str
    base: str | None = None
    redacted: tuple[str, ...] = ()
    known_miss: str | None = None

    def line(self) -> str:
        """The record as JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def expect(documents: Sequence[Document]) -> list[Expected]:
    """The verdict of each document; `documents` come in the order of their keys."""
    survivors = _survivors(documents)
    return [_expected(document, survivors.get(document.group or "", document)) for document in documents]


def _expected(document: Document, survivor: Document) -> Expected:
    reasons = document.reasons
    if survivor is not document:
        is_exact = reads_the_same(document.text, survivor.text, lane=document.lane)
        reasons = ("exact_duplicate",) if is_exact else ("near_duplicate",)
    return Expected(
        id=identity(document),
        container=document.file,
        source=source_of(document.file),
        outcome="removed" if reasons else "kept",
        lane=document.lane,
        reasons=reasons,
        kept_id=None if survivor is document else identity(survivor),
        plant=document.plant,
        base=document.base,
        redacted=document.redacted,
        known_miss=document.known_miss,
    )


def _survivors(documents: Iterable[Document]) -> dict[str, Document]:
    """The longest document of each group, the first of equally long ones."""
    groups: dict[str, list[Document]] = defaultdict(list)
    for document in documents:
        if document.group:
            groups[document.group].append(document)
    return {name: _survivor(members) for name, members in groups.items()}


def _survivor(members: list[Document]) -> Document:
    best = max(members, key=_num_chars)  # the first of equals
    for other in members:
        margin = _num_chars(best) - _num_chars(other)
        is_comparable = best.is_page == other.is_page and (best.container == other.container or not best.is_page)
        if not is_comparable and margin < SAFE_MARGIN_CHARS:
            raise ValueError(f"{best.name} and {other.name}: which of them is longer is not certain")
    return best


def _num_chars(document: Document) -> int:
    """Characters of the document as it is read: files as they are, pages by their lines."""
    return sum(map(len, [document.title, *document.paragraphs])) if document.is_page else len(document.text.strip())


def identity(document: Document) -> str:
    """The id that the reader gives the record: path, WARC-Record-ID without its brackets, or the `id` field."""
    if document.container in TREES:
        return document.file
    is_warc = document.container.endswith((".warc.gz", ".wet.gz"))
    return record_id(document.name).strip("<>") if is_warc else document.name


def source_of(file: str) -> str:
    """How accounts name the input: a container's name without its endings, the corpus itself for loose files."""
    is_container = file.endswith((".gz", ".zst", ".jsonl", ".parquet"))
    return Path(file).name.partition(".")[0] if is_container else TREE_SOURCE
