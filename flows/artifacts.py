"""What a stage leaves on its Prefect run page: the funnel, the loss curve, the evaluation, where the report lies."""

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from ctllm.flows.commands import Step
from ctllm.flows.pictures import as_markdown, curve, waterfall
from ctllm.model.ledger import read_ledger
from ctllm.schemas.files import join, read_json, read_parquet
from ctllm.schemas.language_ratios_config import FIGURE, LanguageRatiosConfig, RatioScores
from ctllm.schemas.tokens import PlanManifest, TokensManifest
from ctllm.schemas.training_run import SUMMARY, TrainingSummary
from ctllm.schemas.tuning_run import EVALUATION, EvaluationResult

MAX_LOSSES = 12  # bars of the waterfall; smaller ones are drawn together


def show_result(step: Step) -> None:
    """Puts the artefacts of a finished step on the page of the current run; most steps have none."""
    show = _SHOW.get(step.command)
    if show is not None:
        show(step)


def _show_funnel(step: Step) -> None:
    rows = read_parquet(join(step.out, "stats", "funnel.parquet")).to_pylist()
    text = f"## Where the documents went\n\n{funnel_picture(rows)}\n\n{_report_line(step.out)}"
    create_markdown_artifact(text, key="funnel-picture", description=f"funnel of {step.out}")
    create_table_artifact(funnel_table(rows), key="funnel", description=f"funnel of {step.out}")


def funnel_picture(rows: list[dict[str, Any]]) -> str:
    """Rows of stats/funnel.parquet as a waterfall in Markdown: largest losses first, the small ones together."""
    counts: Counter[str] = Counter()
    for row in rows:
        name = {"kept": "kept", "removed": row["reason"]}.get(row["outcome"], f"failed: {row['reason']}")
        counts[name] += row["documents"]
    kept, read = counts.pop("kept", 0), sum(row["documents"] for row in rows)
    losses = counts.most_common(MAX_LOSSES)
    others = read - kept - sum(count for _, count in losses)
    drawn = [*losses, *([("other reasons", others)] if others else [])]
    return as_markdown(waterfall(read, drawn, kept=kept), title=f"{kept:,} of {read:,} documents kept")


def funnel_table(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of stats/funnel.parquet added over sources: lane, outcome, reason and counts, largest first."""
    totals: dict[tuple[str, str, str], Counter[str]] = {}
    for row in rows:
        group = totals.setdefault((row["lane"], row["outcome"], row["reason"]), Counter())
        group.update({name: row[name] for name in ("documents", "chars", "tokens")})
    table = [
        {"lane": lane, "outcome": outcome, "first reason": reason, **counts}
        for (lane, outcome, reason), counts in totals.items()
    ]
    return sorted(table, key=lambda each: (-each["documents"], each["lane"], each["first reason"]))


def _show_tokens(step: Step) -> None:
    manifest = TokensManifest.model_validate(read_json(join(step.out, "manifest.json")))
    create_table_artifact(tokens_table(manifest), key="tokens", description=f"tokens of {step.out}")


def tokens_table(manifest: TokensManifest) -> list[dict[str, Any]]:
    """One row per lane and source: documents, tokens, bytes a token."""
    return [
        {
            "lane": lane,
            "source": source,
            "documents": each.documents,
            "tokens": each.tokens,
            "bytes/token": round(each.bytes / max(each.tokens, 1), 3),
        }
        for lane, sources in manifest.sources.items()
        for source, each in sources.items()
    ]


def _show_plan(step: Step) -> None:
    manifest = PlanManifest.model_validate(read_json(join(step.out, "manifest.json")))
    table = [{"lane": lane, **each.model_dump()} for lane, each in manifest.lanes.items()]
    create_table_artifact(table, key="plan", description=f"plan {manifest.plan_digest[:16]} in {step.out}")


def _show_training(step: Step) -> None:
    lines = read_ledger(step.out)
    losses = [line.loss for line in lines]
    summary = TrainingSummary.model_validate(read_json(join(step.out, SUMMARY)))
    picture = as_markdown(curve(losses, x_label="step", y_label="loss"), title=f"loss of {step.name}")
    text = f"## Loss of {step.name}\n\n{picture}\n\n{summary_table(summary)}"
    if samples := next((line.samples for line in reversed(lines) if line.samples), None):
        text += "\n\n" + samples_markdown([{"prompt": prompt, "text": each} for prompt, each in samples.items()])
    create_markdown_artifact(text, key=f"loss-{step.command}", description=f"loss curve of {step.out}")


def summary_table(summary: TrainingSummary) -> str:
    """What a training reached, as a Markdown table."""
    state = "" if summary.finished else " (time limit)"
    rows = {
        "steps": f"{summary.step:,} of {summary.steps:,}{state}",
        "labels trained on": f"{summary.label_tokens:,}",
        "parameters": f"{summary.num_parameters:,}",
        "loss, first step → last steps": f"{summary.first_loss:.4f} → {summary.last_loss:.4f}",
        "labels a second": f"{summary.tokens_per_s:,.0f}",
        "checkpoint": f"`{summary.checkpoint}`",
    }
    for name, value in summary.evaluation.items():
        before = summary.evaluation_before.get(name)
        rows[f"{name}, before → after"] = f"{'-' if before is None else f'{before:.4f}'} → {value:.4f}"
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def show_ratios(config: LanguageRatiosConfig, rows: Sequence[RatioScores]) -> None:
    """The figure of the language ratios and its table."""
    svg = Path(join(config.out, FIGURE)).read_text(encoding="utf-8")
    text = f"## Chinese to English in SFT\n\n{as_markdown(svg, title='scores by ratio')}"
    create_markdown_artifact(text, key="ratios-picture", description=f"ratios in {config.out}")
    table = [{"setting": row.setting, **row.rows_by_lane, **row.scores} for row in rows]
    create_table_artifact(table, key="ratios", description=f"ratios in {config.out}")


def _show_evaluation(step: Step) -> None:
    result = EvaluationResult.model_validate(read_json(join(step.out, EVALUATION)))
    key = step.name.replace(" ", "-")
    create_table_artifact(evaluation_table(result), key=key, description=f"evaluation of {result.checkpoint}")


def evaluation_table(result: EvaluationResult) -> list[dict[str, Any]]:
    """One row per measure: its value and what it was measured on."""
    rows: list[dict[str, Any]] = []
    for lane, measured in result.bits_per_byte.items():
        value = round(measured["bits_per_byte"], 4)
        rest = {name: each for name, each in measured.items() if name != "bits_per_byte"}
        rows.append({"measure": f"bits per byte, {lane}", "value": value, "measured on": _spell(rest)})
    for name, choice in result.choice.items():
        basis = f"{choice.items} questions; chance {choice.chance:.3f}; standard error {choice.standard_error:.3f}"
        rows.append({"measure": f"accuracy, {name}", "value": round(choice.accuracy_micro, 4), "measured on": basis})
    for name, text in result.text.items():
        basis = f"{text.items} items; standard error {text.standard_error:.3f}"
        rows.append({"measure": f"accuracy, {name}", "value": round(text.accuracy, 4), "measured on": basis})
    if pairs := result.preferences:
        basis = f"{pairs.pairs} pairs; standard error {pairs.standard_error:.3f}"
        rows.append({"measure": "preference accuracy", "value": round(pairs.accuracy, 4), "measured on": basis})
    return rows


def _spell(figures: Mapping[str, float]) -> str:
    return ", ".join(f"{value:,.0f} {name.removeprefix('num_')}" for name, value in figures.items())


def _show_samples(step: Step) -> None:
    text = samples_markdown(read_json(step.out)["samples"])
    create_markdown_artifact(text, key="samples", description=f"texts in {step.out}")


def samples_markdown(samples: list[dict[str, str]]) -> str:
    """Generated texts as indented blocks, so that nothing in them acts as Markdown or HTML."""
    blocks = [f"{each['prompt']}{each['text']}".replace("\n", "\n    ") for each in samples]
    return "## What the model writes\n\n" + "\n\n---\n\n".join(f"    {block}" for block in blocks)


def _show_report(step: Step) -> None:
    run = step.out.rpartition("/")[0]
    create_markdown_artifact(_report_line(run), key="report", description=f"report of {run}")


def _report_line(run: str) -> str:
    file = f"The whole report is one file, to be opened in a browser: `{join(run, 'report.html')}`"
    address = dashboard_address(run)
    return f"[The run in the dashboard]({address})\n\n{file}" if address else file


def dashboard_address(run: str) -> str | None:
    """The page of a local run in the dashboard that CTLLM_DASHBOARD_URL names, over the directory CTLLM_DASHBOARD_ROOT.

    None without both, and for a run that lies elsewhere. No page of a server may link to a file of this machine.
    """
    url, root = (os.environ.get(f"CTLLM_DASHBOARD_{name}") for name in ("URL", "ROOT"))
    if not url or not root or not Path(run).resolve().is_relative_to(Path(root).resolve()):
        return None
    name = Path(run).resolve().relative_to(Path(root).resolve()).as_posix()
    return f"{url.rstrip('/')}/run/{quote(name)}"


_SHOW: dict[str, Callable[[Step], None]] = {
    "curate": _show_funnel,
    "tokenize": _show_tokens,
    "plan": _show_plan,
    "pretrain": _show_training,
    "sft": _show_training,
    "dpo": _show_training,
    "evaluate": _show_evaluation,
    "generate": _show_samples,
    "report": _show_report,
}
