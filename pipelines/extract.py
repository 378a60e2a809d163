"""HTML to main text and title, by resiliparse: about 500 real Chinese pages a second and core, parsing included.

On 94 pages with known truth (web_en_multi_pages) 98 % of the wanted passages stay and 28 % of the unwanted ones come
along; all visible text would give 99.6 % and 86 %. Lost: numbers of ordered lists, image descriptions, user comments.
"""

import re
from itertools import accumulate
from typing import NamedTuple

from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.html import HTMLTree

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


def extract_page(html: str) -> Page:
    """Main text, paragraphs as lines, without menus and footers; characters stay as they are, full-width ones too.

    When the heuristic leaves fewer than `MIN_MAIN_CHARS` characters (help pages and picture series of Chinese portals),
    or the page is nested deeper than `MAX_DEPTH`, all visible text is taken and the rules judge it; not where that is
    under `MIN_WHOLE_CHARS`, so that an error page with one sentence of its own stays short. A page without text is "".
    """
    tree = HTMLTree.parse(html)
    title = (tree.title or "").strip()
    text = "" if _is_too_deep(html) else _plain_text(tree, main_content=True)
    if len(text) < MIN_MAIN_CHARS:
        whole = _plain_text(tree, main_content=False)
        text = whole if len(whole) >= MIN_WHOLE_CHARS or not text else text
    return Page(text, title or None)


def _plain_text(tree: HTMLTree, *, main_content: bool) -> str:
    # No bullets: Chinese portals lay out whole pages in <li>. No alt texts: they are file names and "图片".
    text = extract_plain_text(
        tree,
        main_content=main_content,
        preserve_formatting=True,
        list_bullets=False,
        alt_texts=False,
        comments=False,
    )
    return _BLANK_LINES.sub("\n\n", text).strip(_OUTER_SPACE)


def _is_too_deep(html: str) -> bool:
    if html.count("<") <= MAX_DEPTH:
        return False
    depths = accumulate(-1 if closing else 1 for closing in _NESTING_TAG.findall(html))
    return max(depths, default=0) > MAX_DEPTH
