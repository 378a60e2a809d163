"""Tests of what is put back into pages before resiliparse reads them, seen through the extractor."""

import time

import pytest

from ctllm.pipelines.extract import extract_page
from ctllm.pipelines.markup import MARK

PROSE = "<p>一场雨过后，河水涨了三寸，船家又把缆绳放长了一截，站在船头看了很久，才慢慢回舱里去。</p>"


def extracted(body: str) -> str:
    """What comes out behind the first paragraph of an article."""
    page = extract_page(f"<html><body><article>{PROSE}{body}</article></body></html>")
    return page.text.split("\n\n", 1)[1]


@pytest.mark.parametrize("lone", ["和", "、", "。", "“", "—", "…", "年", "か", "&ldquo;", "&#12289;", "&#x3002;"])
def test_a_lone_character_between_tags_stays(lone: str) -> None:
    """One Chinese character or mark between bold words, links or code is text, not an icon."""
    shown = {"&ldquo;": "“", "&#12289;": "、", "&#x3002;": "。"}.get(lone, lone)
    assert extracted(f"<p>运行<b>第一</b>{lone}<code>main.py</code>即可</p>") == f"运行第一{shown}main.py即可"


def test_lone_characters_in_cells_and_tags_stay() -> None:
    """A name of one character in a cell, a term of one character, a bold one: all there; no marks are left."""
    text = extracted(
        "<table><tr><td>梨</td><td>12</td></tr></table><dl><dt>词</dt><dd>解释</dd></dl><p><b>甲</b>方</p>"
    )
    assert [line.split() for line in text.splitlines() if line.strip()] == [["梨", "12"], ["词"], ["解释"], ["甲方"]]
    assert MARK not in text


def test_icons_stay_out() -> None:
    """A glyph of an icon font is no text."""
    assert extracted("<p>字<i>\ue001</i>字</p>") == "字字"


def test_a_title_of_one_character_has_no_mark() -> None:
    """The title is read from the same tree."""
    assert extract_page(f"<title>河</title><article>{PROSE}</article>").title == "河"


def test_ordered_lists_keep_their_numbers() -> None:
    """Start, value and direction count as in a browser; the number stands in the item's own first line."""
    items = "<li>下船</li><li value=9><p>上<b>岸</b></p></li>\n<li><div>回头</div></li>"
    assert extracted(f"<ol start=3>{items}</ol>").split() == ["3.", "下船", "9.", "上岸", "10.", "回头"]
    assert extracted("<ol reversed start=2><li>二</li><li>一</li></ol>").split() == ["2.", "二", "1.", "一"]
    assert extracted("<ol start=x><li>甲乙</li></ol>").split() == ["1.", "甲乙"]


def test_lists_for_layout_and_bulleted_lists_have_none() -> None:
    """A list with a class or an id is a breadcrumb or a carousel, one of links a menu; <ul> has no numbers to keep."""
    for opening, closing in (("<ol class=nav-steps>", "</ol>"), ("<ol id=columns>", "</ol>"), ("<ul>", "</ul>")):
        text = extracted(f"{opening}<li>先把缆绳收回来，</li><li>再把船头调过去。</li>{closing}<p>完。</p>")
        assert text.split() == ["先把缆绳收回来，", "再把船头调过去。", "完。"]
    linked = extracted("<ol><li><a href=x>老街改造一期完工</a></li><li>又：<a href=x>下周降温</a></li></ol>")
    assert linked.split() == ["老街改造一期完工", "又：下周降温"]


def test_a_list_of_sentences_is_no_menu() -> None:
    """A bulleted list in a plain page stays when its items are clauses; a list of links or of single words goes."""
    sentences = "<ul><li>先把缆绳收回来，</li><li>再把船头<a href=x>调过去</a>。</li></ul>"
    assert extracted(sentences + "<p>完。</p>").split() == ["先把缆绳收回来，", "再把船头调过去。", "完。"]
    assert extracted(f"<ul><li>首页</li><li>新闻。</li></ul>{PROSE}") == PROSE[3:-4]
    links = sentences.replace("<li>", "<li><a href=x>").replace("</li>", "</a></li>")
    assert extracted(links + PROSE) == PROSE[3:-4]


@pytest.mark.parametrize(
    "formula",
    [
        '<script type="math/tex">E=mc^2</script>',
        '<span class="katex"><span class="katex-mathml"><math><mi>E</mi><annotation encoding="application/x-tex">E=mc^2'
        '</annotation></math></span><span class="katex-html" aria-hidden="true">E=mc2</span></span>',
        '<span class="mwe-math-element"><span style="display: none;"><math><mi>E</mi><annotation encoding='
        '"application/x-tex">{\\displaystyle E=mc^2}</annotation></math></span><img alt="x" src=x></span>',
        '<math><mi>E</mi><annotation encoding="application/x-tex"> E=mc^2 </annotation></math>',
    ],
)
def test_formulas_come_out_once_as_tex(formula: str) -> None:
    """MathJax, KaTeX, Wikipedia and plain MathML with a TeX source."""
    assert extracted(f"<p>质能关系{formula}很有名</p>") == "质能关系$E=mc^2$很有名"


def test_a_list_of_thousands_of_links_does_not_stall() -> None:
    """A page of 5,000 sentences with a link each takes a second, not the minutes of a loop over live nodes."""
    started = time.process_time()
    items = "".join(f"<li>第{number}条：河水涨了三寸，见<a href='/{number}'>原文</a>。</li>" for number in range(5000))
    assert extracted(f"<ol>{items}</ol>").count("\n") >= 4999
    extract_page(f"<body><ul>{items}</ul></body>")
    assert time.process_time() - started < 20
