"""Builds the example corpus: `python -m ctllm.examples.corpus.build OUT [EXPECTED]`.

    base texts ─► originals ─► copies        one document per record,
    plants/*.yaml ─────────────► planted     each with the verdict it must get
    damage ────────────────────► failures
                      │
                      ▼
    pages/*.warc.gz  crawl.warc.wet.gz  html/  records/*.jsonl(.gz|.zst)  tables/*.parquet  texts/  code/  broken/

Nothing is random that is not seeded and no time of day is written: the same code gives the same bytes.
"""

import random
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ctllm.examples.corpus import containers, pages
from ctllm.examples.corpus.copies import copies_of
from ctllm.examples.corpus.damage import add_damage
from ctllm.examples.corpus.documents import CORPUS, FORUM, HTML, MIXED, SEED, TREES, Document, originals, planted
from ctllm.examples.corpus.expected import Expected, expect
from ctllm.examples.corpus.variants import misread_as_latin

EXPECTED = CORPUS / "expected.jsonl"
RESPONSE = "application/http; msgtype=response"
CODINGS = ("", "gzip", "chunked")  # how the pages of a WARC came over HTTP, in turn
ONE_PIXEL = bytes.fromhex("47494638396101000100800000ffffff00000021f90401000000002c00000000010001000002024401003b")
MISREAD = ((FORUM, 0), (MIXED, 1), (FORUM, 2))
"""Container and number of the Chinese originals that somebody also stored after reading UTF-8 as Latin-1."""


def documents() -> list[Document]:
    """Every document of the corpus in the order of keys: loose files by path, then containers by path and row."""
    grouped, copies = copies_of(originals())
    everything = [*grouped, *copies, *planted(), *_misread(grouped)]
    random.Random(SEED).shuffle(everything)
    return sorted(everything, key=_place)


def _place(document: Document) -> tuple[int, str]:
    return (document.container not in TREES, document.file)


def _misread(documents: Sequence[Document]) -> list[Document]:
    chinese = [document for document in documents if document.lane == "zh"]
    plant = "mojibake: utf-8 that was read as latin-1"
    return [
        replace(
            chinese[number],
            name=f"{chinese[number].name}-misread",
            text=misread_as_latin(chinese[number].text),
            container=container,
            lane="other",
            plant=plant,
            reasons=("other_language",),
            group=None,
        )
        for container, number in MISREAD
    ]


def build_corpus(out: Path) -> list[Expected]:
    """Writes the corpus into the folder `out` and returns what must become of every record in it."""
    everything = documents()
    by_container: dict[str, list[Document]] = defaultdict(list)
    for document in everything:
        by_container[document.container].append(document)
    for container, members in by_container.items():
        _write(out, container, members)
    return [*expect(everything), *add_damage(out)]


def _write(out: Path, container: str, members: Sequence[Document]) -> None:
    path = out / container
    if container in TREES:
        for number, document in enumerate(members):
            data = (
                pages.render(document, pages.site_of(document), number) if container == HTML else document.text.encode()
            )
            containers.write(out / document.file, data)
    elif container.endswith(".wet.gz"):
        containers.write_warc(path, [_extracted(document) for document in members])
    elif container.endswith(".warc.gz"):
        crawled = [capture for number, document in enumerate(members) for capture in _crawled(document, number)]
        containers.write_warc(path, [*_by_the_way(path.name), *crawled])
    elif container.endswith(".parquet"):
        containers.write_table(path, [_row(document) for document in members])
    else:
        containers.write_json_lines(path, [containers.json_line(**_row(document)) for document in members])


def _row(document: Document) -> dict[str, str]:
    return {"id": document.name, "url": f"http://store.example.org/{document.name}", "text": document.text}


def _extracted(document: Document) -> containers.Capture:
    """The document as Common Crawl's WET files have it: plain text, `conversion` records."""
    url = f"http://crawl.example.org/{document.name}"
    return containers.Capture("conversion", document.name, url, "text/plain", document.text.encode())


def _crawled(document: Document, number: int) -> list[containers.Capture]:
    """Request and response of page `number`."""
    site = pages.site_of(document)
    url = f"{site.address}/{number:04d}.html"
    request = f"GET /{number:04d}.html HTTP/1.1\r\nHost: {site.address.split('/')[2]}\r\n\r\n".encode()
    response = containers.http_response(
        pages.render(document, site, number),
        content_type=pages.content_type_of(site, number),
        coding=CODINGS[number % len(CODINGS)],
    )
    return [
        containers.Capture("request", f"request:{document.name}", url, "application/http; msgtype=request", request),
        containers.Capture("response", document.name, url, RESPONSE, response),
    ]


def _by_the_way(name: str) -> list[containers.Capture]:
    """What a crawl brings along and no reader may count as a record: a redirect, an error page, a picture."""
    answers = (
        containers.http_response(b"", content_type="text/html", status="301 Moved Permanently"),
        containers.http_response("<p>没有这个页面。</p>".encode(), content_type="text/html", status="404 Not Found"),
        containers.http_response(ONE_PIXEL, content_type="image/gif"),
    )
    url = "http://www.example.org/by-the-way"
    return [
        containers.Capture("response", f"by-the-way:{name}:{number}", f"{url}/{number}", RESPONSE, answer)
        for number, answer in enumerate(answers)
    ]


def main(out: str, expected: str | None = None) -> None:
    """Writes the corpus into `out` and, if asked, the expected verdicts into the file `expected`."""
    lines = build_corpus(Path(out))
    if expected:
        Path(expected).write_text("".join(f"{line.line()}\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} records in {out}")


if __name__ == "__main__":
    main(*sys.argv[1:])
