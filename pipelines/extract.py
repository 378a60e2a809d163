"""HTML to main text and title, by resiliparse or trafilatura; figures of both in docs/decisions/0010-sources.md.

resiliparse keeps nearly all wanted passages and lets more of the frame through, at ten times the speed; what it would
lose of Chinese is put back (`markup.py`). trafilatura is stricter, but rewrites text: full-width spaces become narrow,
blank lines in programs go, lists and tables get marks. Lost with either: image descriptions, user comments.
"""

import importlib.util
import re
from collections.abc import Callable
from functools import cache
from itertools import accumulate
from typing import Literal, NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

from ctllm.pipelines.markup import MARK, parse_page_markup
from ctllm.schemas.errors import MissingPartError

Extractor = Literal["resiliparse", "trafilatura"]

_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")
_OUTER_SPACE = " \t\r\n"  # not str.strip(): the full-width indent of a first paragraph belongs to the text

_NESTING_TAG = re.compile(
    r"<(/?)(?:a|b|big|blockquote|center|div|dl|em|font|i|ol|section|small|span|strong|table|u|ul)\b", re.IGNORECASE
)

MAX_DEPTH = 3000  # the heuristic takes quadratic time: 0.2 s at 3,000 levels, 14 s at 20,000 (2026-11-20)
MIN_MAIN_CHARS = 50  # what the shortest rule keeps: below it nothing is lost by taking the whole page
MIN_WHOLE_CHARS = 200  # 31 of 133 such pages (web_zh_pages) hold less: error pages and copyright lines, nothing to save


class Page(NamedTuple):
    """The main text of a page; `title` is None where the page has none."""

    text: str
    title: str | None


def check_extractor(extractor: Extractor) -> None:
    """Raises MissingPartError when `extractor` is not installed."""
    if extractor == "trafilatura" and importlib.util.find_spec("trafilatura") is None:
        raise MissingPartError(
            "sources.extractor: trafilatura is not installed; run pip install 'ctllm[extractors]', "
            "or choose resiliparse"
        )


def extract_page(html: str, *, extractor: Extractor = "resiliparse") -> Page:
    """Main text, paragraphs as lines, without menus and footers; by resiliparse characters stay as they are.

    When the extractor leaves fewer than `MIN_MAIN_CHARS` characters (help pages and picture series of Chinese portals),
    or the page is nested deeper than `MAX_DEPTH`, all visible text is taken and the rules judge it; not where that is
    under `MIN_WHOLE_CHARS`, so that an error page with one sentence of its own stays short. A page without text is "".
    """
    tree = parse_page_markup(html)
    title = (tree.title or "").replace(MARK, "").strip()
    text = "" if _is_too_deep(html) else _main_text(html, tree, extractor)
    if len(text) < MIN_MAIN_CHARS:
        whole = visible_text(tree)
        text = whole if len(whole) >= MIN_WHOLE_CHARS or not text else text
    return Page(text, title or None)


def visible_text(tree: HTMLTree) -> str:
    """All that the page shows, menus and footers too."""
    return _plain_text(tree, main_content=False)


def _main_text(html: str, tree: HTMLTree, extractor: Extractor) -> str:
    return _plain_text(tree, main_content=True) if extractor == "resiliparse" else _trafilatura()(html)


@cache
def _trafilatura() -> Callable[[str], str]:
    import trafilatura  # noqa: PLC0415 - an optional part

    def extract(html: str) -> str:
        return (trafilatura.extract(html, include_comments=False, favor_recall=True) or "").strip(_OUTER_SPACE)

    return extract


def _plain_text(tree: HTMLTree, *, main_content: bool) -> str:
    # No bullets: Chinese portals lay out whole pages in <li>. No alt texts: they are file names and "图片".
    text: str = extract_plain_text(
        tree,
        main_content=main_content,
        preserve_formatting=True,
        list_bullets=False,
        alt_texts=False,
        comments=False,
    )
    return _BLANK_LINES.sub("\n\n", text.replace(MARK, "")).strip(_OUTER_SPACE)


def _is_too_deep(html: str) -> bool:
    if html.count("<") <= MAX_DEPTH:
        return False
    depths = accumulate(-1 if closing else 1 for closing in _NESTING_TAG.findall(html))
    return max(depths, default=0) > MAX_DEPTH
