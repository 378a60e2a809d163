"""The page as people see it, in a real Chromium: drawn whole, silent, true to the statistics."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from ctllm.dashboards.report import write_report
from ctllm.schemas.files import read_json, write_json
from ctllm.schemas.stats import EDITS

pytestmark = pytest.mark.browser

VIEWS = [
    "overview", "funnel", "mixture", "heat", "rules", "histograms", "whatif", "duplicates", "samples", "edits",
    "lines", "contamination", "failures", "lineage", "stages",
]  # fmt: skip
HOSTILE_START = '</script><img src=x onerror="'

OpenPage = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module")
def run(make_run: Callable[..., Path], training: Path) -> Path:
    """A run of 300 documents, one of them hostile, with its report."""
    directory = make_run(300)
    write_report(str(directory), [str(training)])
    return directory


@pytest.fixture
def open_page(browser: Any) -> OpenPage:
    """Opens a report; on leaving, fails on any console message, error, or request that is not for the file itself."""

    @contextmanager
    def opened(report: Path, *, language: str = "en-US", scheme: str = "light", width: int = 1400) -> Iterator[Any]:
        context = browser.new_context(locale=language, color_scheme=scheme, viewport={"width": width, "height": 900})
        page = context.new_page()
        trouble: list[str] = []
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on("request", lambda request: trouble.append(request.url) if request.url != report.as_uri() else None)
        page.goto(report.as_uri())
        assert not trouble
        page.wait_for_selector("body[data-ready='1']", timeout=20_000)
        yield page
        context.close()
        assert not [each for each in trouble if not each.startswith(("data:", "blob:"))]

    return opened


@pytest.fixture(scope="module")
def english_page(browser: Any, run: Path) -> Iterator[Any]:
    """One English page for the tests that only read or choose; `page` brings it back to its beginning."""
    page = browser.new_context(locale="en-US", viewport={"width": 1400, "height": 900}).new_page()
    page.goto((run / "report.html").as_uri())
    page.wait_for_selector("body[data-ready='1']", timeout=20_000)
    yield page
    page.context.close()


@pytest.fixture
def page(english_page: Any) -> Iterator[Any]:
    """The English page as a reader finds it; fails on errors that a test has caused."""
    errors: list[Any] = []

    def note(error: Any) -> None:
        errors.append(error)

    english_page.on("pageerror", note)
    english_page.evaluate("for (const name of Object.keys(state)) delete state[name]; state.language = 1")
    english_page.locator("#units button[value=tokens]").click()
    yield english_page
    english_page.remove_listener("pageerror", note)
    assert not errors


def text_of(page: Any, selector: str) -> str:
    """All text below the first element that matches."""
    return str(page.locator(selector).first.text_content())


def funnel_values(page: Any) -> dict[str, str]:
    """Label of every node of the funnel, as it is drawn."""
    labels = page.locator("#funnel .flow text").all_text_contents()
    return dict(label.replace("\xa0", " ").rsplit(" ", 1) for label in labels)


@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-CN", "light", 1400), ("en-US", "dark", 800)])
def test_every_view_is_drawn(run: Path, open_page: OpenPage, language: str, scheme: str, width: int) -> None:
    """Every view has its heading and its content, nothing is wider than the window, the console is silent."""
    with open_page(run / "report.html", language=language, scheme=scheme, width=width) as page:
        sections = page.locator("main > section")
        assert [each.get_attribute("id") for each in sections.all()] == [*VIEWS[:-2], "training", *VIEWS[-2:]]
        assert all(each.get_attribute("data-drawn") == "1" for each in sections.all())
        assert all(each.strip() for each in page.locator("main h2").all_text_contents())
        charts = page.locator(".chart")
        assert charts.count() == 9
        assert page.locator(".chart .main-svg").count() >= 9
        assert page.locator("#funnel .flow path").count() > 10
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("html").get_attribute("lang") == ("zh-CN" if language == "zh-CN" else "en")
        page.evaluate("document.fonts.ready")


def test_runs_of_one_kind_stand_beside_each_other(
    run: Path, training: Path, tmp_path: Path, open_page: OpenPage
) -> None:
    """Three runs that measured the same are compared in one chart, a point for each; two are not."""
    directory = tmp_path / "run"
    shutil.copytree(run, directory)
    settings = [shutil.copytree(training, tmp_path / name) for name in ("zh1_en1", "zh4_en1", "zh_only")]
    for count, points in ((3, 3), (2, 0)):
        report = Path(write_report(str(directory), [str(each) for each in settings[:count]]))
        with open_page(report) as page:
            chart = page.locator('.chart[aria-label="Runs compared"]')
            assert chart.locator(".scatterlayer .point").count() == points


def test_tiles_show_the_statistics(run: Path, page: Any) -> None:
    """The tiles show the accounts, characters, tokens and clusters of stats/, and the books balance."""
    accounts = read_json(str(run / "stats" / "stats.json"))["accounts"]
    funnel = pq.read_table(run / "stats" / "funnel.parquet")
    kept = funnel.filter(pc.equal(funnel["outcome"], "kept"))
    expected = accounts | {name: pc.sum(kept[name]).as_py() for name in ("chars", "tokens")}
    shown = {name: int(page.locator(f"#tile-{name}").get_attribute("value")) for name in expected}
    assert shown == expected
    assert text_of(page, "#tile-kept") == str(accounts["kept"])
    assert "the books balance" in text_of(page, "#balance")


def test_tables_show_the_statistics(run: Path, page: Any) -> None:
    """Funnel, rule and failure tables add up to the rows of stats/."""
    funnel = pq.read_table(run / "stats" / "funnel.parquet")
    rules = pq.read_table(run / "stats" / "rules.parquet")
    failed = funnel.filter(pc.equal(funnel["outcome"], "failed"))
    column = "(cells) => cells.reduce((sum, cell) => sum + Number(cell.value), 0)"
    cells = page.locator("#funnel tbody td:nth-child(5) data")
    assert cells.evaluate_all(column) == pc.sum(funnel["documents"]).as_py()
    for at, name in ((3, "failing"), (4, "only"), (5, "first")):
        cells = page.locator(f"#rules tbody td:nth-child({at}) data")
        assert cells.evaluate_all(column) == pc.sum(rules[f"{name}_tokens"]).as_py()  # the unit the page opens with
    assert page.locator("#failures tbody data").evaluate_all(column) == pc.sum(failed["documents"]).as_py()


def test_edits_show_the_statistics(run: Path, page: Any) -> None:
    """The table of edits adds up to stats/edits.parquet, column by column, and names each kind in words."""
    edits = pq.read_table(run / "stats" / "edits.parquet")
    column = "(cells) => cells.reduce((sum, cell) => sum + Number(cell.value), 0)"
    for at, name in ((4, "documents"), (5, "edits"), (6, "replaced"), (7, "chars")):
        assert page.locator(f"#edits tbody td:nth-child({at}) data").evaluate_all(column) == pc.sum(edits[name]).as_py()
    assert "WeChat id" in text_of(page, "#edits tbody")


def test_common_lines_show_the_statistics(run: Path, page: Any) -> None:
    """The table of common lines is stats/lines.parquet: the text, its site and how often it stands where."""
    shown = (
        "(row) => [0, 2, 3, 4, 5].map((at) => row.cells[at].querySelector('data')?.value ?? row.cells[at].textContent)"
    )
    cells = page.locator("#lines tbody tr").evaluate_all(f"(rows) => rows.map({shown})")
    rows = pq.read_table(run / "stats" / "lines.parquet").to_pylist()
    names = ("line", "site", "documents", "occurrences", "chars")
    assert cells == [[str(row[name]) for name in names] for row in rows]
    assert "line common on its site" in text_of(page, "#lines tbody")


def test_benchmarks_show_the_statistics(run: Path, page: Any) -> None:
    """The table of benchmarks is stats/contamination.parquet, most leaks first, with what happens to the documents."""
    rows = pq.read_table(run / "stats" / "contamination.parquet").to_pylist()
    shown = "(row) => [row.cells[0].textContent, ...[2, 3, 4].map((at) => row.cells[at].firstChild.value)]"
    cells = page.locator("#contamination tbody tr").evaluate_all(f"(rows) => rows.map({shown})")
    expected = sorted(rows, key=lambda row: -row["leaked"])
    assert cells == [
        [row["benchmark"], str(row["documents"]), str(row["leaked"]), str(row["max_overlap"])] for row in expected
    ]
    assert "97%" in text_of(page, "#contamination tbody")
    assert "are removed" in text_of(page, "#contamination .aside")


@pytest.mark.parametrize(("language", "cut", "flagged"), [
    ("en-US", "cut out of the text", "only recorded"), ("zh-CN", "从文本中删去", "只作标记"),
])  # fmt: skip
def test_the_page_says_what_happens_to_leaks(
    make_run: Callable[..., Path], open_page: OpenPage, language: str, cut: str, flagged: str
) -> None:
    """Under each action the table of benchmarks says what it does, and edits name the benchmark that was cut."""
    directory = make_run(30, hostile=False)
    edits = pq.read_table(directory / "stats" / "edits.parquet").to_pylist()
    edits.append(edits[0] | {"kind": "benchmark:ceval/val:1"})
    pq.write_table(pa.Table.from_pylist(edits, schema=EDITS), directory / "stats" / "edits.parquet")
    for action, says in (("cut", cut), ("flag", flagged)):
        manifest = read_json(str(directory / "manifest.json"))
        manifest["config"]["decontamination"]["action"] = action
        write_json(str(directory / "manifest.json"), manifest)
        with open_page(Path(write_report(str(directory))), language=language) as page:
            assert says in text_of(page, "#contamination .aside")
            assert f"{'benchmark' if language == 'en-US' else '评测集'} ceval/val:1" in text_of(page, "#edits tbody")


def test_unit_switch_changes_the_funnel(run: Path, page: Any) -> None:
    """Counting by documents instead of tokens redraws the funnel with other amounts, and failures appear."""
    accounts = read_json(str(run / "stats" / "stats.json"))["accounts"]
    tokens = funnel_values(page)
    page.locator("#units button[value=documents]").click()
    documents = funnel_values(page)
    assert "failed" not in {name.strip() for name in tokens}
    amounts = {name.strip(): amount for name, amount in documents.items()}
    assert amounts["kept"] == str(accounts["kept"])
    assert amounts["failed"] == str(accounts["failed"])
    assert page.locator("#units button[aria-pressed=true]").text_content() == "documents"


def test_languages_switch_and_follow_the_browser(run: Path, open_page: OpenPage) -> None:
    """A Chinese browser sees Chinese and can switch to English and back; no heading of the other language stays."""
    with open_page(run / "report.html", language="zh-TW") as page:
        assert text_of(page, "h1") == "数据卡"
        chinese = page.locator("main h2").all_text_contents()
        page.get_by_role("button", name="English").click()
        english = page.locator("main h2").all_text_contents()
        assert text_of(page, "h1") == "Data card"
        assert not set(chinese) & set(english)
        assert all(heading.isascii() or "×" in heading for heading in english)
        page.get_by_role("button", name="中文").click()
        assert page.locator("main h2").all_text_contents() == chinese


def test_hostile_text_stays_text(page: Any) -> None:
    """Markup in a document, a source name or a URL is shown as it is: nothing runs, nothing becomes an element."""
    page.locator("#samples input[type=search]").fill("</script>")
    card = page.locator("#samples .excerpt")
    assert card.count() == 1
    assert text_of(page, "#samples .excerpt .text").startswith(HOSTILE_START)
    assert card.locator("a").count() == 0
    assert page.locator("main img, main script, main iframe").count() == 0
    assert page.evaluate("document.body.dataset.hacked") is None


def test_histograms_follow_the_selector(page: Any) -> None:
    """Every signal can be chosen; a bounded one shows its threshold, and a rule's name leads to its signal."""
    select = page.locator("#histograms select")
    for signal in ("max_line_chars", "han_share", "menu_share"):
        select.select_option(signal)
        assert page.locator("#histograms .barlayer .trace").count() >= 3
    assert page.locator("#histograms .annotation-text").all_text_contents() == ["at most 0.5"]
    page.locator("#rules tbody tr", has_text="max_bullet_line_share").first.get_by_role("button").click()
    assert page.locator("#histograms select").input_value() == "bullet_line_share"


def test_difference_is_marked(run: Path, page: Any) -> None:
    """Survivor and copy stand side by side with what differs marked, and together they are the excerpts unchanged."""
    clusters = pq.read_table(run / "stats" / "clusters.parquet").to_pylist()
    at = next(index for index, each in enumerate(clusters) if each["kept_excerpt"].startswith("黄河"))
    page.locator("#duplicates select").select_option(str(at))
    assert text_of(page, "#duplicates .is-kept .text") == clusters[at]["kept_excerpt"]
    assert text_of(page, "#duplicates .is-removed .text") == clusters[at]["removed_excerpt"]
    assert page.locator("#duplicates ins").first.text_content() == "黄河"
    assert page.locator("#duplicates del").first.text_content() == "长江"


def test_samples_filter(run: Path, page: Any) -> None:
    """Samples filter by outcome, lane and reason; each reason is a chip with the value seen and the bound."""
    samples = pq.read_table(run / "stats" / "samples.parquet").to_pylist()
    removed = [each for each in samples if not each["kept"] and each["lane"] == "code"]
    selects = page.locator("#samples select")
    selects.nth(0).select_option("code")
    selects.nth(1).select_option("removed")
    assert text_of(page, "#samples [role=status]").endswith(f"of {len(removed)} shown")
    assert page.locator("#samples .is-kept").count() == 0
    selects.nth(2).select_option("max_max_line_chars")
    chip = page.locator("#samples .chips li", has_text="longest line: too high").first
    assert "> 1,000" in str(chip.locator("b").text_content())
    more = page.locator("#samples .more")
    selects.nth(0).select_option("all")
    selects.nth(2).select_option("all")
    more.click()
    assert page.locator("#samples .excerpt").count() == 24


def test_samples_at_the_border(run: Path, page: Any) -> None:
    """Samples at a bound are a group of their own, kept and removed ones; a kept one says which bound it is near to."""
    at_border = [row for row in pq.read_table(run / "stats" / "samples.parquet").to_pylist() if row["border"]]
    page.locator("#samples select").nth(1).select_option("border")
    assert text_of(page, "#samples [role=status]").endswith(f"of {len(at_border)} shown")
    assert page.locator("#samples .is-kept").count() > 0
    assert page.locator("#samples .is-removed").count() > 0
    assert "length in characters: too low 51" in text_of(page, "#samples .is-kept .chips")


def test_reasons_are_marked_in_the_text(page: Any) -> None:
    """Marks count characters, not halves of them, and say whose they are; a rule without a place says so."""
    sample = {"excerpt": "😀😀12 字", "marks": {"max_digit_share": [[2, 4]], "min_han_share": [[5, 6]]}}
    shown = "(sample) => markedText(sample).map((each) => [each.textContent ?? each, each.title ?? ''])"
    assert page.evaluate(shown, sample) == [
        ["😀😀", ""], ["12", "digits: too high"], [" ", ""], ["字", "Han characters: too low"]
    ]  # fmt: skip
    assert page.evaluate("(sample) => markedText(sample)[3].className", sample) == "few"
    for marks, says in (({}, "measures the whole text"), ({"min_num_chars": []}, "is what the rule counts")):
        reasons = [{"reason": "min_num_chars", "value": 3, "threshold": 50}]
        changes = {"kept": False, "reasons": reasons, "marks": marks}
        assert says in page.evaluate("(changes) => sampleCard({ ...card.samples[0], ...changes }).textContent", changes)


def test_page_works_from_the_keyboard(run: Path, open_page: OpenPage) -> None:
    """The first stop leads past the contents; switches and choices are worked with keys and keep the focus."""
    with open_page(run / "report.html") as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.locator("#units button[value=documents]").focus()
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.value") == "documents"
        select = page.locator("#samples select").nth(1)
        select.focus()
        page.keyboard.press("ArrowDown")
        assert select.input_value() == "kept"
        assert page.locator("#samples .is-removed").count() == 0


def test_every_control_has_a_name_and_every_chart_a_table(run: Path, open_page: OpenPage) -> None:
    """In the accessibility tree no control, link or picture is nameless, and each chart's view has its figures."""
    roles = {"button", "link", "checkbox", "combobox", "slider", "spinbutton", "searchbox", "img", "image", "region"}
    with open_page(run / "report.html", language="zh-CN") as page:
        page.wait_for_selector("#whatif[data-sampled='1']")
        session = page.context.new_cdp_session(page)
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        named = [
            (node["role"]["value"], node["name"]["value"].strip())
            for node in nodes
            if not node["ignored"] and node["role"]["value"] in roles
        ]
        assert {"slider", "spinbutton", "checkbox", "button", "link", "combobox"} <= {role for role, _ in named}
        assert [role for role, name in named if not name] == []
        for view in ("funnel", "mixture", "heat", "histograms", "duplicates", "training"):
            assert page.locator(f"#{view} details table").count() > 0, view


def test_chinese_page_is_chinese(run: Path, open_page: OpenPage) -> None:
    """No English word stands in the Chinese page but names: of sources, files, rules and columns, and of a language."""
    shown = """() => {
      const OTHERS = "script, style, noscript, code, pre, .text, .id, .chart, option, #languages, #training table";
      const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
      const found = [];
      while (walker.nextNode()) {
        const { parentElement: holder, textContent: text } = walker.currentNode;
        if (!holder.closest(OTHERS)) found.push(text);
      }
      return found;
    }"""
    names = {
        "web", "web-", "news", "github", "demo", "abcdef", "jsonl", "MiB", "ctllm", "pretrain-demo", "contamination",
        "failures", "edits", "mmlu", "astronomy", "ceval", "--training", "example", "org", "quiz", "val-", "NaN",
            "FFFD",
    }  # fmt: skip
    with open_page(run / "report.html", language="zh-CN") as page:
        page.wait_for_selector("#whatif[data-sampled='1']")
        texts = page.evaluate(shown)
        words = {word for text in texts for word in re.findall(r"[A-Za-z-]{3,}", text) if "<" not in text}
        assert sorted(words - names) == []


def test_narrow_page_scrolls_only_its_tables(run: Path, open_page: OpenPage) -> None:
    """On a telephone nothing is wider than the window: what is wide scrolls in a place of its own."""
    with open_page(run / "report.html", language="zh-CN", width=400) as page:
        page.wait_for_selector("#whatif[data-sampled='1']")
        assert page.evaluate("document.documentElement.scrollWidth") == 400


def test_paper_is_light(run: Path, open_page: OpenPage) -> None:
    """Before printing, a dark page turns light and as wide as a sheet; afterwards it is as it was."""
    with open_page(run / "report.html", scheme="dark") as page:
        ink = "getComputedStyle(document.documentElement).getPropertyValue('--card')"
        dark = page.evaluate(ink)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate(ink) != dark
        assert page.evaluate("document.body.offsetWidth") == 700
        assert page.locator("#funnel .flow").first.bounding_box()["width"] < 700
        page.emulate_media(media="print", color_scheme="dark")
        for view in ("funnel", "mixture", "heat"):  # with its heading on one sheet, A4 less margins
            assert page.locator(f"#{view}").bounding_box()["height"] < 1046, view
        page.emulate_media(media="screen", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.evaluate(ink) == dark


def test_large_run_stays_readable(make_run: Callable[..., Path], open_page: OpenPage) -> None:
    """With 200 sources and billions of tokens the funnel has few nodes, whose labels do not touch.

    Source by reason shows the largest sources, fewer on paper, and says so.
    """
    directory = make_run(1500, weight=100_000, sources=200, hostile=False)
    with open_page(Path(write_report(str(directory)))) as page:
        assert re.search(r"The largest 24 of \d+ sources\.", text_of(page, "#heat"))
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert re.search(r"The largest 9 of \d+ sources\.", text_of(page, "#heat"))
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        boxes = [each.bounding_box() for each in page.locator("#funnel .flow text").all()]
        assert 15 < len(boxes) < 40
        for one in boxes:
            for other in boxes:
                apart = abs(one["y"] - other["y"]) >= one["height"] - 2 or abs(one["x"] - other["x"]) > 100
                assert one is other or apart


@pytest.mark.parametrize("documents", [0, 1])
def test_almost_nothing_is_still_a_report(make_run: Callable[..., Path], open_page: OpenPage, documents: int) -> None:
    """A run of no document, or of one, draws without an error."""
    directory = make_run(documents, hostile=False)
    with open_page(Path(write_report(str(directory)))) as page:
        assert text_of(page, "#tile-read") == str(documents)
