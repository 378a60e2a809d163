"""Recipes: every one is complete, can be fetched, and says how to go on."""

import gzip
import hashlib
import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ctllm.pipelines.fetch.recipes import chosen_parts, fetch_part, next_command, read_recipe, recipe_names
from ctllm.pipelines.fetch.server import Manners
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.recipes import HubPart

COMMIT = "c" * 40


@pytest.fixture
def serve(web: Any) -> Callable[[str, dict[str, bytes]], None]:
    """Makes the server a hub that has one dataset."""

    def publish(dataset: str, files: dict[str, bytes]) -> None:
        api = f"/api/datasets/{dataset}"
        web.files[f"{api}/revision/main"] = json.dumps({"sha": COMMIT}).encode()
        tree = []
        for path, body in files.items():
            lfs = {"oid": hashlib.sha256(body).hexdigest(), "size": len(body)}
            tree.append({"type": "file", "path": path, "oid": "0" * 40, "size": len(body), "lfs": lfs})
            web.files[f"/datasets/{dataset}/resolve/{COMMIT}/{path}"] = body
        web.files[f"{api}/tree/{COMMIT}?recursive=true"] = json.dumps(tree).encode()

    return publish


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_is_complete(name: str) -> None:
    """A recipe has licence, page, parts and a day; it marks what was not verified rather than leaving it open."""
    recipe = read_recipe(name)
    assert recipe.licence
    unknown = [part.name for part in recipe.parts if part.size_bytes is None]
    assert not unknown or any("size" in each for each in recipe.unverified), "unknown sizes are not among `unverified`"
    assert recipe.gated <= any("terms" in note for note in recipe.licence_notes)


def test_the_corpora_of_ct_llm_are_there() -> None:
    """What the authors' model was made of and what users begin with have recipes."""
    names = {"commoncrawl_zh_warc", "commoncrawl_zh_wet", "map_cc", "coig_cqia", "openhermes_preferences", "skypile"}
    assert names <= set(recipe_names())


def test_unknown_names_are_answered_with_known_ones(tmp_path: Path) -> None:
    """An unknown recipe and an unknown part are answered with those that there are; a path is read as a recipe."""
    with pytest.raises(ConfigError, match=r"mapcc: no such recipe; there are .*map_cc"):
        read_recipe("mapcc")
    with pytest.raises(ConfigError, match=r"--part cc: .*zh_baike, zh_papers"):
        chosen_parts(read_recipe("map_cc"), ["cc"])
    with pytest.raises(ConfigError, match="cannot read the config"):
        read_recipe(str(tmp_path / "own.yaml"))
    assert [part.name for part in chosen_parts(read_recipe("map_cc"), ["zh_cc", "zh_baike"])] == ["zh_baike", "zh_cc"]


def test_map_cc_is_joined(
    web: Any, serve: Callable[..., None], manners: Manners, tmp_path: Path, content: bytes
) -> None:
    """The parts of a MAP-CC subset end as one gzip file that can be read."""
    whole = gzip.compress(content)
    parts = {
        "zh_baike.jsonl.gz.part01": whole[:1000],
        "zh_baike.jsonl.gz.part02": whole[1000:],
        "zh_cc.jsonl.gz.part01": b"",
    }
    serve("m-a-p/MAP-CC", parts)
    (part,) = chosen_parts(read_recipe("map_cc"), ["zh_baike"])
    done = fetch_part(part, out=str(tmp_path), manners=manners, base_url=web.base_url)
    assert (done.paths, done.unjoined, done.files.fetched) == (("zh_baike.jsonl.gz",), False, 2)
    assert gzip.decompress((tmp_path / "zh_baike.jsonl.gz").read_bytes()) == content


def test_cut_short_is_not_joined(web: Any, serve: Callable[..., None], manners: Manners, tmp_path: Path) -> None:
    """With a limit below the number of parts nothing is joined, and the summary says so."""
    serve("m-a-p/MAP-CC", {"zh_baike.jsonl.gz.part01": b"1", "zh_baike.jsonl.gz.part02": b"2"})
    (part,) = chosen_parts(read_recipe("map_cc"), ["zh_baike"])
    done = fetch_part(part, out=str(tmp_path), manners=manners, base_url=web.base_url, limit=1)
    assert (done.paths, done.unjoined) == (("zh_baike.jsonl.gz.part01",), True)
    assert not (tmp_path / "zh_baike.jsonl.gz").exists()


def test_part_of_a_hub(web: Any, serve: Callable[..., None], manners: Manners, tmp_path: Path) -> None:
    """Files of a hub keep their path below the directory."""
    serve("o/d", {"data/a.parquet": b"a", "data/b.parquet": b"b", "README.md": b"r"})
    part = HubPart(kind="hf", name="x", dataset="o/d", files=("data/*.parquet",))
    done = fetch_part(part, out=str(tmp_path), manners=manners, base_url=web.base_url)
    assert done.paths == ("data/a.parquet", "data/b.parquet")
    assert (tmp_path / "data/b.parquet").read_bytes() == b"b"
    assert not (tmp_path / "README.md").exists()


def test_next_command_names_inputs_and_columns() -> None:
    """The line to go on with quotes its globs and maps only columns that are called otherwise."""
    paths = [f"data/{number}.jsonl.gz" for number in range(3)]
    line = next_command(paths, out="my data", columns={"text": "content", "id": "id"})
    assert shlex.split(line) == [
        "ctllm", "curate", "configs/curation/recommended.yaml", "--input", "my data/data/*.jsonl.gz",
        "--map", "text=content", "--out", "my data-curated",
    ]  # fmt: skip
    many = next_command(["a.0.parquet", "a.1.parquet", "b/c.parquet"], out="x")
    assert shlex.split(many)[3:7] == ["--input", "x/*.parquet", "--input", "x/b/*.parquet"]
    assert "--map" not in next_command(paths, out="x", columns={"text": "text"})
    assert next_command(["a.jsonl"], out="x", use="conversations").startswith(
        "ctllm conversations --input x/a.jsonl --kind"
    )


@pytest.mark.parametrize("name", recipe_names())
def test_next_command_is_a_command(name: str, tmp_path: Path) -> None:
    """The command line accepts every line that a recipe ends with: it stops at the missing input, not before."""
    from ctllm.cli import curation, training

    app = typer.Typer()
    curation.register(app)
    training.register(app)
    recipe = read_recipe(name)
    line = next_command(["none.jsonl"], out=str(tmp_path), use=recipe.use, columns=dict(recipe.columns))
    result = CliRunner().invoke(app, shlex.split(line)[1:])
    assert "none.jsonl" in str(result.exception), result.output
