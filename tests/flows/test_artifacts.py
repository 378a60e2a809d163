"""Tables and pictures of a run page, without a server."""

import base64
from pathlib import Path
from urllib.parse import unquote

import pytest

from ctllm.dashboards.discovery import Shelf
from ctllm.flows.artifacts import (
    dashboard_address,
    evaluation_table,
    funnel_picture,
    funnel_table,
    samples_markdown,
    summary_table,
    tokens_table,
)
from ctllm.schemas.tokens import TokensManifest
from ctllm.schemas.training_run import TrainingSummary
from ctllm.schemas.tuning_run import EvaluationResult, PreferenceResult


def funnel_row(source: str, outcome: str, reason: str, documents: int) -> dict[str, object]:
    """A row of stats/funnel.parquet of the lane zh."""
    counts = {"documents": documents, "chars": 10 * documents, "tokens": 6 * documents}
    return {
        "source": source,
        "lane": "" if outcome == "failed" else "zh",
        "outcome": outcome,
        "reason": reason,
        **counts,
    }


ROWS = [
    funnel_row("web", "kept", "", 50),
    funnel_row("book", "kept", "", 30),
    funnel_row("web", "removed", "min_num_chars", 15),
    funnel_row("book", "removed", "min_num_chars", 1),
    funnel_row("web", "failed", "broken_json", 4),
]


def test_funnel_table_adds_sources() -> None:
    """The table has one line per lane, outcome and reason, the largest first, summed over sources."""
    assert funnel_table(ROWS) == [
        {"lane": "zh", "outcome": "kept", "first reason": "", "documents": 80, "chars": 800, "tokens": 480},
        {
            "lane": "zh",
            "outcome": "removed",
            "first reason": "min_num_chars",
            "documents": 16,
            "chars": 160,
            "tokens": 96,
        },
        {"lane": "", "outcome": "failed", "first reason": "broken_json", "documents": 4, "chars": 40, "tokens": 24},
    ]


def picture(markdown: str) -> str:
    """The SVG inside a Markdown image."""
    return base64.b64decode(markdown.removesuffix(")").partition("base64,")[2]).decode()


def test_tokens_stand_by_lane_and_source() -> None:
    """Each source of each lane has its documents, tokens and bytes a token; an empty one divides by nothing."""
    counts = {"documents": 2, "tokens": 4, "bytes": 13}
    values = {
        "fingerprint": "f", "tokenizer_digest": "t", "vocab_size": 9, "dtype": "uint16", "end_of_document_id": 1,
        "shards": [], "lanes": {"zh": counts},
        "sources": {"zh": {"web": counts, "book": {"documents": 0, "tokens": 0, "bytes": 0}}},
    }  # fmt: skip
    table = tokens_table(TokensManifest.model_validate(values))
    assert table == [
        {"lane": "zh", "source": "web", "documents": 2, "tokens": 4, "bytes/token": 3.25},
        {"lane": "zh", "source": "book", "documents": 0, "tokens": 0, "bytes/token": 0.0},
    ]


def test_funnel_picture_accounts_for_every_document() -> None:
    """The picture shows read, each loss and kept; its title says how many of how many."""
    markdown = funnel_picture(ROWS)
    assert markdown.startswith("![80 of 100 documents kept]")
    for text in (">read<", ">min_num_chars<", ">failed: broken_json<", ">kept<", "16 (16.0%)", "80 (80.0%)"):
        assert text in picture(markdown)
    assert "other reasons" not in picture(markdown)


def test_funnel_picture_gathers_small_losses() -> None:
    """Beyond twelve losses the small ones are drawn as one bar, so that the bars still add up."""
    rows = [funnel_row("web", "removed", f"rule_{rank:02d}", 100 - rank) for rank in range(15)]
    svg = picture(funnel_picture(rows))
    assert "rule_11" in svg
    assert "rule_12" not in svg
    assert ">other reasons<" in svg
    assert f"{88 + 87 + 86:,} (" in svg


SUMMARY = TrainingSummary(
    stage="pretrain",
    finished=False,
    step=120,
    steps=200,
    label_tokens=61440,
    num_parameters=900_000,
    first_loss=8.5,
    last_loss=4.25,
    evaluation_before={"zh": 3.1},
    evaluation={"zh": 1.5, "en": 2.0},
    tokens_per_s=5400.4,
    seconds=60.0,
    checkpoint="w/pretrain/checkpoints/step-00000120",
)


def test_summary_table_says_that_time_ran_out() -> None:
    """A training that was stopped by its time limit says so."""
    assert "| steps | 120 of 200 (time limit) |" in summary_table(SUMMARY)
    assert "| steps | 120 of 200 |" in summary_table(SUMMARY.model_copy(update={"finished": True}))


def test_summary_table_shows_before_and_after() -> None:
    """Loss and held-out figures stand before and after; a figure that was not measured before has a dash."""
    lines = summary_table(SUMMARY).splitlines()
    assert "| loss, first step → last steps | 8.5000 → 4.2500 |" in lines
    assert "| zh, before → after | 3.1000 → 1.5000 |" in lines
    assert "| en, before → after | - → 2.0000 |" in lines


def test_evaluation_table_says_what_was_measured_on() -> None:
    """Each measure stands with its basis, so that no number is read without it."""
    result = EvaluationResult(
        checkpoint="c",
        step=1,
        num_parameters=1,
        weights_digest="w",
        tokenizer_digest="t",
        config={},
        plan_digest=None,
        bits_per_byte={"zh": {"bits_per_byte": 1.23456, "num_bytes": 1200.0, "num_documents": 6.0}},
        choice={},
        preferences=PreferenceResult(pairs=40, accuracy=0.625, accuracy_of_sums=0.5, standard_error=0.0765),
        seconds=1.0,
    )
    assert evaluation_table(result) == [
        {"measure": "bits per byte, zh", "value": 1.2346, "measured on": "1,200 bytes, 6 documents"},
        {"measure": "preference accuracy", "value": 0.625, "measured on": "40 pairs; standard error 0.076"},
    ]


def test_generated_text_cannot_act() -> None:
    """Markup that a model writes is shown as it is: every line of it stands in an indented block."""
    samples = [{"prompt": "春天", "text": "来了\n# <script>"}, {"prompt": "a", "text": "b"}]
    lines = [line for line in samples_markdown(samples).splitlines()[1:] if line and line != "---"]
    assert lines == ["    春天来了", "    # <script>", "    ab"]


def test_a_run_page_links_to_the_dashboard_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address opens the run of that name there; without a dashboard, or for a run elsewhere, there is no link."""
    run = tmp_path / "runs" / "zh web" / "v#1"
    (run / "stats").mkdir(parents=True)
    for name in ("manifest.json", "stats/stats.json"):
        (run / name).write_text("{}")
    assert dashboard_address(str(run)) is None
    monkeypatch.setenv("CTLLM_DASHBOARD_URL", "http://127.0.0.1:8050/")
    assert dashboard_address(str(run)) is None
    monkeypatch.setenv("CTLLM_DASHBOARD_ROOT", str(tmp_path / "runs"))
    assert dashboard_address(str(tmp_path / "other")) is None
    address = dashboard_address(str(run))
    assert address == "http://127.0.0.1:8050/run/zh%20web/v%231"
    name = unquote(address.partition("/run/")[2])
    assert Shelf([tmp_path / "runs"]).path("curation", name) == run
