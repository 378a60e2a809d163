"""Copies of base texts, exact and near, each beside one original and in another container where copies live."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ctllm.examples.corpus import variants
from ctllm.examples.corpus.documents import (
    ARCHIVE,
    ARTICLES,
    BLOG,
    BOARD,
    CODE,
    FARM,
    FORUM,
    HERALD,
    ISLAND,
    LIBRARY,
    MIXED,
    NOTES,
    TEXTS,
    TOWN,
    WET,
    Document,
)  # fmt: skip

REPRINT_HEADER = "本文转载自网络，版权归原作者所有，如果涉及侵权请联系本站编辑，我们会在第一时间处理。"
REPRINT_FOOTER = (
    "小编有话说：看完这篇文章，您有什么想法呢？欢迎在评论区里留言，和大家一起分享您的故事。好文共享网每天为您挑选值得一读的文章，"
    "如果觉得不错，请把它转给您的朋友。"
)
WET_HEADER = "首页\n新闻\n民生\n体育\n论坛\n登录\n注册"
WET_FOOTER = "上一篇\n下一篇\n关于我们\n联系我们\n版权所有 青石在线"
WET_HEADER_EN = "Home\nLocal\nSport\nLetters\nSubscribe"
WET_FOOTER_EN = "About us\nContact\nPrivacy\n© Harrowmere Herald Ltd"
LICENCE = "{mark} Copyright 2021 the Fork Authors. Licensed under the Apache License, Version 2.0.\n"


@dataclass(frozen=True)
class Copying:
    """`num_originals` of `lane` in container `source`, changed by `change` and copied into each of `targets`."""

    plant: str
    change: Callable[[Document], str]
    lane: str
    source: str
    targets: tuple[str, ...]
    num_originals: int


def _same(document: Document) -> str:
    return document.text


def _reworded(document: Document) -> str:
    return variants.reworded(document.text, lane=document.lane, seed=document.name)


def _half_width(document: Document) -> str:
    return variants.half_width(document.text)


def _joined(document: Document) -> str:
    return variants.joined_lines(document.text, lane=document.lane)


def _traditional(document: Document) -> str:
    return variants.to_traditional(document.text)


def _reprinted(document: Document) -> str:
    return variants.rewrapped(document.text, header=REPRINT_HEADER, footer=REPRINT_FOOTER)


def _with_menus(document: Document) -> str:
    chinese = document.lane == "zh"
    header, footer = (WET_HEADER, WET_FOOTER) if chinese else (WET_HEADER_EN, WET_FOOTER_EN)
    return variants.rewrapped(document.text, header=header, footer=footer)


def _cut(document: Document) -> str:
    return variants.without_last_paragraph(document.text)


def _tabbed(document: Document) -> str:
    return variants.tabs_for_spaces(document.text)


def _forked(document: Document) -> str:
    is_hash = document.name.endswith((".py", ".sh"))
    mark = "#" if is_hash else "--" if document.name.endswith(".sql") else "//"
    first, _, rest = document.text.partition("\n")
    licence = LICENCE.format(mark=mark)
    return f"{first}\n{licence}{rest}" if first.startswith("#!") else licence + document.text


SAME_PAGE = "exact copy: the same page at another address"
REWORDED = "near copy: a word changed in 30 % of the sentences"
HALF_WIDTH = "half-width punctuation"
JOINED = "line breaks lost"
TRADITIONAL = "traditional for simplified"
ANOTHER_SITE = "near copy: other header and footer"
CUT = "near copy: last paragraph missing"

COPYINGS = (
    Copying("exact copy", _same, "zh", ARTICLES, (MIXED,), 2),
    Copying("exact copy", _same, "en", ARTICLES, (MIXED,), 2),
    Copying("exact copy", _same, "zh", LIBRARY, (TEXTS,), 2),
    Copying("exact copy", _same, "en", LIBRARY, (TEXTS,), 1),
    Copying("exact copy", _same, "zh", TEXTS, (NOTES,), 1),
    Copying("exact copy: three of them", _same, "zh", ARCHIVE, (NOTES, MIXED, TEXTS), 1),
    Copying("exact copy: vendored file", _same, "code", CODE, ("vendor",), 4),
    Copying("exact copy: tabs for spaces", _tabbed, "code", CODE, ("tabs",), 3),
    Copying(SAME_PAGE, _same, "zh", TOWN, (TOWN,), 2),
    Copying(SAME_PAGE, _same, "zh", ISLAND, (ISLAND,), 2),
    Copying(SAME_PAGE, _same, "en", HERALD, (HERALD,), 2),
    Copying(HALF_WIDTH, _half_width, "zh", ARTICLES, (FORUM,), 3),
    Copying(HALF_WIDTH, _half_width, "zh", LIBRARY, (TEXTS,), 2),
    Copying(JOINED, _joined, "zh", WET, (FORUM,), 2),
    Copying(JOINED, _joined, "en", WET, (FORUM,), 2),
    Copying(JOINED, _joined, "zh", TEXTS, (FORUM,), 1),
    Copying(TRADITIONAL, _traditional, "zh", ARTICLES, (MIXED,), 2),
    Copying(TRADITIONAL, _traditional, "zh", TEXTS, (MIXED,), 2),
    Copying(TRADITIONAL, _traditional, "zh", ARCHIVE, (FORUM,), 2),
    Copying(REWORDED, _reworded, "zh", ARCHIVE, (MIXED,), 4),
    Copying(REWORDED, _reworded, "zh", TEXTS, (FORUM,), 2),
    Copying(REWORDED, _reworded, "en", ARCHIVE, (MIXED,), 3),
    Copying(ANOTHER_SITE, _reprinted, "zh", TOWN, (FARM,), 3),
    Copying(ANOTHER_SITE, _reprinted, "zh", BLOG, (FARM,), 2),
    Copying(ANOTHER_SITE, _with_menus, "en", LIBRARY, (WET,), 2),
    Copying(CUT, _cut, "zh", BOARD, (FARM,), 2),
    Copying(CUT, _cut, "en", HERALD, (WET,), 2),
    Copying("exact copy: licence added", _forked, "code", CODE, ("fork",), 4),
)
"""Every line takes originals that no line before it has taken, so that groups of copies do not run together."""


def copies_of(documents: Sequence[Document]) -> tuple[list[Document], list[Document]]:
    """The originals, those with copies marked as a group, and the copies."""
    free = list(documents)
    group_of: dict[str, str] = {}
    copies: list[Document] = []
    for copying in COPYINGS:
        for document in _take(free, copying):
            group_of[document.name] = document.name
            copies += [_copy(document, copying, target) for target in copying.targets]
    return [replace(document, group=group_of.get(document.name)) for document in documents], copies


def _take(free: list[Document], copying: Copying) -> list[Document]:
    """Removes the originals of one line from `free`."""
    fitting = [each for each in free if (each.lane, each.container) == (copying.lane, copying.source)]
    taken = fitting[: copying.num_originals]
    if len(taken) < copying.num_originals:
        raise ValueError(f"{copying.source} has {len(taken)} free originals for: {copying.plant}")
    for document in taken:
        free.remove(document)
    return taken


def _copy(document: Document, copying: Copying, target: str) -> Document:
    if document.lane == "code":
        container, name = CODE, document.name.replace("src/", f"{target}/")
    else:
        container, name = target, f"{document.name}-in-{Path(target).name.partition('.')[0]}"
    return replace(
        document,
        name=name,
        text=copying.change(document),
        container=container,
        plant=copying.plant,
        group=document.name,
    )
