"""Commands on corpora: curate, decide, why, pairs, stats, report."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ctllm.cli.console import console, print_table, progress_shown
from ctllm.cli.explanations import print_comparison, print_explanation, print_json, print_pairs, print_what_if
from ctllm.cli.versions import building, located
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.scratch import scratch_directory

Config = Annotated[Path, typer.Argument(help="YAML file, for example configs/curation/recommended.yaml")]
RunDirectory = Annotated[
    str, typer.Argument(metavar="RUN", parser=located, help="run directory, the --out of a curate, or name@version")
]
Overrides = Annotated[list[str] | None, typer.Option("--set", help="a.b=value, overrides one key; may be repeated")]
Runner = Annotated[str, typer.Option(help="direct | processes | portable | flink | dataflow")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")]
Workers = Annotated[int | None, typer.Option(help="threads (direct) or processes (others); default: all cores")]
ShuffleMode = Annotated[
    str, typer.Option(help="gbk | files | auto: how dedup groups; files bounds the memory, the result is the same")
]
MaxPairs = Annotated[
    int | None,
    typer.Option("--max-pairs-in-memory", min=0, help="of more pairs of copies survivors are chosen by component"),
]
_BEAM_STARTS = ("-", "@")
BeamArgs = Annotated[
    list[str] | None, typer.Argument(metavar="[-- BEAM OPTIONS]", help="Beam options or @FILE of them, after --")
]


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    for command in (curate, decide, why, pairs, stats, report):
        app.command()(command)


def runner_options(
    runner: str,
    workers: int | None,
    beam_args: list[str] | None,
    **others: Any,  # noqa: ANN401 - of RunnerOptions
) -> Any:  # noqa: ANN401 - RunnerOptions
    """The Beam options of a command, `others` that are not None too. Raises ConfigError for an unknown value."""
    from ctllm.pipelines.options import RunnerOptions, read_flags

    if beam_args and not beam_args[0].startswith(_BEAM_STARTS):
        raise ConfigError(f"{beam_args[0]}: no option of this command, and Beam's begin with --")
    chosen = {name: value for name, value in {"workers": workers or None, **others}.items() if value is not None}
    return RunnerOptions(runner=runner, beam_args=read_flags(beam_args or ()), **chosen)  # type: ignore[arg-type]


def further_inputs(beam_args: list[str] | None) -> tuple[list[str], list[str]]:
    """Positional arguments before the first Beam option, and the rest: a shell expands `--input *.gz` to such ones."""
    given = beam_args or []
    first_option = next((at for at, each in enumerate(given) if each.startswith(_BEAM_STARTS)), len(given))
    return [located(each) for each in given[:first_option]], given[first_option:]


@contextmanager
def started_runner(
    runner: str,
    workers: int | None,
    beam_args: list[str] | None,
    **others: Any,  # noqa: ANN401 - of RunnerOptions
) -> Iterator[Any]:
    """The same, with the job server and the workers that they need started, and stopped at the end."""
    from ctllm.pipelines.portable_services import portable_services

    with portable_services(runner_options(runner, workers, beam_args, **others)) as options:
        yield options


def column_overrides(columns: str | None) -> list[str]:
    """`text=content,url=link` as overrides of `sources.text_field` and so on. Raises ConfigError for unknown names."""
    from ctllm.schemas.curation_config import SourceConfig

    known = [name.removesuffix("_field") for name in SourceConfig.model_fields if name.endswith("_field")]
    overrides = []
    for pair in columns.split(",") if columns else []:
        name, separator, column = (part.strip() for part in pair.partition("="))
        if not separator or not column:
            raise ConfigError(f"--map {columns}: write it as name=column,name=column; names are {', '.join(known)}")
        if name not in known:
            raise ConfigError(f"--map {columns}: no field {name!r} to fill; names are {', '.join(known)}")
        overrides.append(f"sources.{name}_field={json.dumps(column)}")  # quoted: a column may be called 1 or yes
    return overrides


def curate(
    config: Config,
    inputs: Annotated[
        list[str],
        typer.Option(
            "--input", parser=located, help="file, glob, directory, URL or name@version; several, or repeated"
        ),
    ],
    out: Annotated[
        str | None, typer.Option(help="run directory, continued if it is there; or name@version to publish")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option("--map", help="text=content,url=meta.link: what JSON keys or Parquet columns the source has"),
    ] = None,
    overrides: Overrides = None,
    runner: Runner = "direct",
    workers: Workers = None,
    fresh: Annotated[bool, typer.Option(help="delete what an earlier run left in --out")] = False,
    shuffle: ShuffleMode = "auto",
    max_pairs: MaxPairs = None,
    index: Annotated[
        str | None,
        typer.Option(help="dedup index: copies of what its snapshots kept are removed, and this run is added to it"),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only forecast amounts, from a sample")] = False,
    sample: Annotated[float, typer.Option(min=1e-6, max=1, help="share of the input that --dry-run curates")] = 0.01,
    prices: Annotated[
        str | None,
        typer.Option(help="core_hour=…,disk_gb=…,shuffle_gb=…: what --dry-run multiplies with, in any currency"),
    ] = None,
    beam_args: BeamArgs = None,
) -> None:
    """Turn raw sources into curated shards, with a verdict for every document."""
    from ctllm.dashboards.report import write_report
    from ctllm.pipelines.curate import curate as run_curation
    from ctllm.schemas.config import read_config
    from ctllm.schemas.curation_config import CurationConfig

    settings = read_config(config, CurationConfig, overrides=[*column_overrides(columns), *(overrides or [])])
    more, beam_args = further_inputs(beam_args)
    inputs = [*inputs, *more]
    if dry_run:
        _print_forecast(settings, inputs, share=sample, prices=parse_prices(prices))
        return
    if out is None:
        raise ConfigError("--out: is needed; only --dry-run goes without")
    running = started_runner(runner, workers, beam_args, shuffle=shuffle, max_pairs_in_memory=max_pairs)
    made_from = {f"input {number}": each for number, each in enumerate(inputs)} | {"index": index}
    with building(out, settings=settings, made_from=made_from) as run:
        with running as options, progress_shown() as progress:
            summary = run_curation(
                settings, inputs=inputs, out=run, options=options, fresh=fresh, index=index, progress=progress
            )
        page = write_report(run)
        print_summary(summary)
        console.print(f"report: {page}", markup=False)


def parse_prices(given: str | None) -> dict[str, float]:
    """`core_hour=0.05,disk_gb=0.02` as a price for each unit. Raises ConfigError for another unit or no number."""
    prices: dict[str, float] = {}
    for pair in given.split(",") if given else []:
        unit, _, price = pair.partition("=")
        if unit not in PRICED:
            raise ConfigError(f"--prices {given}: no unit {unit!r}; units are {', '.join(PRICED)}")
        try:
            prices[unit] = float(price)
        except ValueError:
            raise ConfigError(f"--prices {given}: {price!r} is no number") from None
    return prices


PRICED = {
    "core_hour": ("CPU seconds", 1 / 3600),
    "disk_gb": ("bytes on disk", 1e-9),
    "shuffle_gb": ("bytes shuffled", 1e-9),
}
"""Unit of a price to the total that it is paid for, and the factor between them."""


def _print_forecast(settings: Any, inputs: list[str], *, share: float, prices: dict[str, float]) -> None:  # noqa: ANN401 - CurationConfig
    from ctllm.pipelines.forecast import forecast

    with scratch_directory("ctllm-dry-run-") as scratch, progress_shown() as progress:
        found = forecast(
            settings,
            inputs=inputs,
            share=share,
            scratch=scratch,
            progress=progress,
            loading_seconds=time.process_time(),
        )
    rows = [[name, *map(round, (each.value, each.low, each.high))] for name, each in found.totals.items()]
    for unit, price in prices.items():
        total, factor = PRICED[unit]
        cost = found.totals[total].scaled(factor * price)
        rows.append([f"cost of {total}", *(round(value, 2) for value in (cost.value, cost.low, cost.high))])
    title = f"forecast from {found.sampled_share:.2%} of the input in {found.pieces} pieces"
    print_table(title, ["", "about", "from", "to"], rows)


def print_summary(summary: Any) -> None:  # noqa: ANN401 - RunSummary, imported late
    """The closing screen of a curation."""
    rows = [
        [
            lane,
            each.documents,
            each.kept_documents,
            _percent(each.kept_documents, each.documents),
            each.kept_chars,
            each.kept_tokens,
        ]
        for lane, each in summary.lanes.items()
    ]
    print_table("kept", ["lane", "documents", "kept", "share", "characters", "tokens (estimate)"], rows)
    accounts = summary.accounts
    skipped = f"; already finished: {', '.join(summary.skipped)}" if summary.skipped else ""
    console.print(
        f"read {accounts['read']:,} = kept {accounts['kept']:,} + removed {accounts['removed']:,} "
        f"+ failed {accounts['failed']:,} in {summary.seconds:.1f} s{skipped}"
    )


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "-"


def decide(
    run: RunDirectory,
    overrides: Overrides = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would be kept")] = False,
    as_json: Json = False,
    workers: Workers = None,
    shuffle: ShuffleMode = "auto",
    max_pairs: MaxPairs = None,
) -> None:
    """Apply changed thresholds to a run: seconds, because nothing is measured again."""
    from ctllm.dashboards.report import write_report
    from ctllm.pipelines.curate import redecide
    from ctllm.pipelines.what_if import what_if
    from ctllm.schemas.config import parse_override

    changes = dict(map(parse_override, overrides or []))
    if dry_run:
        found = what_if(run, overrides=changes)
        if as_json:
            print_json(found)
        else:
            print_what_if(found)
        return
    if as_json:
        raise ConfigError("--json: goes with --dry-run; for a run that is decided use `ctllm stats --json`")
    options = runner_options("direct", workers, None, shuffle=shuffle, max_pairs_in_memory=max_pairs)
    with progress_shown() as progress:
        summary = redecide(run, overrides=changes, options=options, progress=progress)
    write_report(run)
    print_summary(summary)


def why(
    run: RunDirectory, document: Annotated[str, typer.Argument(metavar="ID|URL|KEY")], as_json: Json = False
) -> None:
    """Explain one document: signals, every rule with its bound and what it costs, copies, what was changed."""
    from ctllm.pipelines.why import explain
    from ctllm.schemas.signals import SIGNAL_GROUPS

    found = explain(run, document)
    if as_json:
        print_json(found)
    else:
        print_explanation(found, SIGNAL_GROUPS)


def pairs(
    run: RunDirectory,
    min_jaccard: Annotated[float, typer.Option(min=0, max=1, help="least similarity shown")] = 0.0,
    max_jaccard: Annotated[float, typer.Option(min=0, max=1, help="largest similarity shown")] = 1.0,
    source: Annotated[str | None, typer.Option(help="only pairs with a document of this source")] = None,
    limit: Annotated[int, typer.Option(min=1, help="number of pairs, the least similar first")] = 10,
    as_json: Json = False,
) -> None:
    """Show verified pairs of copies side by side, with the passages that differ."""
    from ctllm.pipelines.pairs import pairs_of_texts

    found = pairs_of_texts(run, min_jaccard=min_jaccard, max_jaccard=max_jaccard, source=source, limit=limit)
    if as_json:
        print_json({"pairs": found})
    else:
        print_pairs(found)


def stats(
    run: RunDirectory,
    other: Annotated[str | None, typer.Argument(metavar="[RUN2]", parser=located)] = None,
    as_json: Json = False,
) -> None:
    """Print the funnel of a run: documents by source, lane, outcome and first reason; two runs side by side."""
    from ctllm.pipelines.comparison import compare

    found = compare([run] if other is None else [run, other])
    if as_json:
        print_json(found)
    else:
        print_comparison(found)


def report(
    run: RunDirectory,
    trainings: Annotated[
        list[str] | None,
        typer.Option("--training", parser=located, help="training run to draw as well; may be repeated"),
    ] = None,
) -> None:
    """Write RUN/report.html: the data card, one file without server or network."""
    from ctllm.dashboards.report import write_report

    console.print(write_report(run, trainings or ()), markup=False)
