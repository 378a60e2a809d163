"""The live dashboard as people use it: the real command, a real Chromium, real runs."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from ctllm.dashboards.queries import Filter, RunDatabase
from ctllm.dashboards.thresholds import what_if
from ctllm.schemas.files import read_json, write_json

pytestmark = pytest.mark.browser

TOKEN = "a-long-token-of-the-tests"
LIVE_VIEWS = {"what_if", "groups", "find", "sources", "lineage"}
REPORT_VIEWS = {
    "overview", "funnel", "mixture", "heat", "rules", "histograms", "duplicates", "samples", "edits", "lines",
    "contamination", "failures", "stages",
}  # fmt: skip
COMPARE_VIEWS = ["overview", "config", "funnel", "mixture", "rules", "histograms"]

OpenLive = Callable[..., AbstractContextManager[Any]]


@contextmanager
def dashboard(directory: Path, cache: Path, *options: str) -> Iterator[str]:
    """`ctllm dashboard DIR` until the block ends; gives its address."""
    command = [sys.executable, "-m", "ctllm.cli.main", "dashboard", str(directory), "--port", "0", *options]
    environment = {**os.environ, "CTLLM_DASHBOARD_CACHE": str(cache), "NO_COLOR": "1", "COLUMNS": "200"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line + process.stdout.read()
        try:
            yield found[0].replace("0.0.0.0", "127.0.0.1")
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0
            assert TOKEN not in line + process.stdout.read()


@pytest.fixture(scope="module")
def runs(corpus_run: Path, training: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two versions of a curation, a training, a broken run."""
    root = tmp_path_factory.mktemp("live") / "runs"
    shutil.copytree(corpus_run, root / "zh" / "v1")
    second = shutil.copytree(corpus_run, root / "zh" / "v2")
    manifest = read_json(str(second / "manifest.json"))
    manifest["config"]["rules"]["zh"]["max_digit_share"] = 0.02
    write_json(str(second / "manifest.json"), manifest)
    shutil.copytree(training, root / "pretrain")
    (root / "broken" / "stats").mkdir(parents=True)
    (root / "broken" / "manifest.json").write_text("{")
    return root


@pytest.fixture(scope="module")
def address(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of one dashboard for all tests that only look."""
    with dashboard(runs, tmp_path_factory.mktemp("cache")) as url:
        yield url


@pytest.fixture
def open_live(browser: Any) -> OpenLive:
    """Opens an address; on leaving, fails on any message of the console, error, or request elsewhere.

    `expected` are the statuses of answers that the test provokes; Chromium writes those to its console.
    """

    @contextmanager
    def opened(
        url: str, *, language: str = "en-US", scheme: str = "light", width: int = 1400, expected: tuple[int, ...] = ()
    ) -> Iterator[Any]:
        context = browser.new_context(locale=language, color_scheme=scheme, viewport={"width": width, "height": 900})
        page = context.new_page()
        trouble: list[str] = []
        origin = "/".join(url.split("/")[:3]) + "/"
        page.on("console", lambda message: trouble.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: trouble.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith((origin, "data:", "blob:")) else trouble.append(request.url),
        )
        page.goto(url)
        page.wait_for_selector("body[data-ready='1']", timeout=60_000)
        yield page
        context.close()
        assert not [each for each in trouble if not any(f"status of {status}" in each for status in expected)]

    return opened


def filled(page: Any) -> None:
    """Until no view waits for the server any more."""
    page.wait_for_selector("#what-if-results table", timeout=60_000)
    page.wait_for_selector("[aria-busy=true]", state="detached", timeout=60_000)


@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-CN", "light", 1400), ("en-US", "dark", 420)])
def test_every_view_of_a_run_is_drawn(
    address: str, open_live: OpenLive, language: str, scheme: str, width: int
) -> None:
    """All views of the report and those only a server fills, in both languages, dark and narrow; nothing is wider."""
    with open_live(f"{address}run/zh/v1", language=language, scheme=scheme, width=width) as page:
        filled(page)
        ids = {each.get_attribute("id") for each in page.locator("main > section").all()}
        assert ids >= REPORT_VIEWS | LIVE_VIEWS
        assert "whatif" not in ids  # the estimate of the report has an exact twin here
        assert all(each.strip() for each in page.locator("main h2").all_text_contents())
        assert page.locator(".problem").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == width
        alone = "No training below" if language == "en-US" else "还没有由此版本训练的模型"
        assert alone in page.locator("#lineage .aside").text_content()
        words = page.locator("#what_if h2").text_content()
        assert words == ("假如改阈值" if language == "zh-CN" else "What if")


def test_everything_but_charts_is_there_before_plotly_js(address: str, browser: Any) -> None:
    """With the largest file held back the page shows all views and changes language and unit; charts follow."""
    context = browser.new_context(locale="en-US")
    page = context.new_page()
    errors: list[str] = []
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.on("pageerror", lambda error: errors.append(str(error)))
    page.route("**/page/plotly.js?*", hold)
    page.goto(f"{address}run/zh/v1", wait_until="commit")
    page.wait_for_selector("#stages[data-drawn='1']", timeout=60_000)
    filled(page)
    page.click("#units button[value=documents]")
    page.click("#languages button >> text=中文")
    page.wait_for_selector("#overview-title >> text=总览", timeout=60_000)
    page.wait_for_selector("[aria-busy=true]", state="detached", timeout=60_000)
    assert (errors, len(held), page.locator(".js-plotly-plot").count()) == ([], 1, 0)
    assert page.locator("#funnel .flow path").count() > 3  # the picture of the first view does not need it
    held[0].continue_()
    page.wait_for_selector("body[data-ready='1'] #mixture .js-plotly-plot", timeout=60_000)
    context.close()
    assert errors == []


@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_the_start_page_lists_everything(address: str, open_live: OpenLive, language: str) -> None:
    """Each run is a line that leads to its page; the broken one says why; headings sort, from the keyboard too."""
    with open_live(address, language=language) as page:
        rows = page.locator("#runs tbody tr")
        assert rows.count() == 3
        assert "not valid JSON" in rows.nth(2).text_content()
        assert page.locator("#trainings tbody a").text_content() == "pretrain"
        sort = page.locator("#runs th button").first
        sort.focus()
        page.keyboard.press("Enter")
        assert page.locator("#runs tbody a").all_text_contents() == ["zh/v1", "zh/v2"]
        page.keyboard.press("Enter")  # the heading has the focus still
        assert page.locator("#runs tbody a").all_text_contents() == ["zh/v2", "zh/v1"]
        assert page.locator("#runs th").nth(1).get_attribute("aria-sort") == "descending"
        page.locator("#runs tbody a").last.focus()
        page.keyboard.press("Enter")
        page.wait_for_url("**/run/zh/v1")


def test_what_if_is_exact(address: str, open_live: OpenLive, corpus_database: RunDatabase) -> None:
    """A new threshold shows what the tables say, the command that does the same, and documents at the border."""
    (zh, *_) = what_if(corpus_database, {("zh", "max_digit_share"): 0.01})["lanes"]
    with open_live(f"{address}run/zh/v1") as page:
        filled(page)
        page.get_by_label("digits: too high · threshold").last.fill("0.01")
        page.wait_for_selector("#what-if-results code", timeout=20_000)
        assert "rules.zh.max_digit_share=0.01 --dry-run" in page.locator("#what-if-results code").text_content()
        cells = page.locator("#what-if-results tbody tr").first.locator("data")
        shown = [int(each.get_attribute("value")) for each in cells.all()]
        tokens = zh["amounts"]["tokens"]
        assert shown == [
            tokens["kept_now"],
            tokens["kept"][0],
            tokens["passing"][1],
            zh["newly_removed"],
            zh["newly_kept"],
        ]
        page.locator("#what-if-results summary").click()
        page.wait_for_selector("#what-if-results .hit", timeout=20_000)
        page.get_by_role("button", name="Put all back").click()
        page.wait_for_selector("#what-if-results code", state="detached", timeout=20_000)


def test_documents_are_found_and_shown(address: str, open_live: OpenLive, corpus_database: RunDatabase) -> None:
    """By pattern and by reason; the document opens above the page with marks and rules and closes with Escape."""
    removed = corpus_database.count(Filter(reason="near_duplicate"))
    with open_live(f"{address}run/zh/v1", expected=(400,)) as page:
        filled(page)
        find = page.locator("#find")
        find.get_by_label("in the text").fill("(")
        find.get_by_label("pattern (RE2)").check()
        page.keyboard.press("Enter")
        find.get_by_role("alert").wait_for(timeout=20_000)
        assert "not a pattern" in find.get_by_role("alert").text_content()
        find.get_by_label("in the text").fill(r"1[3-9]\d{9}")
        find.get_by_role("button", name="Find").click()
        find.locator("mark").first.wait_for(timeout=20_000)
        assert re.search(r"1[3-9]\d{9}", find.locator("mark").first.text_content())
        find.locator(".hit button").first.click()
        dialog = page.locator("dialog")
        dialog.locator(".text").wait_for(timeout=20_000)
        assert dialog.locator("mark.is-pii").count() > 0
        dialog.locator("summary", has_text="All rules").click()
        assert dialog.locator("table code", has_text="min_num_chars").is_visible()
        page.keyboard.press("Escape")
        dialog.wait_for(state="detached")
        find.get_by_label("in the text").fill("")
        find.locator("select").nth(2).select_option("near_duplicate")
        find.get_by_role("button", name="Find").click()
        find.get_by_text(f"{removed} documents", exact=True).wait_for(timeout=20_000)
        find.locator(".hit button").first.click()
        dialog.get_by_role("button", name="Side by side").first.click()
        dialog.locator("ins, del").first.wait_for(timeout=20_000)


def test_clusters_open_to_their_members(address: str, open_live: OpenLive) -> None:
    """A cluster shows its members, and each copy beside the one that stays with what differs marked."""
    with open_live(f"{address}run/zh/v1") as page:
        filled(page)
        groups = page.locator("#groups")
        groups.locator("select").select_option("near")
        groups.get_by_role("button", name="Members").first.wait_for(timeout=20_000)
        groups.get_by_role("button", name="Members").first.click()
        groups.locator(".inner li").nth(1).wait_for(timeout=20_000)
        assert groups.locator(".inner .is-kept").count() == 1
        groups.locator(".inner").get_by_role("button", name="Side by side").first.click()
        groups.locator("ins, del").first.wait_for(timeout=20_000)


def test_one_source_is_looked_at_alone(address: str, open_live: OpenLive, corpus_run: Path) -> None:
    """Tiles, reasons and histogram of the chosen source."""
    with open_live(f"{address}run/zh/v1") as page:
        filled(page)
        source = page.locator("#sources select").first.input_value()
        expected = {
            name: int(page.locator(f"#tile-source-{name}").get_attribute("value"))
            for name in ("read", "kept", "removed", "failed")
        }
        funnel = read_json(str(corpus_run / "stats" / "stats.json"))["accounts"]
        assert expected["read"] == expected["kept"] + expected["removed"] + expected["failed"] <= funnel["read"]
        page.locator("#sources select").nth(1).select_option("max_line_chars")
        page.locator("#sources h3", has_text=source).wait_for(timeout=20_000)


@pytest.mark.parametrize(("language", "scheme", "width"), [("zh-CN", "dark", 420), ("en-US", "light", 1400)])
def test_two_runs_are_compared(address: str, open_live: OpenLive, language: str, scheme: str, width: int) -> None:
    """Two ticks and a button lead to the comparison: every view drawn, the key of the config that differs named."""
    with open_live(address, language=language, scheme=scheme, width=width) as page:
        for box in page.locator("#runs input[type=checkbox]").all():
            box.check()
        page.locator("#runs button.more").click()
        page.wait_for_selector("#compare_histograms .main-svg", timeout=60_000)
        ids = [each.get_attribute("id") for each in page.locator("main > section").all()]
        assert ids == [f"compare_{name}" for name in COMPARE_VIEWS]
        assert page.locator("#compare_config tbody code").first.text_content() == "rules.zh.max_digit_share"
        assert page.locator("#compare_config tbody tr").count() == 1
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_curves_grow_while_a_training_goes(runs: Path, address: str, open_live: OpenLive) -> None:
    """A step that is written to the ledger appears by itself, and the state says running; before, when it was."""
    ledger = runs / "pretrain" / "ledger.jsonl"
    os.utime(ledger, (time.time() - 3 * 3600, time.time() - 3 * 3600))
    with open_live(f"{address}training/pretrain") as page:
        assert "last step 3 hours ago" in page.locator("#ledger-state").text_content()
        page.get_by_role("button", name="中文").click()
        page.locator("#ledger-state").get_by_text("最近一步在3小时前").wait_for()
    ledger.touch()
    with open_live(f"{address}training/pretrain") as page:
        state = page.locator("#ledger-state")
        assert "running" in state.text_content()
        assert "step 60" in state.text_content()
        line = ledger.read_text().splitlines()[-1].replace('"step":59', '"step":60')
        with ledger.open("a") as file:
            file.write(line + "\n")
        state.get_by_text("step 61").wait_for(timeout=20_000)
        assert page.locator("#curve-loss .scatterlayer .js-line").count() >= 1
        assert page.evaluate("document.getElementById('curve-loss').data[0].x.length") == 61


def test_runs_come_and_go_under_the_reader(corpus_run: Path, tmp_path: Path, open_live: OpenLive) -> None:
    """A new run appears on the start page by itself; one deleted while it is open says so and breaks nothing."""
    (tmp_path / "runs").mkdir()
    with dashboard(tmp_path / "runs", tmp_path / "cache") as url, open_live(url, expected=(410,)) as page:
        assert "No curation here yet" in page.locator("#runs").text_content()
        run = shutil.copytree(corpus_run, tmp_path / "runs" / "new")
        page.locator("#runs tbody a", has_text="new").wait_for(timeout=30_000)
        page.locator("#runs tbody a").click()
        page.wait_for_selector("body[data-ready='1']", timeout=60_000)
        filled(page)
        shutil.rmtree(run)
        page.locator("#find").get_by_role("button", name="Find").click()
        page.locator("#find .problem").wait_for(timeout=20_000)
        assert "not there any more" in page.locator("#find .problem").text_content()
        page.reload()
        page.locator(".problem").wait_for(timeout=20_000)
        page.get_by_role("link", name="all runs").first.click()
        page.wait_for_selector("#runs .empty", timeout=30_000)


def test_the_token_is_asked_for_once(runs: Path, tmp_path: Path, open_live: OpenLive) -> None:
    """On an address that others reach the page asks for the token; with it, everything is there, and stays so."""
    with (
        dashboard(runs, tmp_path, "--host", "0.0.0.0", "--token", TOKEN) as url,
        open_live(url, expected=(401,)) as page,
    ):
        field = page.locator("input[type=password]")
        field.fill("not-the-token-at-all")
        page.keyboard.press("Enter")
        page.get_by_text("That is not the token").wait_for(timeout=20_000)
        field.fill(TOKEN)
        page.keyboard.press("Enter")
        page.wait_for_selector("#runs tbody a", timeout=30_000)
        assert TOKEN not in page.url
        assert page.evaluate("document.cookie") == ""
        page.goto(f"{url}run/zh/v1")
        page.wait_for_selector("#tile-read", timeout=60_000)


def test_paper_is_light_in_live_mode_too(address: str, open_live: OpenLive) -> None:
    """A dark page is printed light and as wide as a sheet, live views and all."""
    with open_live(f"{address}run/zh/v1", scheme="dark") as page:
        filled(page)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("document.body.offsetWidth") == 700
        assert page.locator("html.paper").count() == 1
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        filled(page)
