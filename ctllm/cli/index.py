"""Commands on the dedup index: index ls, add, withdraw, verify, query."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctllm.cli.console import console, print_table
from ctllm.cli.curation import RunDirectory
from ctllm.schemas.errors import AccountingError, InputError

if TYPE_CHECKING:
    from ctllm.pipelines.dedup.index_query import Match

IndexDirectory = Annotated[str, typer.Argument(metavar="INDEX", help="index directory, the --index of a curate")]

index = typer.Typer(help="The snapshots that `ctllm curate --index` compares with.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.add_typer(index, name="index")


@index.command("ls")
def list_snapshots(path: IndexDirectory) -> None:
    """List the snapshots of an index: documents, how many of them stand for others, what they were compared with."""
    from ctllm.pipelines.dedup.index import read_index

    rows = [
        [str(each.snapshot), each.documents, each.kept, ", ".join(str(one.snapshot) for one in each.compared), each.run]
        for each in read_index(path)
    ]
    print_table(path, ["snapshot", "documents", "kept", "compared with", "run"], rows)


@index.command("add")
def add(path: IndexDirectory, run: RunDirectory) -> None:
    """Add a finished run to an index as it is, without comparing it; the index is made if it is not there."""
    from ctllm.pipelines.dedup.index import add_snapshot
    from ctllm.pipelines.run_directory import read_run

    entry = add_snapshot(path, read_run(run))
    console.print(f"snapshot {entry.snapshot}: {entry.kept:,} of {entry.documents:,} documents", markup=False)


@index.command("withdraw")
def withdraw(path: IndexDirectory, snapshot: Annotated[int, typer.Argument(help="its number")]) -> None:
    """Take a snapshot out of an index: nothing is compared with it any more. Its run stays."""
    from ctllm.pipelines.dedup.index import withdraw_snapshot

    for each in withdraw_snapshot(path, snapshot):
        console.print(
            f"snapshot {each.snapshot} has lost copies to it; to have these back, run the same `ctllm curate` "
            f"--index for {each.run} again (nothing is measured again)",
            markup=False,
            soft_wrap=True,
        )
    console.print(f"snapshot {snapshot} withdrawn", markup=False)


@index.command("verify")
def verify(path: IndexDirectory) -> None:
    """Read every file of an index and say which snapshots are as they were; exit code 7 if one is not."""
    from ctllm.pipelines.dedup.index import check_snapshots, read_index
    from ctllm.pipelines.options import RunnerOptions

    rows: list[list[object]] = []
    damage: AccountingError | None = None
    for each in read_index(path):
        state = "as it was"
        try:
            check_snapshots([each], options=RunnerOptions())
        except AccountingError as error:
            state, damage = str(error), error
        rows.append([str(each.snapshot), each.documents, state])
    print_table(path, ["snapshot", "documents", "state"], rows)
    if damage:
        raise damage


@index.command("query")
def query(
    path: IndexDirectory,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a text, UTF-8")],
    code: Annotated[bool, typer.Option("--code", help="it is source code: operators count")] = False,
) -> None:
    """Say whether a text is in an index already: the kept documents that it is a copy of, most similar first.

    A Jaccard with ± (one standard error) is estimated from sketches; one without it is that of all shingles.
    """
    from ctllm.pipelines.dedup.index_query import query_index

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read as UTF-8 text ({error})") from error
    matches = query_index(path, text, lane="code" if code else "zh")
    if not matches:
        console.print("not in the index")
        return
    columns = ["snapshot", "kind", "jaccard", "containment", "source", "document", "text"]
    rows = [
        [
            str(each.snapshot),
            each.kind,
            _with_error(each),
            each.containment,
            each.source,
            each.url or each.id,
            each.excerpt,
        ]
        for each in matches
    ]
    print_table("copies in the index", columns, rows)


def _with_error(match: "Match") -> str:
    """The Jaccard, with its standard error where it is estimated from sketches."""
    error = f" ± {match.standard_error:.3f}" if match.standard_error else ""
    return f"{match.jaccard:.3f}{error}"
