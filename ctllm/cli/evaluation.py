"""Commands that measure trained models: evaluate, judge, compare."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ctllm.cli.console import console, print_table, progress_shown
from ctllm.cli.curation import Overrides
from ctllm.cli.use import Checkpoint
from ctllm.cli.versions import located, with_directories
from ctllm.schemas.config import read_config
from ctllm.schemas.evaluation_config import Style

SuiteName = Literal["zh", "en", "code", "full"]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (evaluate, judge, compare):
        app.command()(command)


def evaluate(
    checkpoint: Checkpoint,
    out: Annotated[str, typer.Option(help="directory to write evaluation.json and its tables into")],
    config: Annotated[Path | None, typer.Option("--config", help="YAML file: own texts, tasks, preferences")] = None,
    overrides: Overrides = None,
    suite: Annotated[SuiteName | None, typer.Option(help="published benchmarks")] = None,
    data: Annotated[
        list[str] | None, typer.Option(help="directory with folders ceval, mmlu …; may be repeated")
    ] = None,
    style: Annotated[Style, typer.Option(help="whose words stand around a suite's questions")] = "lm_eval",
    shots: Annotated[int | None, typer.Option(min=0, help="examples, in place of each benchmark's own number")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the first N items of each file")] = None,
    skip_missing: Annotated[bool, typer.Option("--skip-missing", help="measure what is there of the suite")] = False,
    curation: Annotated[
        str | None,
        typer.Option(
            parser=located, help="curation run: scores also without the items that it found in kept documents"
        ),
    ] = None,
) -> None:
    """Measure a checkpoint: bits per byte, benchmarks, preference accuracy."""
    from ctllm.model.evaluation.suite import evaluate_checkpoint
    from ctllm.model.evaluation.suites import suite_tasks
    from ctllm.schemas.evaluation_config import EvaluateConfig

    path = config or (None if suite else Path("configs/evaluate/demo.yaml"))
    settings = None
    if path:
        settings = with_directories(read_config(path, EvaluateConfig, overrides=overrides or []), origin=str(path))
    missing: tuple[str, ...] = ()
    if suite:
        tasks = suite_tasks(
            suite,
            data=data or [],
            style=style,
            num_shots=shots,
            max_items=limit,
            allows_missing=skip_missing,
        )
        settings, missing = tasks.added_to(settings), tasks.missing
    assert settings is not None
    if curation:
        settings = settings.model_copy(update={"curation": curation})
    with progress_shown() as progress:
        result = evaluate_checkpoint(checkpoint, config=settings, out=out, missing=missing, progress=progress)
    print_table("evaluation", ["measure", "value"], result.rows())
    for sentence in missing:
        console.print(f"missing: {sentence}", markup=False)


def judge(
    config: Annotated[Path, typer.Argument(help="YAML file, for example configs/judge/chc_bench.yaml")],
    overrides: Overrides = None,
) -> None:
    """Let a model answer open questions and another judge the answers: CHC-Bench, AlignBench, mt-bench-zh, CValues."""
    from ctllm.model.evaluation.judge import judge as run
    from ctllm.schemas.judge_config import JudgeConfig

    settings = read_config(config, JudgeConfig, overrides=overrides or [])
    with progress_shown() as progress:
        result = run(settings, progress=progress)
    print_table(f"{result.model}, judged by {result.judge_model}", ["", ""], result.rows())


def compare(
    evaluations: Annotated[
        list[str], typer.Argument(metavar="EVALUATION...", help="evaluation.json, or a directory with one")
    ],
    out: Annotated[str | None, typer.Option(help="HTML file to draw the accuracies into")] = None,
    published: Annotated[bool, typer.Option(help="show what others published beside")] = True,
) -> None:
    """Show evaluated checkpoints side by side, with published scores of CT-LLM, Steel-LLM, MiniMind and TinyLlama."""
    from ctllm.model.evaluation.comparison import compare as side_by_side
    from ctllm.model.evaluation.comparison import read_published, read_results, write_picture

    table = side_by_side(read_results(evaluations), read_published() if published else ())
    rows = [
        [name, *map(_with_error, values, errors)]
        for (name, values), errors in zip(table.rows, table.errors, strict=True)
    ]
    print_table("comparison", ["measure", *table.models], rows)
    for line in (*table.sources, *table.warnings):
        console.print(line, markup=False)
    if out:
        write_picture(table, out)
        console.print(out, markup=False)


def _with_error(value: float | None, error: float | None) -> str | None:
    return f"{value:.3f}" + (f" ± {error:.3f}" if error is not None else "") if value is not None else None
