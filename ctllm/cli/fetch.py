"""Commands that bring corpora: fetch commoncrawl, hf, recipe, list."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from ctllm.cli.console import console, progress_shown
from ctllm.schemas.errors import ConfigError

if TYPE_CHECKING:
    from ctllm.pipelines.fetch.fetch import FetchSummary
    from ctllm.pipelines.fetch.server import Manners
    from ctllm.schemas.recipes import Part

Out = Annotated[str, typer.Option(help="local directory; a fetch into it is continued")]
BaseUrl = Annotated[str | None, typer.Option(help="another host: a mirror")]
Limit = Annotated[int | None, typer.Option(min=1, help="only the first N files (of each part)")]
Verify = Annotated[bool, typer.Option("--verify", help="read finished files and fetch damaged ones again")]
Parallel = Annotated[int, typer.Option(min=1, max=16, help="connections at a time")]
Rate = Annotated[str | None, typer.Option(help="limit in bytes per second: 500k, 20M")]
Timeout = Annotated[float, typer.Option(min=0.01, help="seconds without a byte after which a connection is given up")]
Tries = Annotated[int, typer.Option(min=1, help="tries without progress before a file is given up")]
Backoff = Annotated[float, typer.Option(min=0, help="seconds of the first pause between tries; doubles up to a minute")]

RATE_UNITS = {"k": 1e3, "m": 1e6, "g": 1e9}

fetch = typer.Typer(
    help="Bring corpora: Common Crawl, Hugging Face datasets, recipes. Resumed, checked, polite.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.add_typer(fetch, name="fetch")


@fetch.command("commoncrawl")
def fetch_commoncrawl(
    crawl: Annotated[str, typer.Option(help="for example CC-MAIN-2024-10")],
    out: Out,
    segments: Annotated[str | None, typer.Option(help="positions in the crawl's list of files: 0-3,7")] = None,
    kind: Annotated[Literal["warc", "wet"], typer.Option(help="raw pages or extracted text")] = "warc",
    limit: Limit = None,
    base_url: BaseUrl = None,
    verify: Verify = False,
    parallel: Parallel = 2,
    rate: Rate = None,
    stall_timeout: Timeout = 60.0,
    tries: Tries = 8,
    backoff: Backoff = 1.0,
) -> None:
    """Fetch WARC or WET files of one Common Crawl crawl."""
    if segments is None and limit is None:
        raise ConfigError("--segments or --limit: a whole crawl is about 90,000 files; say which, as --segments 0-3")
    from ctllm.schemas.recipes import CommonCrawlPart

    part = CommonCrawlPart.model_construct(  # not checked here: the listing names what is wrong by its option
        kind="commoncrawl", name=kind, crawl=crawl, files=kind, segments=segments, size_bytes=None
    )
    manners = _manners(parallel, rate, stall_timeout, tries, backoff)
    paths = _fetch([part], out=out, manners=manners, base_url=base_url, limit=limit, verify=verify)
    _print_next(paths, out=out)


@fetch.command("hf")
def fetch_hf(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="owner/name")],
    files: Annotated[list[str], typer.Option("--files", help="glob of paths, * also matches /; may be repeated")],
    out: Out,
    revision: Annotated[str, typer.Option(help="branch, tag or commit")] = "main",
    limit: Limit = None,
    base_url: Annotated[str | None, typer.Option(help="another hub; also by HF_ENDPOINT")] = None,
    verify: Verify = False,
    parallel: Parallel = 2,
    rate: Rate = None,
    stall_timeout: Timeout = 60.0,
    tries: Tries = 8,
    backoff: Backoff = 1.0,
) -> None:
    """Fetch files of a Hugging Face dataset; the token for gated ones is read from HF_TOKEN."""
    from ctllm.schemas.recipes import HubPart

    part = HubPart.model_construct(  # not checked here, as above
        kind="hf", name="files", dataset=dataset, files=tuple(files), revision=revision, join=None, size_bytes=None
    )
    manners = _manners(parallel, rate, stall_timeout, tries, backoff)
    paths = _fetch([part], out=out, manners=manners, base_url=base_url, limit=limit, verify=verify)
    _print_next(paths, out=out)


@fetch.command("recipe")
def fetch_recipe(
    name: Annotated[str, typer.Argument(metavar="NAME", help="see ctllm fetch list; or a recipe's .yaml")],
    out: Out,
    parts: Annotated[list[str] | None, typer.Option("--part", help="only this part; may be repeated")] = None,
    limit: Limit = None,
    base_url: BaseUrl = None,
    verify: Verify = False,
    parallel: Parallel = 2,
    rate: Rate = None,
    stall_timeout: Timeout = 60.0,
    tries: Tries = 8,
    backoff: Backoff = 1.0,
) -> None:
    """Fetch a corpus by its recipe, and say how to go on."""
    from ctllm.pipelines.fetch.recipes import chosen_parts, read_recipe

    recipe = read_recipe(name)
    chosen = chosen_parts(recipe, parts or [])
    manners = _manners(parallel, rate, stall_timeout, tries, backoff)
    console.print(f"{recipe.title}\nlicence: {recipe.licence}", markup=False)
    for note in (*recipe.licence_notes, *recipe.notes):
        console.print(f"- {note}", markup=False, style="dim")
    paths = _fetch(chosen, out=out, manners=manners, base_url=base_url, limit=limit, verify=verify)
    _print_next(paths, out=out, use=recipe.use, columns={str(ours): theirs for ours, theirs in recipe.columns.items()})


@fetch.command("list")
def list_recipes() -> None:
    """List the recipes: corpus, licence, size, parts."""
    from ctllm.pipelines.fetch.recipes import read_recipe, recipe_names

    for name in recipe_names():
        recipe = read_recipe(name)
        sizes = [part.size_bytes for part in recipe.parts]
        known = sum(size for size in sizes if size is not None)
        size = f"{'' if None not in sizes else 'over '}{known / 1e9:.1f} GB" if known else "unknown"
        gated = ["gated: needs HF_TOKEN"] if recipe.gated else []
        facts = [
            f"size {size}",
            f"licence {recipe.licence}",
            *gated,
            f"parts {', '.join(p.name for p in recipe.parts)}",
        ]
        console.print(f"[bold]{name}[/]  {escape(recipe.title)} ({' '.join(recipe.languages)})")
        console.print(f"    {'; '.join(facts)}", markup=False)


def _manners(parallel: int, rate: str | None, stall_timeout_s: float, tries: int, backoff_s: float) -> "Manners":
    from ctllm.pipelines.fetch.server import Manners

    return Manners(
        parallel=parallel,
        rate_bytes_per_s=_bytes_per_s(rate) if rate else None,
        stall_timeout_s=stall_timeout_s,
        tries=tries,
        backoff_s=backoff_s,
    )


def _bytes_per_s(given: str) -> float:
    number, unit = (given[:-1], given[-1].lower()) if given[-1:].isalpha() else (given, "")
    try:
        value = float(number) * RATE_UNITS.get(unit, 1.0)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf") or (unit and unit not in RATE_UNITS):
        raise ConfigError(f"--rate {given}: write bytes per second as 500k or 20M")
    return value


def _fetch(
    parts: "Sequence[Part]", *, out: str, manners: "Manners", base_url: str | None, limit: int | None, verify: bool
) -> list[str]:
    """Fetches all parts, prints what was done, returns the names of the files, relative to `out`."""
    from ctllm.pipelines.fetch.recipes import fetch_part

    if "://" in out:
        raise ConfigError(f"--out {out}: files are fetched to a local directory; copy them from there")
    paths: list[str] = []
    for part in parts:
        with progress_shown() as progress:
            done = fetch_part(
                part, out=out, manners=manners, base_url=base_url, limit=limit, verify=verify, progress=progress
            )
        _print_summary(done.name, done.files)
        if done.unjoined:
            console.print(f"{done.name}: cut short by --limit, so its parts are not joined; only the first can be read")
        paths += done.paths[:1] if done.unjoined else done.paths
    return paths


def _print_summary(name: str, files: "FetchSummary") -> None:
    damaged = f"; damaged and fetched again: {', '.join(files.damaged)}" if files.damaged else ""
    counts = f"{files.fetched:,} files fetched, {files.skipped:,} were there, {files.size_bytes / 1e6:,.1f} MB"
    console.print(f"{name}: {counts}{damaged}", markup=False)


def _print_next(paths: list[str], *, out: str, use: str = "curate", columns: dict[str, str] | None = None) -> None:
    from ctllm.pipelines.fetch.recipes import next_command

    console.print("next:")
    console.print(next_command(paths, out=out, use=use, columns=columns), markup=False, soft_wrap=True)
