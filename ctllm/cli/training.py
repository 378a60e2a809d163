"""Commands from curated shards to a trained model: tokenizer, tokenize, plan, conversations, pretrain, sft, dpo."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctllm.cli.console import console, print_table, progress_shown
from ctllm.cli.curation import BeamArgs, Overrides, Runner, Workers, runner_options
from ctllm.schemas.config import read_config
from ctllm.schemas.errors import ConfigError

Config = Annotated[Path, typer.Argument(help="YAML file, for example configs/pretrain/demo.yaml")]
ConfigOption = Annotated[Path, typer.Option("--config", help="YAML file")]
Out = Annotated[str, typer.Option(help="directory to write")]
MaxSeconds = Annotated[float | None, typer.Option(help="stop with a checkpoint after this wall time")]
Resume = Annotated[bool, typer.Option(help="continue from the newest whole checkpoint in `out`")]

tokenizer_app = typer.Typer(help="Train and look at tokenizers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.add_typer(tokenizer_app, name="tokenizer")
    for command in (tokenize, plan, conversations, pretrain, sft, dpo):
        app.command()(command)


@tokenizer_app.command("train")
def train_tokenizer(
    run: Annotated[str, typer.Argument(metavar="RUN", help="run directory of a curation")],
    out: Out,
    config: ConfigOption = Path("configs/tokenizer/demo.yaml"),
    overrides: Overrides = None,
    runner: Runner = "direct",
    workers: Workers = None,
    beam_args: BeamArgs = None,
) -> None:
    """Train a SentencePiece BPE tokenizer on a weighted sample of curated text, drawn by a Beam job."""
    from ctllm.pipelines.tokenizer_training import train_tokenizer as train
    from ctllm.schemas.training_config import TokenizerConfig

    options = runner_options(runner, workers, beam_args)
    with progress_shown() as progress:
        settings = read_config(config, TokenizerConfig, overrides=overrides or [])
        manifest = train(run, config=settings, out=out, options=options, progress=progress)
    total = sum(chars for sources in manifest.sample_chars.values() for chars in sources.values())
    rows = [
        [lane, source, chars, f"{chars / max(total, 1):.1%}"]
        for lane, sources in manifest.sample_chars.items()
        for source, chars in sources.items()
    ]
    columns = ["lane", "source", "characters trained on", "share"]
    print_table(f"tokenizer of {manifest.vocab_size:,} pieces", columns, rows)


@tokenizer_app.command("inspect")
def inspect_tokenizer(
    model: Annotated[str, typer.Argument(help="a tokenizer.model file")],
    text: Annotated[
        str, typer.Option(help="text to split into pieces")
    ] = "春天来了，the river runs；def f(x): return x + 1",
) -> None:
    """Show how a tokenizer splits a text, piece by piece."""
    from ctllm.model.tokenizer import Tokenizer

    tokenizer = Tokenizer(model)
    ids = tokenizer.encode(text)
    print_table("pieces", ["id", "piece"], [[each, tokenizer.piece(each)] for each in ids])
    console.print(
        f"{len(text.encode())} bytes, {len(ids)} tokens, {len(text.encode()) / max(len(ids), 1):.2f} bytes a token"
    )


def tokenize(
    run: Annotated[str, typer.Argument(metavar="RUN", help="run directory of a curation")],
    tokenizer: Annotated[str, typer.Option(help="a tokenizer.model file")],
    out: Out,
    runner: Runner = "direct",
    workers: Workers = None,
    beam_args: BeamArgs = None,
) -> None:
    """Turn curated text into memory-mapped token shards."""
    from ctllm.pipelines.tokenize import tokenize as run_tokenize

    options = runner_options(runner, workers, beam_args)
    with progress_shown() as progress:
        manifest = run_tokenize(run, tokenizer=tokenizer, out=out, options=options, progress=progress)
    rows = [
        [lane, each.documents, each.tokens, each.bytes, each.bytes / max(each.tokens, 1)]
        for lane, each in manifest.lanes.items()
    ]
    print_table("tokens", ["lane", "documents", "tokens", "bytes", "bytes/token"], rows)


def plan(
    tokens: Annotated[str, typer.Argument(metavar="TOKENS", help="directory of token shards")],
    out: Out,
    config: ConfigOption = Path("configs/plan/demo.yaml"),
    overrides: Overrides = None,
) -> None:
    """Decide offline which tokens are trained on and in which order: mixture, packing, shuffle, held-out documents."""
    from ctllm.model.plan import make_plan
    from ctllm.schemas.training_config import PlanConfig

    with progress_shown() as progress:
        settings = read_config(config, PlanConfig, overrides=overrides or [])
        manifest = make_plan(tokens, config=settings, out=out, progress=progress)
    columns = [
        "lane",
        "available tokens",
        "planned tokens",
        "epochs",
        "wanted share",
        "planned share",
        "held-out documents",
    ]
    rows = [[lane, *each.model_dump().values()] for lane, each in manifest.lanes.items()]
    print_table("plan", columns, rows)
    console.print(
        f"{manifest.num_sequences:,} sequences of {manifest.context_length} tokens, "
        f"{manifest.num_label_tokens:,} labels, {manifest.padding_share:.1%} padding; plan {manifest.plan_digest[:16]}"
    )
    if manifest.missing_lanes:
        console.print(f"no documents in {', '.join(manifest.missing_lanes)}: their weight went to the other lanes")


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
