"""Markup that carries text, made into text before resiliparse reads the page, which would lose it.

* A text node of one character of three UTF-8 bytes (nearly all Chinese, “ ” … — too) is dropped from main content as if
  it were an icon: `<b>甲</b>和<b>乙</b>` lost all three, 247 of 821 pages of web_zh_pages lost 1,646 of them in all.
* A bulleted list nested less than five deep is dropped as a menu, whatever stands in it: prose on 23 of the 821 pages.
* Ordered lists lose their numbers (its own count goes wrong when anything stands between the items).
* Formulas of Wikipedia, KaTeX and MathJax come out twice, or not at all.

Collections of nodes are always sliced, `[:]`: looping over one takes cubic time, 228 s for a list of 4,000 links.
"""

import re
from typing import cast

from resiliparse.parse.html import ElementNode, HTMLTree, Node

MARK = "\ufdd0"
"""A noncharacter: put beside lone characters, so that they are not alone, and taken out of the text again."""

# Private use is left alone: those are the icons. A non-breaking space is kept as it is.
_LONE = re.compile(
    r">([^\S\u3000]*(?:[\u0800-\ud7ff\uf900-\ufdcf\ufe00-\uffff]|&(?!nbsp;)(?:#\w{2,6}|\w{2,8});)[^\S\u3000]*)<"
)
_LIST = re.compile(r"<[ou]l\b", re.IGNORECASE)
_SHALLOW_LISTS = "body > ul, body > * > ul, body > * > * > ul"
_END_MARKS = re.compile(r"[，。；！？]|[,.;!?](?=\s)")
_DISPLAY_STYLE = re.compile(r"\{\\displaystyle (.*)\}", re.DOTALL)
_TEX = "application/x-tex"
_MATHJAX = "math/tex"


def parse_page_markup(html: str) -> HTMLTree:
    """The page's tree with lone characters marked by `MARK`, list items numbered and formulas as `$TeX$`."""
    tree = HTMLTree.parse(_LONE.sub(rf">\1{MARK}<", html))
    body = tree.body
    if body is not None and _LIST.search(html):
        _keep_prose_lists(tree, body)
        _number_items(tree, body)
    if body is not None and (_TEX in html or _MATHJAX in html):
        _write_formulas(tree, body)
    return tree


def _keep_prose_lists(tree: HTMLTree, body: ElementNode) -> None:
    """Renames shallow <ul> with a clause or sentence an item, most of it no links, to <ol>, which is not dropped."""
    for items in body.query_selector_all(_SHALLOW_LISTS)[:]:
        text = items.text or ""
        if len(_END_MARKS.findall(text)) < max(1, len(items.query_selector_all("li"))):
            continue
        if _is_mostly_links(items):
            continue
        renamed = cast(ElementNode, tree.create_element("ol"))
        renamed.setattr("class", "bulleted")  # without numbers
        for child in items.child_nodes[:]:
            renamed.append(child)
        items.replace_with(renamed)


def _number_items(tree: HTMLTree, body: ElementNode) -> None:
    """Numbers the lists of an author; one with class or id is layout (breadcrumbs, carousels), one of links a menu."""
    for items in body.query_selector_all("ol:not([class]):not([id])")[:]:
        if _is_mostly_links(items):
            continue
        number = _whole_number(items.getattr("start"), 1)
        step = -1 if items.hasattr("reversed") else 1
        for item in items.children[:]:
            if item.tag == "li":
                number = _whole_number(item.getattr("value"), number)
                _start_of(item).prepend(_text_node(tree, f"{number}. "))
                number += step


def _is_mostly_links(items: ElementNode) -> bool:
    return 2 * sum(len(link.text or "") for link in items.query_selector_all("a")[:]) > len(items.text or "")


def _whole_number(attribute: str | None, otherwise: int) -> int:
    return int(attribute) if attribute and re.fullmatch(r"\s*-?\d{1,9}\s*", attribute, re.ASCII) else otherwise


def _start_of(item: ElementNode) -> ElementNode:
    """The paragraph an item begins with, else the item: a number should not be a line of its own."""
    first = item.first_element_child
    if first is None or first.tag not in ("p", "div"):
        return item
    before = first.prev
    return item if before is not None and (before.text or "").strip() else first


def _write_formulas(tree: HTMLTree, body: ElementNode) -> None:
    for source in body.query_selector_all(f'annotation[encoding="{_TEX}"]')[:]:
        shown = source.closest(".katex, .mwe-math-element") or source.closest("math")
        if shown is not None:
            shown.replace_with(_formula(tree, source))
    for source in body.query_selector_all(f'script[type^="{_MATHJAX}"]')[:]:
        source.replace_with(_formula(tree, source))


def _formula(tree: HTMLTree, source: ElementNode) -> Node:
    tex = _DISPLAY_STYLE.sub(r"\1", (source.text_content or "").strip()).strip()
    return _text_node(tree, f"${tex}$")


def _text_node(tree: HTMLTree, text: str) -> Node:
    return cast(Node, tree.create_text_node(text))  # None only for a tree without a document
