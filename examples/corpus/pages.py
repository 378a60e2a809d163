"""HTML pages of invented sites: each has its own template, charset and way of declaring the charset, or none."""

import html
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from zlib import crc32

from ctllm.examples.corpus import documents

SITES_FOLDER = Path(__file__).resolve().parent / "sites"


@dataclass(frozen=True)
class Site:
    """How one site makes its pages."""

    template: str
    address: str
    codec: str
    label: str
    """What meta tag and HTTP header call the charset; real sites say gb2312 and send more than that."""
    declared_by: tuple[str, ...] = ("meta", "header", "nothing")
    """In turn, page by page."""
    is_broken_by_br: bool = False
    """Paragraphs are set apart by <br><br> instead of <p>."""


SITES = {
    documents.TOWN: Site("town", "http://www.qingshi.example.cn/life", "utf-8", "utf-8"),
    documents.BLOG: Site("blog", "http://manchuan.example.cn/archives", "gb18030", "gb2312"),
    documents.BOARD: Site("board", "http://bbs.liutang.example.cn/show.asp", "gb18030", "gbk", is_broken_by_br=True),
    documents.ISLAND: Site("island", "https://weekly.haijiao.example.tw/n", "big5hkscs", "big5"),
    documents.FARM: Site("farm", "http://www.haowen.example.com/a", "gb18030", "gb2312"),
    documents.HERALD: Site("herald", "https://www.harrowmere-herald.example.uk/local", "utf-8", "utf-8"),
    documents.WORLD: Site("plain", "http://world.example.org", "utf-8", "utf-8"),
}
"""WARC file to the site that was crawled into it."""

FOREIGN = {
    "russian-01": Site("plain", "http://pristan.example.ru", "windows-1251", "windows-1251", ("meta",)),
    "japanese-01": Site("plain", "http://sakamichi.example.jp", "shift_jis", "Shift_JIS", ("header",)),
}
"""Pages in `WORLD` that come from a site of their own."""


def site_of(document: documents.Document) -> Site:
    """The site that `document` is a page of; loose pages come from the town or the Herald."""
    saved_from = documents.HERALD if document.lane == "en" else documents.TOWN
    return FOREIGN.get(document.name) or SITES.get(document.container, SITES[saved_from])


def declaration_of(site: Site, number: int) -> str:
    """How page `number` of the site says its charset: meta, header or nothing."""
    return site.declared_by[number % len(site.declared_by)]


def content_type_of(site: Site, number: int) -> str:
    """The HTTP header of page `number`."""
    return f"text/html; charset={site.label}" if declaration_of(site, number) == "header" else "text/html"


def render(document: documents.Document, site: Site, number: int) -> bytes:
    """The page as the server sends it."""
    declaration = f'<meta charset="{site.label}">' if declaration_of(site, number) == "meta" else ""
    if site.template in ("blog", "board") and declaration:
        declaration = f'<meta http-equiv="Content-Type" content="text/html; charset={site.label}" />'
    paragraphs = [html.escape(paragraph, quote=False) for paragraph in document.paragraphs]
    body = (
        "<br>\n<br>\n".join(paragraphs) if site.is_broken_by_br else "\n".join(f"<p>{each}</p>" for each in paragraphs)
    )
    page = _template(site.template).substitute(
        declaration=declaration,
        title=html.escape(document.title, quote=False),
        paragraphs=body,
        date=f"2024-01-{crc32(document.title.encode()) % 28 + 1:02d}",
    )
    return page.encode(site.codec)


@cache
def _template(name: str) -> Template:
    return Template((SITES_FOLDER / f"{name}.html").read_text(encoding="utf-8"))
