"""What a directory was made from and what is in it. A stage whose manifest matches is not run again."""

from typing import Any, TypeVar

from pydantic import ValidationError

from ctllm.schemas.config import Config
from ctllm.schemas.dedup_index import Comparison
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, file_digest, join, read_json, remove_temporary, walk_files, write_json

SUCCESS = "_SUCCESS"
Manifest = TypeVar("Manifest", bound=Config)


def read_manifest(path: str, model: type[Manifest], *, made_by: str) -> Manifest:
    """The manifest at `path`. Raises InputError naming the first key that is not as this version writes it.

    `made_by` is the command that writes it anew.
    """
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(
            f"{path}: not a manifest of this version ({key}: {first['msg']}); run `{made_by}` again"
        ) from error


class StageManifest(Config):
    """`_SUCCESS` of one stage's directory: written last, so its presence means the stage is whole."""

    stage: str
    fingerprint: str
    """Digest of inputs, config and code: the stage is skipped on a re-run when it is unchanged."""
    files: dict[str, str]
    """File name to sha256."""
    counts: dict[str, int]
    seconds: float = 0.0
    """Wall time; not part of any fingerprint."""


def finish_stage(
    directory: str, *, stage: str, fingerprint: str, counts: dict[str, int], seconds: float
) -> StageManifest:
    """Writes `_SUCCESS` with the digest of every file below `directory`; what killed writers left there is deleted."""
    remove_temporary(directory)
    files = {name: file_digest(join(directory, name)) for name in walk_files(directory) if name != SUCCESS}
    manifest = StageManifest(
        stage=stage, fingerprint=fingerprint, files=files, counts=counts, seconds=round(seconds, 3)
    )
    write_json(join(directory, SUCCESS), manifest.model_dump())
    return manifest


def finished_stage(directory: str, *, fingerprint: str) -> StageManifest | None:
    """The manifest of `directory` if the stage ended there with this fingerprint and all its files are still there."""
    path = join(directory, SUCCESS)
    if not exists(path):
        return None
    manifest = StageManifest.model_validate(read_json(path))
    if manifest.fingerprint != fingerprint:
        return None
    return manifest if all(exists(join(directory, name)) for name in manifest.files) else None


class RunManifest(Config):
    """`RUN/manifest.json`: everything needed to say what a run was and to repeat it."""

    run_id: str
    version: str
    code: str
    """Digest of the source files of `pipelines` and `schemas`."""
    config_digest: str
    config: dict[str, Any]
    inputs: list[dict[str, Any]]
    """url, size_bytes, source and format of every input file, in split order."""
    parts: dict[str, str] = {}
    """Config group to the digest of what the files that it names hold: lists, models."""
    index: str | None = None
    """The dedup index that the run was compared with and is added to."""
    compared: tuple[Comparison, ...] = ()
    """Its snapshots at that time: their documents may stand for those of this run."""
    stages: dict[str, dict[str, Any]]
    """Stage name to counts and seconds, in order."""
