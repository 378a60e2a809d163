"""Tests of main-text extraction."""

import importlib.util

import pytest

from ctllm.pipelines.extract import MAX_DEPTH, Page, check_extractor, extract_page
from ctllm.schemas.errors import MissingPartError

MENU = (
    "<nav><ul>"
    + "".join(f"<li><a href=/{item}>{item}</a></li>" for item in ("首页", "新闻", "体育", "财经"))
    + "</ul></nav>"
)
FOOTER = "<footer>版权所有 京ICP备00000000号</footer>"
PARAGRAPHS = [
    "　　“一场雨过后，”她说，“河水涨了三寸。”",
    "　　第二天，船家又把缆绳放长了一截……",
    "他数了数：１２３，没有少。" * 3,
]


def html(body: str) -> str:
    """A whole page around `body`."""
    return f"<html><head><title> 河 水 </title><style>p{{}}</style></head><body>{MENU}{body}{FOOTER}</body></html>"


def test_main_text_is_kept_and_menu_footer_and_script_go() -> None:
    """Paragraphs come out as lines, with their indent and full-width characters; the frame of the page is gone."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS)
    page = extract_page(html(f"<script>var 变量 = 1;</script><article>{body}</article>"))
    assert page == Page("\n\n".join(PARAGRAPHS), "河 水")


def test_a_page_without_main_text_gives_all_that_is_visible() -> None:
    """A page of menus only is not lost: its words become the document that the rules then judge."""
    page = extract_page(html(""))
    assert "首页" in page.text
    assert "体育" in page.text


def test_an_error_page_stays_as_short_as_its_own_text() -> None:
    """The frame of a small page is not added to its one sentence, which would make it long enough to be kept."""
    assert (
        extract_page(html("<article><p>您要找的页面可能已经被删除。</p></article>")).text
        == "您要找的页面可能已经被删除。"
    )


def test_a_long_page_with_little_main_text_is_taken_whole() -> None:
    """Where the heuristic finds one line of a page of 200 characters or more, all visible text is kept."""
    links = "".join(f"<a href=/{number}>第{number}张照片是在河边拍的</a> " for number in range(20))
    text = extract_page(html(f"<article><p>河边的照片。</p></article><div class=menu>{links}</div>")).text
    assert "第19张照片是在河边拍的" in text


def test_lists_carry_no_bullets_and_images_no_captions() -> None:
    """Portals lay out pages in lists; neither bullets nor alternative texts of pictures get into the corpus."""
    items = "".join(f"<li>{paragraph}</li>" for paragraph in PARAGRAPHS)
    text = extract_page(html(f"<article><ul>{items}</ul><img alt=图片 src=a.png></article>")).text
    assert "•" not in text
    assert "图片" not in text
    assert all(paragraph.strip("　") in text for paragraph in PARAGRAPHS)


def test_preformatted_code_keeps_its_lines_and_indent() -> None:
    """A program in <pre> stays a program."""
    code = "def f(x):\n    return x + 1"
    text = extract_page(html(f"<article><p>{PARAGRAPHS[2]}</p><pre>{code}</pre></article>")).text
    assert code in text


def test_no_title_and_no_text() -> None:
    """An empty page has neither."""
    assert extract_page("") == Page("", None)
    assert extract_page("<html><head><title></title></head><body><script>x()</script></body></html>") == Page("", None)


def test_absurdly_deep_nesting_is_read_without_the_heuristic() -> None:
    """A page with 100,000 nested tags, for which the heuristic would take minutes, still gives its text."""
    depth = 100_000
    assert depth > MAX_DEPTH
    page = extract_page("<div>" * depth + PARAGRAPHS[2] + "</div>" * depth)
    assert page.text == PARAGRAPHS[2]


def test_a_long_page_of_line_breaks_is_not_deep() -> None:
    """A novel chapter with thousands of <br> and closed paragraphs keeps the heuristic, which drops its menu."""
    body = "<br>".join(["他走了很远的路，天色渐渐暗了下来。"] * (MAX_DEPTH + 100))
    assert "首页" not in extract_page(html(f"<article>{body}</article>")).text


def test_trafilatura_reads_the_same_page() -> None:
    """The other extractor keeps the paragraphs and drops the frame; the title and the fallback are the same."""
    body = "".join(f"<p>{paragraph}</p>" for paragraph in PARAGRAPHS * 2)
    page = extract_page(html(f"<article>{body}</article>"), extractor="trafilatura")
    assert page.title == "河 水"
    assert "河水涨了三寸" in page.text
    assert "首页" not in page.text
    assert "首页" in extract_page(html(""), extractor="trafilatura").text
    assert extract_page("", extractor="trafilatura") == Page("", None)


def test_an_extractor_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Choosing trafilatura without the extra stops before any work; resiliparse is always there."""
    check_extractor("trafilatura")
    monkeypatch.setattr(importlib.util, "find_spec", lambda *_: None)
    with pytest.raises(MissingPartError, match=r"pip install 'ctllm\[extractors\]'"):
        check_extractor("trafilatura")
    check_extractor("resiliparse")
