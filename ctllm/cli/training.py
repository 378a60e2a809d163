"""Commands that train a model: conversations, pretrain, sft, dpo."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctllm.cli.console import print_table, progress_shown
from ctllm.cli.curation import BeamArgs, Overrides, Runner, Workers, runner_options
from ctllm.schemas.config import read_config
from ctllm.schemas.errors import ConfigError

Config = Annotated[Path, typer.Argument(help="YAML file, for example configs/pretrain/demo.yaml")]
Out = Annotated[str, typer.Option(help="directory to write")]
MaxSeconds = Annotated[float | None, typer.Option(help="stop with a checkpoint after this wall time")]
Resume = Annotated[bool, typer.Option(help="continue from the newest whole checkpoint in `out`")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (conversations, pretrain, sft, dpo):
        app.command()(command)


def conversations(
    inputs: Annotated[
        list[str], typer.Option("--input", help="JSONL (also .gz, .zst) or Parquet file or glob; may be repeated")
    ],
    kind: Annotated[str, typer.Option(help="conversations (for sft) or preferences (for dpo)")],
    out: Out,
    runner: Runner = "direct",
    workers: Workers = None,
    beam_args: BeamArgs = None,
) -> None:
    """Check chat data and write it as Parquet; what cannot be used is listed in failures/."""
    from ctllm.pipelines.conversations import convert_conversations

    kinds = {"conversations": "sft", "preferences": "preference"}
    if kind not in kinds:
        raise ConfigError(f"--kind {kind}: unknown; one of {', '.join(kinds)}")
    options = runner_options(runner, workers, beam_args)
    with progress_shown() as progress:
        manifest = convert_conversations(inputs, kind=kinds[kind], out=out, options=options, progress=progress)  # type: ignore[arg-type]
    print_table(kind, ["", "records"], sorted(manifest.counts.items()))


def pretrain(
    config: Config, overrides: Overrides = None, resume: Resume = True, max_seconds: MaxSeconds = None
) -> None:
    """Pretrain a model on a plan; continues a run that was stopped or killed."""
    from ctllm.model.pretrain import pretrain as train
    from ctllm.schemas.training_config import PretrainConfig

    settings = read_config(config, PretrainConfig, overrides=overrides or [])
    with progress_shown() as progress:
        summary = train(settings, resume=resume, max_seconds=max_seconds, progress=progress)
    _print_training("pretrain", summary)


def sft(config: Config, overrides: Overrides = None, resume: Resume = True, max_seconds: MaxSeconds = None) -> None:
    """Fine-tune on conversations: loss on assistant tokens only."""
    from ctllm.model.sft import sft as train
    from ctllm.schemas.tuning_config import SftConfig

    settings = read_config(config, SftConfig, overrides=overrides or [])
    with progress_shown() as progress:
        summary = train(settings, resume=resume, max_seconds=max_seconds, progress=progress)
    _print_training("sft", summary)


def dpo(config: Config, overrides: Overrides = None, resume: Resume = True, max_seconds: MaxSeconds = None) -> None:
    """Align on preference pairs, with the reference's log-probabilities computed once."""
    from ctllm.model.dpo import dpo as train
    from ctllm.schemas.tuning_config import DpoConfig

    settings = read_config(config, DpoConfig, overrides=overrides or [])
    with progress_shown() as progress:
        summary = train(settings, resume=resume, max_seconds=max_seconds, progress=progress)
    _print_training("dpo", summary)


def _print_training(stage: str, summary: Any) -> None:  # noqa: ANN401 - TrainingSummary, imported late
    rows = []
    for name, value in summary.model_dump().items():
        nested = value.items() if isinstance(value, dict) else [("", value)]
        rows += [[f"{name} {key}".strip(), each] for key, each in nested]
    print_table(stage, ["", ""], rows)
