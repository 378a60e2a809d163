"""Commands that train a model, and show how: conversations, pretrain, sft, synthesise, dpo, tensorboard."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ctllm.cli.console import console, print_table, progress_shown
from ctllm.cli.curation import BeamArgs, Overrides, Runner, Workers, further_inputs, started_runner
from ctllm.cli.versions import building, located, with_directories
from ctllm.schemas.config import read_config
from ctllm.schemas.errors import ConfigError

Config = Annotated[Path, typer.Argument(help="YAML file, for example configs/pretrain/demo.yaml")]
Out = Annotated[str, typer.Option(help="directory to write, or name@version to publish")]
MaxSeconds = Annotated[float | None, typer.Option(help="stop with a checkpoint after this wall time")]
Resume = Annotated[bool, typer.Option(help="continue from the newest whole checkpoint in `out`")]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (conversations, estimate, pretrain, sft, synthesise, dpo, tensorboard):
        app.command()(command)


def conversations(
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input",
            parser=located,
            help="JSONL or JSON array (also .gz, .zst), Parquet file, glob or name@version; may be repeated",
        ),
    ],
    kind: Annotated[str, typer.Option(help="conversations (for sft) or preferences (for dpo)")],
    out: Out,
    benchmark: Annotated[
        list[str] | None, typer.Option(help="benchmark file or glob whose items are removed; may be repeated")
    ] = None,
    near: Annotated[bool, typer.Option(help="remove near copies of conversations too")] = True,
    threshold: Annotated[float, typer.Option(min=0.01, max=0.99, help="Jaccard from which on they are copies")] = 0.9,
    runner: Runner = "direct",
    workers: Workers = None,
    beam_args: BeamArgs = None,
) -> None:
    """Check chat data and write it as Parquet; what is broken, a copy or a benchmark item is listed in failures/."""
    from ctllm.pipelines.conversations import convert_conversations, first_failures
    from ctllm.schemas.conversation_config import ConversationConfig

    kinds = {"conversations": "sft", "preferences": "preference"}
    if kind not in kinds:
        raise ConfigError(f"--kind {kind}: unknown; one of {', '.join(kinds)}")
    more, beam_args = further_inputs(beam_args)
    inputs = [*inputs, *more]
    config = ConversationConfig(near=near, threshold=threshold, benchmarks=tuple(benchmark or ()))
    made_from = {f"input {number}": each for number, each in enumerate(inputs)}
    running = started_runner(runner, workers, beam_args)
    with building(out, settings=config, made_from=made_from) as place, running as options, progress_shown() as progress:
        manifest = convert_conversations(
            inputs,
            kind=kinds[kind],  # type: ignore[arg-type]
            out=place,
            options=options,
            config=config,
            progress=progress,
        )
    print_table(kind, ["", "records"], sorted(manifest.counts.items()))
    if examples := first_failures(place):
        print_table("one of each that failed; all are in failures/", ["reason", "place", "why"], examples)


def estimate(
    config: Config,
    overrides: Overrides = None,
    gpus: Annotated[int, typer.Option(min=1, help="number of GPUs")] = 1,
    gpu: Annotated[str, typer.Option(help="kind of GPU, for example H200")] = "H200",
    mfu: Annotated[float, typer.Option(min=0.01, max=1, help="share of the data sheet that is reached")] = 0.4,
    tokens: Annotated[int | None, typer.Option(min=1, help="tokens to train on; default: the config's steps")] = None,
    price: Annotated[float | None, typer.Option(min=0, help="price of one GPU-hour")] = None,
) -> None:
    """Say what a pretraining config needs: memory of each GPU, tokens a second, days, GPU-hours, money."""
    from ctllm.model.estimate import GIB, estimate_training
    from ctllm.schemas.training_config import PretrainConfig

    settings = read_config(config, PretrainConfig, overrides=overrides or [])
    bill = estimate_training(settings, gpus=gpus, gpu=gpu, mfu=mfu, tokens=tokens, price_per_gpu_hour=price)
    rows: list[list[object]] = [["parameters", bill.num_parameters], ["tokens", bill.tokens]]
    rows += [[f"memory: {name}, GiB a GPU", size / GIB] for name, size in bill.memory.model_dump().items()]
    rows += [["memory: total, GiB a GPU", bill.memory.total / GIB], ["GFLOP a token", bill.flop_per_token / 1e9]]
    rows += [["tokens/s", bill.tokens_per_s], ["days", bill.days], ["GPU-hours", bill.gpu_hours]]
    rows += [] if bill.cost is None else [["cost", bill.cost]]
    print_table(f"{settings.model.name} on {gpus} x {gpu} at {mfu:.0%} MFU", ["", ""], rows)


def pretrain(
    config: Config, overrides: Overrides = None, resume: Resume = True, max_seconds: MaxSeconds = None
) -> None:
    """Pretrain a model on a plan; continues a run that was stopped or killed."""
    from ctllm.model.pretrain import pretrain as train
    from ctllm.schemas.training_config import PretrainConfig

    settings = with_directories(read_config(config, PretrainConfig, overrides=overrides or []), origin=str(config))
    _train("pretrain", train, settings, resume=resume, max_seconds=max_seconds)


def sft(config: Config, overrides: Overrides = None, resume: Resume = True, max_seconds: MaxSeconds = None) -> None:
    """Fine-tune on conversations: loss on assistant tokens only."""
    from ctllm.model.sft import sft as train
    from ctllm.schemas.tuning_config import SftConfig

    settings = with_directories(read_config(config, SftConfig, overrides=overrides or []), origin=str(config))
    _train("sft", train, settings, resume=resume, max_seconds=max_seconds)


def synthesise(config: Config, overrides: Overrides = None) -> None:
    """Make preference pairs: a weaker model's answers beside good ones; a re-run asks only for what is missing."""
    from ctllm.model.synthesis import synthesise as make
    from ctllm.schemas.synthesis_config import SynthesisConfig

    settings = read_config(config, SynthesisConfig, overrides=overrides or [])
    with progress_shown() as progress:
        counts = make(settings, progress=progress)
    print_table("synthesise", ["", "conversations"], list(counts.items()))
    console.print(
        f"Next: ctllm conversations --kind preferences --input {settings.out}/pairs.jsonl --out …", markup=False
    )


def dpo(config: Config, overrides: Overrides = None, resume: Resume = True, max_seconds: MaxSeconds = None) -> None:
    """Align on preference pairs, with the reference's log-probabilities computed once."""
    from ctllm.model.dpo import dpo as train
    from ctllm.schemas.tuning_config import DpoConfig

    settings = with_directories(read_config(config, DpoConfig, overrides=overrides or []), origin=str(config))
    _train("dpo", train, settings, resume=resume, max_seconds=max_seconds)


def _train(stage: str, train: Any, settings: Any, **how: Any) -> None:  # noqa: ANN401 - one of three, imported late
    """Trains into `settings.out`, a directory or a version to publish."""
    roles = ("tokens", "plan", "checkpoint", "conversations", "preferences")
    made_from = {role: getattr(settings, role, None) for role in roles}
    with building(settings.out, settings=settings, made_from=made_from) as place, progress_shown() as progress:
        summary = train(settings.model_copy(update={"out": place}), progress=progress, **how)
    _print_training(stage, summary)


def tensorboard(
    runs: Annotated[list[str], typer.Argument(metavar="RUN…", help="directories of pretrain, sft or dpo")], out: Out
) -> None:
    """Write the ledgers of trainings as TensorBoard's event files; again for what has been trained since."""
    from ctllm.model.tensorboard_events import write_events

    counts = write_events(runs, out=out)
    print_table("tensorboard", ["run", "steps"], list(counts.items()))
    console.print(f"Next: tensorboard --logdir {out}", markup=False)


def _print_training(stage: str, summary: Any) -> None:  # noqa: ANN401 - TrainingSummary, imported late
    from ctllm.model.distributed import is_first_process

    if not is_first_process():
        return
    values = summary.model_dump()
    before, after = values.pop("evaluation_before"), values.pop("evaluation")
    flat = ((name, value.items() if isinstance(value, dict) else [("", value)]) for name, value in values.items())
    rows = [[f"{name} {key}".strip(), each] for name, nested in flat for key, each in nested if each is not None]
    print_table(stage, ["", ""], rows)
    if after:
        measured = [[name, before.get(name), value] for name, value in after.items()]
        print_table(f"{stage}, measured", ["", "before", "after"], measured)
