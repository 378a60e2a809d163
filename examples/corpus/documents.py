"""The documents of the corpus before they are put into containers: base texts, planted texts, and where each goes."""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ctllm.examples.corpus.variants import to_traditional

CORPUS = Path(__file__).resolve().parent
BENCHMARKS = CORPUS.parent / "benchmarks"
SEED = 2  # chosen; decides which base text goes into which container

TOWN, BLOG, BOARD = "pages/town.warc.gz", "pages/blog.warc.gz", "pages/board.warc.gz"
ISLAND, FARM, HERALD = "pages/island.warc.gz", "pages/farm.warc.gz", "pages/herald.warc.gz"
WORLD, WET = "pages/world.warc.gz", "crawl.warc.wet.gz"
ARTICLES, ARCHIVE = "records/articles.jsonl", "records/archive.jsonl.gz"
NOTES, FORUM = "records/notes.jsonl.zst", "records/forum.jsonl"
LIBRARY, MIXED = "tables/library.parquet", "tables/mixed.parquet"
TEXTS, CODE, HTML = "texts", "code", "html"
TREES = {TEXTS: ".txt", CODE: "", HTML: ".html"}
"""Folders whose files are one document each, and what ends their names."""
PLACES: dict[str, tuple[tuple[str, int], ...]] = {
    "zh": ((TOWN, 10), (BLOG, 7), (BOARD, 5), (HTML, 3), (ARTICLES, 7), (ARCHIVE, 7), (LIBRARY, 4), (WET, 3)),
    "en": ((HERALD, 12), (HTML, 2), (ARTICLES, 5), (ARCHIVE, 4), (LIBRARY, 4), (WET, 3)),
}
"""Lane to containers and how many base texts each gets; what is left over goes to `texts`."""


@dataclass(frozen=True)
class Document:
    """One record to be, and the verdict it must get."""

    name: str
    text: str
    container: str
    lane: str
    plant: str
    reasons: tuple[str, ...] = ()
    failure: str | None = None
    base: str | None = None
    group: str | None = None
    """Documents of one group are copies of each other; the longest is kept, the earliest of equally long ones."""
    redacted: tuple[str, ...] = ()
    known_miss: str | None = None
    """Why the pipeline does not reach this verdict yet."""

    @property
    def file(self) -> str:
        """The file it stands in, relative to the corpus."""
        return f"{self.container}/{self.name}{TREES[self.container]}" if self.container in TREES else self.container

    @property
    def is_page(self) -> bool:
        """Whether it is wrapped in HTML."""
        return self.container == HTML or self.container.startswith("pages/") or self.container == "broken/cut.warc.gz"

    @property
    def title(self) -> str:
        """The first line, where others follow it."""
        first, *rest = self.text.strip().split("\n")
        return first if rest else ""

    @property
    def paragraphs(self) -> list[str]:
        """The lines with text after the title."""
        lines = [line for line in self.text.strip().split("\n") if line.strip()]
        return lines[1:] if self.title else lines


def originals() -> list[Document]:
    """Every base text once, in its container."""
    documents = [_code_original(path) for path in sorted((CORPUS / "base" / "code").iterdir())]
    for lane in ("zh", "en"):
        placed = [_original(path, lane) for path in sorted((CORPUS / "base" / lane).iterdir())]
        documents += [document for document in placed if document.container]
        free = [document for document in placed if not document.container]
        random.Random(SEED).shuffle(free)
        for container, document in zip(_places(lane), free, strict=False):
            documents.append(replace(document, container=container))
    return documents


def _places(lane: str) -> Iterator[str]:
    for container, count in PLACES[lane]:
        yield from [container] * count
    while True:
        yield TEXTS


def _original(path: Path, lane: str) -> Document:
    """A base text; poems, dialogues and technical notes are files, traditional characters stand on the island."""
    text = path.read_text(encoding="utf-8")
    kind = path.stem.split("_")[0]
    container = ""
    if kind in ("poetry", "tech", "dialogue"):
        container = TEXTS
    elif lane == "zh" and _fits_big5(text):
        container = ISLAND
    return Document(path.stem, text, container, lane, "original", base=f"{lane}/{path.name}")


def _fits_big5(text: str) -> bool:
    """Whether a text is written in traditional characters: Big5 has no simplified ones."""
    try:
        text.encode("big5hkscs")
    except UnicodeEncodeError:
        return False
    return True


def _code_original(path: Path) -> Document:
    text = path.read_text(encoding="utf-8")
    return Document(f"src/{path.name}", text, CODE, "code", "original", base=f"code/{path.name}")


def planted() -> list[Document]:
    """Every text of `plants/`, the documents of one file dealt out in turn to the containers it names."""
    documents = []
    for path in sorted((CORPUS / "plants").glob("*.yaml")):
        listing = yaml.safe_load(path.read_text(encoding="utf-8"))
        for number, entry in enumerate(listing["documents"]):
            containers = listing["containers"]
            documents.append(_planted(entry, containers[number % len(containers)]))
    return documents


def _planted(entry: dict[str, Any], container: str) -> Document:
    text = expand(entry["text"]).strip()
    if entry.get("traditional"):
        text = to_traditional(text)
    return Document(
        entry["name"],
        text,
        container,
        entry["lane"],
        entry["plant"],
        reasons=tuple(entry["reasons"]),
        redacted=tuple(expand(each) for each in entry.get("redacted", ())),
        known_miss=entry.get("known_miss"),
    )


_PLACEHOLDER = re.compile(r"\{\{(?:(question|resident):)?([\w-]+)\}\}")


def expand(text: str) -> str:
    """`text` with placeholders filled in.

    {{mini-zh-01}} is a benchmark item with choices and answer, {{question:mini-zh-01}} its question alone,
    {{resident:110101}} an invented resident ID number of that district with a right check digit.
    """
    return _PLACEHOLDER.sub(lambda match: _fill(match[1], match[2]), text)


def _fill(kind: str | None, name: str) -> str:
    if kind == "resident":
        return resident_number(name)
    item = benchmark_items()[name]
    if kind == "question":
        return str(item["question"])
    choices = "\n".join(f"{letter}. {item[letter]}" for letter in "ABCD")
    return f"{item['question']}\n{choices}\n{'答案：' if '-zh-' in name else 'Answer: '}{item['answer']}"


def benchmark_items() -> dict[str, dict[str, str]]:
    """The items of examples/benchmarks by id."""
    lines = [line for path in sorted(BENCHMARKS.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    return {item["id"]: item for item in map(json.loads, lines)}


def resident_number(district: str) -> str:
    """An 18-digit number of nobody: born on 1 January 1900, check digit by GB 11643-1999 (ISO 7064 MOD 11-2)."""
    digits = f"{district}19000101001"
    total = sum(int(digit) * pow(2, 17 - position, 11) for position, digit in enumerate(digits))
    return digits + "10X98765432"[total % 11]
