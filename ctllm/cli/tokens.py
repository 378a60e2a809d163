"""Commands from curated text to a plan of tokens, and back: tokenizer, tokenize, plan, explain-step, trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctllm.cli.console import console, print_table, progress_shown
from ctllm.cli.curation import BeamArgs, Overrides, Runner, Workers, started_runner
from ctllm.cli.explanations import print_json
from ctllm.cli.versions import building, located
from ctllm.schemas.config import read_config

if TYPE_CHECKING:
    from ctllm.model.document_trace import DocumentTrace, Visit
    from ctllm.model.step_explanation import StepExplanation
    from ctllm.model.tokenizer import Tokenizer
    from ctllm.model.tokenizer_inspection import Pieces, TokenizerReport
    from ctllm.schemas.tokens import PlanManifest

ConfigOption = Annotated[Path, typer.Option("--config", help="YAML file")]
Out = Annotated[str, typer.Option(help="directory to write, or name@version to publish")]
Curation = Annotated[
    str, typer.Argument(metavar="RUN", parser=located, help="run directory of a curation, or name@version")
]
Pretraining = Annotated[
    str, typer.Argument(metavar="RUN", parser=located, help="directory of a pretraining, or name@version")
]
MovedTokens = Annotated[str | None, typer.Option(parser=located, help="token shards, if they have moved since")]
MovedPlan = Annotated[str | None, typer.Option(parser=located, help="the plan, if it has moved since")]

EXAMPLE = "春天来了，the river runs；def f(x): return x + 1"

tokenizer_app = typer.Typer(help="Train and look at tokenizers.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.add_typer(tokenizer_app, name="tokenizer")
    for command in (tokenize, plan, explain_step, trace):
        app.command()(command)


@tokenizer_app.command("train")
def train_tokenizer(
    run: Curation,
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

    running = started_runner(runner, workers, beam_args)
    settings = read_config(config, TokenizerConfig, overrides=overrides or [])
    made_from = {"run": run}
    with (
        building(out, settings=settings, made_from=made_from) as place,
        running as options,
        progress_shown() as progress,
    ):
        manifest = train(run, config=settings, out=place, options=options, progress=progress)
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
    model: Annotated[
        str, typer.Argument(parser=located, help="a tokenizer.model file, a directory with one, or name@version")
    ],
    run: Annotated[
        str | None, typer.Option(parser=located, help="run directory of a curation, to measure on its text")
    ] = None,
    documents: Annotated[int, typer.Option(min=1, help="documents of each lane to measure on")] = 500,
    text: Annotated[str | None, typer.Option(help="text to split into pieces")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Show what a vocabulary holds and what it makes of text: coverage, unused and glitch pieces, round trip."""
    from ctllm.model.tokenizer import Tokenizer
    from ctllm.model.tokenizer_inspection import inspect_tokenizer as inspect

    tokenizer = Tokenizer(model)
    if as_json:
        print_json(inspect(tokenizer, run=run, documents_per_lane=documents))
        return
    with progress_shown() as progress:
        report = inspect(tokenizer, run=run, documents_per_lane=documents, progress=progress)
    _print_report(report)
    if text is not None or run is None:
        _print_pieces(tokenizer, EXAMPLE if text is None else text)


def _print_report(report: "TokenizerReport") -> None:
    han: list[list[object]] = [
        [f"Han, {name}", f"{each.covered:,} of {each.characters:,}"] for name, each in report.han.items()
    ]
    rows: list[list[object]] = [
        ["kind", f"{'BPE' if report.is_bpe else 'unigram'}, {'' if report.has_bytes else 'no '}byte fallback"],
        ["text", "left as it is" if report.is_exact else "normalised, or a space put before it"],
        ["ids", report.vocab_size],
        ["longest piece, characters", report.longest_piece_chars],
        *([f"pieces, {name}", count] for name, count in report.kinds.items()),
        *han,
        ["symbols numbered after the pieces", ", ".join(report.appended_symbols) or "none"],
        ["glitches: pieces that no text makes", _shown(report.glitches)],
    ]
    if report.unused is not None:
        rows.append(["unused in these documents", _shown(report.unused)])
    print_table(f"{report.path}", ["", ""], rows)
    rows = [
        [
            lane,
            each.documents,
            each.bytes_per_token,
            each.chars_per_token,
            f"{each.byte_tokens_share:.3%}",
            f"{each.han_covered_share:.3%}",
            each.changed_documents,
        ]
        for lane, each in report.lanes.items()
    ]
    if rows:
        columns = ["lane", "documents", "bytes/token", "chars/token", "fallback tokens", "Han with a piece", "changed"]
        print_table("on curated text", columns, rows)
    for lane, each in report.lanes.items():
        if each.first_change:
            console.print(f"{lane}, the first change: {each.first_change}", markup=False)


def _shown(pieces: "Pieces") -> str:
    examples = " ".join(pieces.examples[:8])
    return f"{pieces.count:,}  {examples}{' …' if pieces.count > 8 else ''}".rstrip()


def _print_pieces(tokenizer: "Tokenizer", text: str) -> None:
    ids = tokenizer.encode(text)
    print_table("pieces", ["id", "piece"], [[each, tokenizer.piece(each)] for each in ids])
    size = len(text.encode())
    console.print(f"{size} bytes, {len(ids)} tokens, {size / max(len(ids), 1):.2f} bytes a token")


def tokenize(
    run: Curation,
    tokenizer: Annotated[str, typer.Option(parser=located, help="a tokenizer.model file, or name@version")],
    out: Out,
    runner: Runner = "direct",
    workers: Workers = None,
    beam_args: BeamArgs = None,
) -> None:
    """Turn curated text into memory-mapped token shards."""
    from ctllm.pipelines.tokenize import tokenize as run_tokenize

    running = started_runner(runner, workers, beam_args)
    made_from = {"run": run, "tokenizer": tokenizer}
    with building(out, made_from=made_from) as place, running as options, progress_shown() as progress:
        manifest = run_tokenize(run, tokenizer=tokenizer, out=place, options=options, progress=progress)
    rows = [
        [lane, each.documents, each.tokens, each.bytes, each.bytes / max(each.tokens, 1)]
        for lane, each in manifest.lanes.items()
    ]
    print_table("tokens", ["lane", "documents", "tokens", "bytes", "bytes/token"], rows)


def plan(
    tokens: Annotated[
        str, typer.Argument(metavar="TOKENS", parser=located, help="directory of token shards, or name@version")
    ],
    out: Out,
    config: ConfigOption = Path("configs/plan/demo.yaml"),
    overrides: Overrides = None,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="also show each source's tokens and epochs, packing and padding"),
    ] = False,
) -> None:
    """Decide offline which tokens are trained on and in which order: mixture, packing, shuffle, held-out documents."""
    from ctllm.model.plan import make_plan
    from ctllm.schemas.training_config import PlanConfig

    settings = read_config(config, PlanConfig, overrides=overrides or [])
    with building(out, settings=settings, made_from={"tokens": tokens}) as place, progress_shown() as progress:
        manifest = make_plan(tokens, config=settings, out=place, progress=progress)
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
    if explain:
        _explain_plan(manifest)


def _explain_plan(manifest: "PlanManifest") -> None:
    rows = [
        [lane, source, *each.model_dump().values(), f"{each.planned_tokens / manifest.num_label_tokens:.1%}"]
        for lane, sources in manifest.sources.items()
        for source, each in sources.items()
    ]
    columns = ["lane", "source", "available tokens", "planned tokens", "epochs", "share of the plan"]
    print_table("sources", columns, rows)
    positions = manifest.num_sequences * manifest.context_length
    rows = [
        ["documents, each as often as it is repeated", manifest.num_documents],
        ["of them longer than a sequence, so in several", manifest.num_split_documents],
        ["pieces of documents", manifest.num_segments],
        ["sequences", manifest.num_sequences],
        ["pieces in a sequence", manifest.num_segments / manifest.num_sequences],
        ["positions", positions],
        ["tokens that are predicted", manifest.num_label_tokens],
        ["positions of padding", positions - manifest.num_label_tokens],
        ["share of padding", manifest.padding_share],
    ]
    print_table("packing", ["", ""], rows)


def explain_step(
    run: Pretraining,
    step: Annotated[int, typer.Argument(help="optimizer step, from 0 as in the ledger")],
    tokens: MovedTokens = None,
    plan: MovedPlan = None,
    documents: Annotated[int, typer.Option(min=1, help="at most this many are shown (--json has all)")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")] = False,
) -> None:
    """Show which documents a step was trained on: lane, source, URL and how each piece begins."""
    from ctllm.model.step_explanation import explain_step as explain

    found = explain(run, step, tokens=tokens, plan=plan)
    if as_json:
        print_json(found)
    else:
        _print_step(found, max_documents=documents)


def _print_step(found: "StepExplanation", *, max_documents: int) -> None:
    recorded = {None: "the run has not come to it", True: "as the ledger has it", False: "NOT what the ledger has"}
    loss = f", loss {found.loss:.4f}, learning rate {found.learning_rate:.3g}" if found.loss is not None else ""
    counts = f"{found.sequences:,} sequences, {len(found.documents):,} documents, {found.label_tokens:,} labels{loss}"
    console.print(f"step {found.step}: {counts}")
    console.print(f"batch {found.batch}, {recorded[found.is_as_recorded]}\n")
    for each in found.documents[:max_documents]:
        end = each.first_token + each.tokens
        part = "" if each.tokens == each.document_tokens else f" ({each.first_token:,} to {end:,})"
        size = f"{each.document_tokens:,} tokens{part}"
        console.print(f"{each.sequence:>4}  {each.lane} {each.source}, {each.id}, {size}", markup=False)
        console.print(f"      {each.url or 'no URL'}", markup=False)
        console.print(
            f"      {' '.join(each.excerpt.split())}", markup=False, style="dim", no_wrap=True, overflow="ellipsis"
        )
    if len(found.documents) > max_documents:
        console.print(f"… and {len(found.documents) - max_documents:,} more (--documents N, --json)")


def trace(
    run: Pretraining,
    document: Annotated[str, typer.Argument(help="id, URL or key of a document")],
    tokens: MovedTokens = None,
    plan: MovedPlan = None,
    as_json: Annotated[bool, typer.Option("--json", help="a JSON object for each document instead of text")] = False,
) -> None:
    """Show which steps of a pretraining were trained on a document, and which checkpoints have seen it."""
    from ctllm.model.document_trace import trace_document

    for found in trace_document(run, document, tokens=tokens, plan=plan):
        if as_json:
            print_json(found)
        else:
            _print_trace(found)


def _print_trace(found: "DocumentTrace") -> None:
    console.print(f"{found.id}, {found.lane} {found.source}, {found.tokens:,} tokens", markup=False)
    console.print(f"  {found.url or 'no URL'}", markup=False)
    if found.is_held_out:
        console.print("  held out: measured on, never trained on")
    elif not found.is_planned:
        console.print("  left out of the plan: its lane or source has more tokens than its share")
    for visits, tense in ((found.done, "trained on in"), (found.to_come, "to come in")):
        for visit in visits:
            console.print(f"  {tense} {_describe_visit(visit, of=found.tokens)}")
    if found.is_planned and not found.done:
        console.print("  not trained on so far")
    if found.done:
        console.print(f"  checkpoints that have seen it: {', '.join(found.checkpoints) or 'none is there'}")


def _describe_visit(visit: "Visit", *, of: int) -> str:
    part = "" if visit.tokens == of else f", tokens {visit.first_token:,} to {visit.first_token + visit.tokens:,}"
    passes = f", pass {visit.number_of_pass + 1} over the plan" if visit.number_of_pass else ""
    return f"step {visit.step:,}, sequence {visit.sequence}{part}{passes}"
