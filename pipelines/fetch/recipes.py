"""Recipes put to work: found by name, fetched part by part, and the command to go on with."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ctllm.pipelines.fetch import commoncrawl, hub
from ctllm.pipelines.fetch.fetch import FetchSummary, fetch_files
from ctllm.pipelines.fetch.joining import join_parts
from ctllm.pipelines.fetch.remote import RemoteFile, pick_positions
from ctllm.pipelines.fetch.server import Manners, Server
from ctllm.pipelines.sources.formats import COMPRESSION_SUFFIXES
from ctllm.schemas.config import read_config
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.recipes import CommonCrawlPart, Part, Recipe

DIRECTORY = "configs/recipes"


@dataclass(frozen=True)
class PartSummary:
    """One part of a recipe after its fetch; `unjoined` are parts of a file that --limit has cut short."""

    name: str
    files: FetchSummary
    paths: tuple[str, ...]
    unjoined: bool = False


def recipe_names() -> list[str]:
    """Names of all recipes that come with the package, sorted."""
    room = resources.files("ctllm.configs").joinpath("recipes")
    return sorted(entry.name.removesuffix(".yaml") for entry in room.iterdir() if entry.name.endswith(".yaml"))


def read_recipe(name: str) -> Recipe:
    """The recipe called `name`, or the one in the YAML file of that path. Raises ConfigError."""
    if name.endswith((".yaml", ".yml")):
        return read_config(name, Recipe)
    if name not in recipe_names():
        raise ConfigError(f"{name}: no such recipe; there are {', '.join(recipe_names())}, or give the path of a .yaml")
    return read_config(f"{DIRECTORY}/{name}.yaml", Recipe)


def chosen_parts(recipe: Recipe, names: Sequence[str]) -> list[Part]:
    """The parts called `names`, all for none. Raises ConfigError for a name that the recipe does not have."""
    known = [part.name for part in recipe.parts]
    for name in names:
        if name not in known:
            raise ConfigError(f"--part {name}: not in this recipe; its parts are {', '.join(known)}")
    return [part for part in recipe.parts if not names or part.name in names]


def fetch_part(
    part: Part,
    *,
    out: str,
    manners: Manners,
    base_url: str | None = None,
    limit: int | None = None,
    verify: bool = False,
    progress: Progress = silent,
) -> PartSummary:
    """Lists, fetches and, where the recipe says so, joins one part. Raises what listing and fetching raise."""
    server = commoncrawl.server(base_url) if isinstance(part, CommonCrawlPart) else hub.server(base_url)
    listed = _listed(part, server, manners)
    files = listed[:limit]
    summary = fetch_files(files, server=server, out=out, manners=manners, verify=verify, progress=progress)
    names = [file.name for file in files]
    whole = getattr(part, "join", None)
    if whole is not None and len(files) == len(listed):
        join_parts(names, whole=whole, out=out, progress=progress)
        names = [whole]
    return PartSummary(part.name, summary, tuple(names), unjoined=whole is not None and names != [whole])


def _listed(part: Part, server: Server, manners: Manners) -> list[RemoteFile]:
    with manners.client() as client:
        if isinstance(part, CommonCrawlPart):
            positions = pick_positions(part.segments, option="segments") if part.segments else None
            return commoncrawl.list_files(
                client, server, crawl=part.crawl, kind=part.files, positions=positions, manners=manners
            )
        return hub.list_files(
            client, server, dataset=part.dataset, patterns=part.files, revision=part.revision, manners=manners
        )


def next_command(paths: Sequence[str], *, out: str, use: str = "curate", columns: dict[str, str] | None = None) -> str:
    """The shell line that reads `paths`, names below `out`: few by name, many by globs."""
    inputs = [str(Path(out) / pattern) for pattern in _patterns(paths)]
    given = " ".join(f"--input {shlex.quote(each)}" for each in inputs)
    if use != "curate":
        return f"ctllm conversations {given} --kind {use} --out {shlex.quote(f'{out}-{use}')}"
    other = {ours: theirs for ours, theirs in (columns or {}).items() if ours != theirs}
    mapped = f" --map {shlex.quote(','.join(f'{ours}={theirs}' for ours, theirs in other.items()))}" if other else ""
    return f"ctllm curate configs/curation/recommended.yaml {given}{mapped} --out {shlex.quote(f'{out}-curated')}"


def _patterns(paths: Sequence[str]) -> list[str]:
    """`paths` themselves while they are few, else one glob for each directory and ending."""
    if len(paths) <= 2:
        return list(paths)
    return sorted({str(Path(path).with_name(f"*{_ending(path)}")) for path in paths})


def _ending(path: str) -> str:
    """`.parquet` of a.1.parquet, `.jsonl.gz` of a.jsonl.gz."""
    suffixes = Path(path).suffixes
    return "".join(suffixes[-2:] if path.endswith(COMPRESSION_SUFFIXES) else suffixes[-1:])
