"""Many commands in one process: the whole way, the same on the example corpus, the language ratios of SFT."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from ctllm.cli.console import console, print_table
from ctllm.cli.curation import Overrides
from ctllm.schemas.config import read_config
from ctllm.schemas.end_to_end_config import EndToEndConfig
from ctllm.schemas.files import join, read_json, read_parquet, remove_tree

CONFIG = "configs/end_to_end/demo.yaml"


def register(app: typer.Typer) -> None:
    """Adds the commands to the command line."""
    app.command()(demo)
    app.command("end-to-end")(end_to_end)
    app.command()(ratios)


def demo(
    out: Annotated[Path, typer.Option(help="workspace; continued if it is there")] = Path(".demo"),
    fresh: Annotated[bool, typer.Option(help="delete what an earlier demo left")] = False,
) -> None:
    """Run the whole way on the bundled corpus: minutes on two cores, offline."""
    from ctllm.examples.corpus.build import build_corpus

    if fresh:
        remove_tree(str(out))
    corpus = out / "corpus"
    documents = build_corpus(corpus)
    console.print(f"[bold]example corpus[/]: {len(documents)} records in {corpus}")
    config = read_config(CONFIG, EndToEndConfig).model_copy(update={"inputs": (str(corpus),)})
    _run_steps(config, out)
    console.print("Try next:", style="bold")
    copy = read_parquet(join(str(out), "curated", "stats", "clusters.parquet"))["removed_id"][0].as_py()
    console.print(f"  ctllm why {out}/curated {copy}", markup=False)
    console.print(f"  ctllm decide {out}/curated --set rules.zh.min_num_chars=200 --dry-run", markup=False)
    console.print(f"  ctllm generate {out}/dpo --chat --prompt 你好", markup=False)
    console.print("  ctllm up     # a Prefect server with every stage as a deployment", markup=False)


def end_to_end(
    config: Annotated[Path, typer.Argument(help="YAML file, for example configs/end_to_end/m3.yaml")],
    out: Annotated[Path, typer.Option(help="workspace; continued if it is there")],
    overrides: Overrides = None,
) -> None:
    """Run the whole way, from raw sources to an exported model; what is finished is not repeated."""
    _run_steps(read_config(config, EndToEndConfig, overrides=overrides or []), out)


def ratios(
    config: Annotated[Path, typer.Argument(help="YAML file, for example configs/ratios/demo.yaml")],
    overrides: Overrides = None,
) -> None:
    """Fine-tune a checkpoint on several ratios of Chinese to English, score all, draw the figure."""
    from ctllm.flows.checks import check_configs
    from ctllm.flows.language_ratios import draw_figure, ratio_steps
    from ctllm.schemas.language_ratios_config import FIGURE, LanguageRatiosConfig

    settings = read_config(config, LanguageRatiosConfig, overrides=overrides or [])
    todo = list(ratio_steps(settings))
    check_configs(todo)
    for step in todo:
        console.rule(f"[bold]{step.name}", align="left")
        _run(step.arguments)
    rows = draw_figure(settings)
    names = list(rows[0].scores)
    console.rule("[bold]what came out", align="left")
    print_table(
        "ratios of Chinese to English",
        ["setting", "zh", "en", *names],
        [
            [row.setting, row.rows_by_lane.get("zh", 0), row.rows_by_lane.get("en", 0), *map(row.scores.get, names)]
            for row in rows
        ],
    )
    console.print(f"figure: {join(settings.out, FIGURE)}", markup=False)


def _run_steps(config: EndToEndConfig, out: Path) -> None:
    from ctllm.flows.checks import check_chat_files, check_configs
    from ctllm.flows.steps import Workspace, steps

    started = time.monotonic()
    todo = steps(config, Workspace(out))
    check_configs(todo)
    check_chat_files(config)
    for step in todo:
        console.rule(f"[bold]{step.name}", align="left")
        _run(step.arguments)
    _closing_screen(out, seconds=time.monotonic() - started)


def _run(arguments: tuple[str, ...]) -> None:
    from ctllm.cli.main import app

    typer.main.get_command(app).main(args=list(arguments), prog_name="ctllm", standalone_mode=False)


def _closing_screen(out: Path, *, seconds: float) -> None:
    console.rule("[bold]what came out", align="left")
    _print_funnel(join(str(out), "curated"))
    _print_training(out)
    sample = read_json(join(str(out), "samples.json"))["samples"][0]
    console.print(f"[bold]a sample of the {_parameters(out)} model[/]: ", end="")
    console.print(sample["prompt"] + sample["text"], markup=False)
    places = {"report": "curated/report.html", "checkpoint": "dpo/checkpoints", "export (Hugging Face Llama)": "export"}
    for name, path in places.items():
        console.print(f"{name}: {out / path}", markup=False)
    console.print(f"[bold]done in {seconds / 60:.1f} minutes[/]")


def _print_funnel(run: str) -> None:
    rows = read_parquet(join(run, "stats", "funnel.parquet")).to_pylist()
    counts: dict[tuple[str, str, str], int] = {}
    for row in rows:
        group = (row["outcome"], row["lane"], row["reason"])
        counts[group] = counts.get(group, 0) + row["documents"]
    print_table(
        "funnel",
        ["outcome", "lane", "first reason", "documents"],
        [[*group, count] for group, count in sorted(counts.items())],
    )
    stats = read_json(join(run, "stats", "stats.json"))
    accounts, clusters = stats["accounts"], stats["clusters"]
    console.print(
        f"read {accounts['read']} = kept {accounts['kept']} + removed {accounts['removed']} "
        f"+ failed {accounts['failed']}; "
        f"{clusters['count']} groups of copies, {clusters['removed']} copies removed "
        f"({clusters['removed_exact']} exact, {clusters['removed_near']} near), largest group {clusters['largest']}"
    )


def _summary(out: Path, stage: str) -> Any:  # noqa: ANN401 - TrainingSummary as JSON
    return read_json(join(str(out), stage, "summary.json"))


def _parameters(out: Path) -> str:
    return f"{_summary(out, 'pretrain')['num_parameters'] / 1e6:.1f} M-parameter"


def _print_training(out: Path) -> None:
    rows = []
    for stage in ("pretrain", "sft", "dpo"):
        summary = _summary(out, stage)
        rows.append([f"{stage}: loss", summary["first_loss"], summary["last_loss"]])
        rows += [
            [f"{stage}: {name}", summary["evaluation_before"].get(name), value]
            for name, value in summary["evaluation"].items()
        ]
    print_table("training", ["", "before", "after"], rows)
