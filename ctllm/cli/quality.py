"""Commands on the quality classifier: quality train, score."""

from typing import Annotated

import typer

from ctllm.cli.console import console, print_table, progress_shown
from ctllm.schemas.config import parse_config
from ctllm.schemas.quality import QualityCard, QualityTrainingConfig

_DEFAULTS = QualityTrainingConfig()
Files = "file, glob, directory or URL of any source that curate reads; may be repeated"

quality = typer.Typer(help="Train a classifier of good text, and see what it says.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.add_typer(quality, name="quality")


@quality.command("train")
def train(
    positive: Annotated[list[str], typer.Option("--positive", help=f"good documents: {Files}")],
    negative: Annotated[list[str], typer.Option("--negative", help=f"documents to tell them from: {Files}")],
    out: Annotated[str, typer.Option(help="directory to write model.bin and model.json into")],
    dim: Annotated[int, typer.Option(help="numbers per token")] = _DEFAULTS.dim,
    epoch: Annotated[int, typer.Option(help="times every document is seen")] = _DEFAULTS.epoch,
    word_ngrams: Annotated[int, typer.Option(help="longest run of tokens that is a feature")] = _DEFAULTS.word_ngrams,
    learning_rate: Annotated[float, typer.Option(help="falls to 0 over the training")] = _DEFAULTS.learning_rate,
    min_count: Annotated[int, typer.Option(help="rarer tokens are left out")] = _DEFAULTS.min_count,
    buckets: Annotated[int, typer.Option(help="rows that runs of tokens hash into")] = _DEFAULTS.buckets,
    max_documents: Annotated[int, typer.Option(help="documents per class at most")] = _DEFAULTS.max_documents,
    num_chars: Annotated[int, typer.Option(help="characters read of each document")] = _DEFAULTS.num_chars,
    held_out_share: Annotated[float, typer.Option(help="share measured on only")] = _DEFAULTS.held_out_share,
    threads: Annotated[int, typer.Option(help="at least 11, whatever the machine has")] = _DEFAULTS.threads,
) -> None:
    """Train the classifier; precision and recall are measured on documents that it has not seen."""
    from ctllm.pipelines.quality_training import train_quality

    values = {
        "dim": dim, "epoch": epoch, "word_ngrams": word_ngrams, "learning_rate": learning_rate, "min_count": min_count,
        "buckets": buckets, "max_documents": max_documents, "num_chars": num_chars, "held_out_share": held_out_share,
        "threads": threads,
    }  # fmt: skip
    config = parse_config(values, QualityTrainingConfig, origin="quality train")
    with progress_shown() as progress:
        card = train_quality(positive=positive, negative=negative, out=out, config=config, progress=progress)
    print_card(card)
    console.print(f"model: {out}; use it with `quality: {{model: {out}}}` and min_quality_score", markup=False)


def print_card(card: QualityCard) -> None:
    """Documents of both classes, and what every threshold would keep."""
    names = list(next(iter(card.documents.values())))
    rows = [[name, *(counts[each] for each in names)] for name, counts in card.documents.items()]
    print_table("documents", ["class", *(name.replace("_", " ") for name in names)], rows)
    columns = ["min_quality_score", "precision", "recall", "F1", "negative kept"]
    table = [[row.threshold, row.precision, row.recall, row.f1, row.kept_negative_share] for row in card.held_out]
    print_table("held-out documents", columns, table)


@quality.command("score")
def score(
    inputs: Annotated[list[str], typer.Argument(metavar="RUN|FILE…", help="runs of curate, or files as its --input")],
    model: Annotated[str, typer.Option(help="directory of a quality train")],
) -> None:
    """Print the distribution of a model's scores by source and outcome, and examples from both ends and the middle."""
    from ctllm.pipelines.quality_report import QUANTILES, report_quality

    with progress_shown() as progress:
        found = report_quality(inputs, model=model, progress=progress)
    rows = [[each.source, each.outcome, each.num_documents, each.mean, *each.quantiles] for each in found.groups]
    names = ["source", "outcome", "documents", "mean", *(f"{quantile:.0%}" for quantile in QUANTILES)]
    print_table("scores", names, rows)
    for name, examples in found.examples.items():
        print_table(name, ["score", "document", "text"], [[each.score, each.id, each.excerpt] for each in examples])
