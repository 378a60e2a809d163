"""Commands on data versions: runs ls, show, diff, publish, adopt, accept, reject, withdraw, trace."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ctllm.cli.console import console, print_table
from ctllm.cli.explanations import print_json
from ctllm.cli.versions import located, origin_of
from ctllm.schemas.contents import find_contents, foreign_contents, read_contents
from ctllm.schemas.data_version import Contents, DataVersion, StateChange, parse_reference
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import absolute_path
from ctllm.schemas.registry import Registry, now

if TYPE_CHECKING:
    from ctllm.schemas.data_version import State

Reference = Annotated[str, typer.Argument(metavar="NAME@VERSION", help="a version")]
Either = Annotated[str, typer.Argument(metavar="NAME@VERSION|DIR", help="a version, or the directory of a stage")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object instead of tables")]
Reasons = Annotated[list[str] | None, typer.Option("--reason", help="kept with the version; may be repeated")]
MadeFrom = Annotated[
    list[str] | None, typer.Option("--from", help="role=path or role=name@version: what it was made from")
]
MAX_DEPTH = 3  # runs/m3/pretrain is two below runs

runs = typer.Typer(
    help="Data versions: what there is, what it was made from, what was made from it.", no_args_is_help=True
)


def register(app: typer.Typer) -> None:
    """Adds the commands of this module to the command line."""
    app.add_typer(runs, name="runs")


@runs.command("ls")
def list_versions(
    directories: Annotated[
        list[str] | None, typer.Argument(metavar="[DIR...]", help="also list what lies unregistered below these")
    ] = None,
    name: Annotated[str | None, typer.Option(help="only versions of this name")] = None,
    as_json: Json = False,
) -> None:
    """List versions with state, size, counts and date, and unregistered results of stages below directories."""
    registry = Registry.default()
    versions = registry.versions(name)
    known = {each.path for each in versions}
    others = [found for each in directories or [] for found in _unregistered(Path(each), known)]
    if as_json:
        unregistered = [{"path": path, "contents": contents.model_dump(mode="json")} for path, contents in others]
        print_json({"versions": [each.model_dump(mode="json") for each in versions], "unregistered": unregistered})
        return
    accepted = {found.reference for each in {v.name for v in versions} if (found := registry.accepted(each))}
    rows = [
        [each.reference, each.contents.kind, f"{each.state}{' ←' if each.reference in accepted else ''}",
         *_sizes(each.contents), each.published_at[:16].replace("T", " ")]
        for each in versions
    ]  # fmt: skip
    rows += [[path, found.kind, "-", *_sizes(found), ""] for path, found in others]
    columns = ["version", "kind", "state", "MB", "files", "counts", "published (UTC)"]
    print_table(str(registry.root), columns, rows)


def _unregistered(root: Path, known: set[str], depth: int = 0) -> list[tuple[str, Contents]]:
    found = find_contents(str(root)) if root.is_dir() else None
    if found is not None:
        path = absolute_path(str(root))
        return [] if path in known else [(path, found)]
    if depth == MAX_DEPTH or not root.is_dir():
        return []
    below = sorted(each for each in root.iterdir() if each.is_dir() and not each.name.startswith("."))
    return [each for directory in below for each in _unregistered(directory, known, depth + 1)]


def _sizes(contents: Contents) -> list[object]:
    return [contents.size_bytes / 1e6, contents.num_files, _spelt(contents.counts)]


def _spelt(counts: dict[str, int | float]) -> str:
    return ", ".join(
        f"{value:,}" + f" {name}" if isinstance(value, int) else f"{name} {value:.4g}" for name, value in counts.items()
    )


@runs.command("show")
def show(reference: Reference, as_json: Json = False) -> None:
    """Show a version: manifest, history, what it was made from, the funnel, what was made from it."""
    registry = Registry.default()
    version = registry.find(reference)
    made = registry.dependents(version)
    if as_json:
        print_json(version.model_dump(mode="json") | {"made_from_it": [each.reference for each in made]})
        return
    contents = version.contents
    rows: list[tuple[str, object]] = [
        ("kind", contents.kind),
        ("path", version.path),
        ("fingerprint", contents.fingerprint),
        ("recipe", version.recipe or "not known: registered after it was made"),
        ("size", f"{contents.size_bytes / 1e6:,.2f} MB in {contents.num_files:,} files"),
        *((f"count: {name}", value) for name, value in contents.counts.items()),
        *((f"made from: {each.role}", f"{each.path}  {each.fingerprint or ''}") for each in version.made_from),
        *(("input", each) for each in contents.inputs),
        *(("made from it", f"{each.reference} ({each.contents.kind}, {each.state})") for each in made),
        *((each.state, f"{each.at[:19]}  {'; '.join(each.reasons)}".rstrip()) for each in version.history),
    ]  # fmt: skip
    print_table(reference, ["", ""], [[name, str(value)] for name, value in rows])
    if contents.kind == "curated":
        _print_funnel(version)


def _print_funnel(version: DataVersion) -> None:
    from ctllm.cli.explanations import print_comparison
    from ctllm.pipelines.comparison import compare

    print_comparison(compare([located(version.reference)]))


@runs.command("diff")
def diff(first: Either, second: Either, as_json: Json = False) -> None:
    """Show what differs between two versions or directories: fingerprint, counts, inputs, config keys."""
    registry = Registry.default()
    sides = [_described(each, registry) for each in (first, second)]
    keys = sorted(sides[0].keys() | sides[1].keys(), key=lambda key: (key.count(": "), key))
    rows = [[key, *(side.get(key, "-") for side in sides)] for key in keys if sides[0].get(key) != sides[1].get(key)]
    if as_json:
        print_json({"differs": {key: [old, new] for key, old, new in rows}})
    elif rows:
        print_table("what differs", ["", first, second], [[str(cell) for cell in row] for row in rows])
    else:
        console.print("the same kind, contents, settings and inputs", markup=False)


def _described(text: str, registry: Registry) -> dict[str, Any]:
    version = registry.find(text) if parse_reference(text) else None
    contents = version.contents if version else read_contents(text)
    inputs = contents.inputs or tuple(origin.path for origin in version.made_from) if version else contents.inputs
    return {
        "kind": contents.kind,
        "fingerprint": contents.fingerprint,
        "size_bytes": contents.size_bytes,
        **{f"count: {name}": value for name, value in contents.counts.items()},
        **{f"config: {key}": value for key, value in _leaves(contents.config)},
        **{f"input: {each}": "there" for each in inputs},
    }


def _leaves(value: Any, prefix: str = "") -> list[tuple[str, Any]]:  # noqa: ANN401 - whatever a config holds
    if not isinstance(value, dict):
        return [(prefix, value)]
    return [leaf for key, inner in value.items() for leaf in _leaves(inner, f"{prefix}.{key}" if prefix else str(key))]


@runs.command("publish")
def publish(
    reference: Reference,
    directory: Annotated[str, typer.Argument(metavar="DIR", help="what a finished stage of ours wrote")],
    made_from: MadeFrom = None,
    announce: Annotated[
        bool, typer.Option("--announce", help="tell the server at PREFECT_API_URL, which then trains on it")
    ] = False,
) -> None:
    """Register a stage's directory under a name and version; it stays where it is and must not change any more."""
    version = _register(reference, read_contents(directory), directory, made_from, is_adopted=False)
    if announce:
        from ctllm.flows.announcement import announce as tell
        from ctllm.flows.announcement import flush

        if not os.environ.get("PREFECT_API_URL"):
            raise ConfigError("--announce: PREFECT_API_URL is not set; `ctllm up` prints it")
        tell(version)
        flush()


@runs.command("adopt")
def adopt(
    reference: Reference,
    path: Annotated[str, typer.Argument(metavar="PATH", help="file, directory or URL that others made")],
    made_from: MadeFrom = None,
) -> None:
    """Register data that were made elsewhere; they are never deleted by us."""
    _register(reference, find_contents(path) or foreign_contents(path), path, made_from, is_adopted=True)


def _register(
    reference: str, contents: Contents, path: str, made_from: list[str] | None, *, is_adopted: bool
) -> DataVersion:
    registry = Registry.default()
    parsed = parse_reference(reference)
    if parsed is None:
        raise ConfigError(f"{reference}: write it as name@version, for example zh-web@2026-11")
    if not contents.is_whole:
        raise ConfigError(f"{path}: has steps to go; it is published when all are made")
    origins = [origin_of(*_role(each), registry) for each in made_from or []]
    version = DataVersion(
        name=parsed[0], version=parsed[1], path=absolute_path(path), is_adopted=is_adopted, contents=contents,
        made_from=tuple(origins), history=(StateChange(state="published", at=now()),),
    )  # fmt: skip
    registry.add(version)
    console.print(f"{reference}: {contents.kind}, {contents.fingerprint} at {version.path}", markup=False)
    return version


def _role(text: str) -> tuple[str, str]:
    role, separator, path = text.partition("=")
    if not separator or not path:
        raise ConfigError(f"--from {text}: write it as role=path or role=name@version")
    return role, path


@runs.command("accept")
def accept(reference: Reference, reason: Reasons = None) -> None:
    """Make a version the accepted one of its name: what later ones are compared with."""
    _set_state(reference, "accepted", reason)


@runs.command("reject")
def reject(reference: Reference, reason: Reasons = None) -> None:
    """Mark a version as rejected; the one accepted before is the accepted one again."""
    _set_state(reference, "rejected", reason)


@runs.command("withdraw")
def withdraw(reference: Reference, reason: Reasons = None) -> None:
    """Mark a version as not to be used any more; every command refuses it from here on."""
    _set_state(reference, "withdrawn", reason)


def _set_state(reference: str, state: "State", reasons: list[str] | None) -> None:
    registry = Registry.default()
    version = registry.set_state(reference, state, reasons=reasons or [])
    accepted = registry.accepted(version.name)
    console.print(
        f"{reference}: {state}; accepted of {version.name}: {accepted.reference if accepted else 'none'}", markup=False
    )
    for each in registry.dependents(version) if state == "withdrawn" else []:
        console.print(f"made from it: {each.reference} ({each.contents.kind}, {each.state})", markup=False)


@runs.command("trace")
def trace(document: Annotated[str, typer.Argument(metavar="ID|URL|KEY")], as_json: Json = False) -> None:
    """Follow a document through all versions: kept or removed, tokenized, the steps and checkpoints that saw it."""
    from ctllm.flows.lineage import trace_versions

    found = trace_versions(Registry.default(), document)
    if as_json:
        print_json({"sightings": found})
        return
    columns = ["version", "kind", "outcome", "", "checkpoints that saw it"]
    rows = [[each.reference, each.kind, each.outcome, each.detail, ", ".join(each.checkpoints)] for each in found]
    print_table(document, columns, rows)
