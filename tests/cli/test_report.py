"""The report of a real run as people see it, in a real Chromium: what it computes is what the commands compute."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pytest

from ctllm.pipelines.what_if import what_if
from ctllm.schemas.files import list_files, read_parquet

from .conftest import Miniature

pytestmark = pytest.mark.browser

CHROMIUM = Path("/usr/bin/chromium")
UNITS = ("documents", "chars", "tokens")
Changes = dict[str, dict[str, float | None]]


@contextmanager
def opened(report: Path, *, language: str = "en-US") -> Iterator[Any]:
    """The report in a window; fails on leaving when the console was not silent or anything else was asked for."""
    if not CHROMIUM.exists() and not os.environ.get("CTLLM_REQUIRE_BROWSER"):
        pytest.skip(f"{CHROMIUM} is not there; install the Debian package `chromium`")
    from playwright.sync_api import sync_playwright

    trouble: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(locale=language)
        page.on("console", lambda message: trouble.append(message.text))
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("request", lambda request: trouble.append(request.url) if request.url != report.as_uri() else None)
        page.goto(report.as_uri())
        page.wait_for_selector("#whatif[data-sampled='1']", timeout=20_000)
        yield page
        browser.close()
    assert not [each for each in trouble if not each.startswith(("data:", "blob:"))]


def shown_amounts(page: Any) -> dict[str, list[tuple[int, int]]]:
    """Lane → (now, then) in documents, characters and tokens, as the table of the what-if shows them."""
    rows = page.locator("#whatif table").first.locator("tbody tr")
    read = "(row) => [...row.querySelectorAll('data')].map((each) => Number(each.value))"
    values = rows.evaluate_all(f"(rows) => rows.map({read})")
    return {
        lane: list(zip(row[::2], row[1::2], strict=True))
        for lane, row in zip(("zh", "en", "code"), values, strict=False)
    }


CHANGES: list[tuple[Changes, dict[str, int]]] = [
    ({"zh": {"min_num_prose_chars": 300.0}}, {"zh": 0, "en": 0, "code": 0}),
    (
        {"zh": {"max_digit_share": 0.02, "max_menu_share": None}, "en": {"min_num_words": 90.0}},
        {"zh": 3, "en": 0, "code": 0},
    ),
    ({"code": {"max_mean_code_line_chars": 30.0, "min_alnum_share": None}}, {"zh": 0, "en": 0, "code": 9}),
]
"""Thresholds, and how many documents of each lane change and have copies, of which the page knows no better."""


@pytest.mark.parametrize(("changes", "unsure"), CHANGES)
def test_what_if_agrees_with_the_dry_run(miniature: Miniature, changes: Changes, unsure: dict[str, int]) -> None:
    """Several thresholds changed on the page keep what `ctllm decide --dry-run` keeps, up to the copies it names."""
    run = miniature.workspace / "curated"
    overrides = {f"rules.{lane}.{name}": value for lane, rules in changes.items() for name, value in rules.items()}
    expected: dict[str, dict[str, int]] = {}
    for group in what_if(str(run), overrides=overrides).groups:
        lane = expected.setdefault(group.lane, {})
        for state in ("now", "then"):
            for unit, amount in asdict(getattr(group, state)).items():
                lane[f"{state}_{unit}"] = lane.get(f"{state}_{unit}", 0) + amount
    with opened(run / "report.html") as page:
        now = shown_amounts(page)
        page.evaluate("(changes) => { state.whatIf.changed = changes; redrawView('whatif'); }", changes)
        then = shown_amounts(page)
        asked = "LANE_ORDER.filter((lane) => sampleOfLanes[lane]).map((lane) => [lane, laneEstimate(lane).unsure])"
        assert dict(page.evaluate(asked)) == unsure
        for lane, amounts in then.items():
            kept_now = [expected[lane][f"now_kept_{unit}"] for unit in UNITS]
            assert [each[1] for each in now[lane]] == [each[0] for each in amounts] == kept_now
            kept_then = [expected[lane][f"then_kept_{unit}"] for unit in UNITS]
            if unsure[lane] == 0:
                assert [each[1] for each in amounts] == kept_then
            assert abs(amounts[0][1] - kept_then[0]) <= unsure[lane]
        command = page.locator("#whatif .command").text_content()
        for name, value in overrides.items():
            assert f"--set {name}={'null' if value is None else f'{value:g}'}" in command


def test_what_if_is_worked_by_slider_and_field(miniature: Miniature) -> None:
    """A slider and a number change the same threshold, a tick switches the rule off, a button takes all of it back."""
    with opened(miniature.workspace / "curated" / "report.html") as page:
        before = shown_amounts(page)
        row = page.locator("#whatif .sliders tr", has_text="min_num_chars")
        field, slider = row.locator("input[type=number]"), row.locator("input[type=range]")
        field.fill("500")
        assert shown_amounts(page)["zh"][0][1] < before["zh"][0][1]
        assert 400 < page.evaluate("state.whatIf.changed.zh.min_num_chars") < 600
        moved = slider.input_value()
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert float(field.input_value()) > 500
        assert int(slider.input_value()) == int(moved) + 1
        row.locator("input[type=checkbox]").uncheck()
        assert slider.is_disabled()
        assert page.evaluate("state.whatIf.changed.zh.min_num_chars") is None
        assert shown_amounts(page)["zh"][0][1] >= before["zh"][0][1]
        page.get_by_role("button", name="As configured").click()
        assert shown_amounts(page) == before


def test_one_rule_alone_is_exact_at_the_edges(miniature: Miniature) -> None:
    """At an edge of its histogram a minimum refuses exactly the documents whose signal is below it."""
    run = miniature.workspace / "curated"
    values = []
    for path in list_files(str(run / "signals"), suffix=".parquet"):
        lanes = read_parquet(path.replace("/signals/", "/documents/"), columns=["lane"])["lane"]
        values += read_parquet(path).filter(pc.equal(lanes, "zh"))["stop_word_share"].to_pylist()
    with opened(run / "report.html") as page:
        for edge in (0.06, 0.1, 0.2):
            row = page.locator("#whatif .sliders tr", has_text="min_stop_word_share")
            row.locator("input[type=number]").fill(str(edge))
            shown = row.locator("td data").first
            assert int(shown.get_attribute("value")) == sum(value < edge for value in values)
            assert shown.text_content() == f"{sum(value < edge for value in values):,}"


def test_trainings_and_their_lineage_are_shown(miniature: Miniature) -> None:
    """The report of the whole way holds every training's curves and scores with errors, and an unbroken lineage."""
    with opened(miniature.workspace / "curated" / "report.html", language="zh-CN") as page:
        names = page.locator("#training tbody").first.locator("tr td:first-child").all_text_contents()
        assert [name.split(" ")[0].removesuffix("1") for name in names] == ["pretrain", "sft", "dpo"]
        assert page.locator("#training .panels").count() == 3
        assert page.locator("#training .panels .scatterlayer").count() >= 15
        scores = page.locator("#training table", has_text="mini_zh").last.text_content()
        assert "±" in scores
        assert page.locator("#lineage .product.missing, #lineage .link-other, #lineage .link-unchecked").count() == 0
        assert page.locator("#lineage .product h4").all_text_contents()[-3:] == [
            "预训练 · pretrain", "监督微调 · sft", "偏好优化 · dpo"
        ]  # fmt: skip
