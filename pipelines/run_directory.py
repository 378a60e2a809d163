"""A run's directory: which stages ended there, and whether what is there belongs to this config and these inputs."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fsspec

import ctllm
from ctllm.pipelines.decontaminate.benchmark_files import benchmarks_digest
from ctllm.pipelines.quality import quality_digest
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.sources.split import Split
from ctllm.pipelines.url_lists import shared_url_lists
from ctllm.schemas.config import Config, overridden
from ctllm.schemas.curation_config import CHOOSING, COMPARING, CurationConfig, DecontaminationConfig
from ctllm.schemas.dedup_index import Comparison
from ctllm.schemas.errors import ConfigError, InputError, OutputError
from ctllm.schemas.files import exists, join, read_json, remove_tree, write_json
from ctllm.schemas.manifest import RunManifest, finish_stage, finished_stage

STAGES: dict[str, tuple[str, ...]] = {
    "measure": ("documents", "failures", "contamination", "signals", "bands", "lines", "repeats"),
    "pairs": ("pairs",),
    "lines": ("common_lines",),
    "decide": ("duplicates", "cuts", "verdicts"),
    "publish": ("curated", "stats"),
}
"""Stage to the directories it writes, in the order of the data's way. Each of them holds a `_SUCCESS`."""

PARTS: dict[str, Callable[[Any], str]] = {
    "vocabularies": lambda config: SpamVocabulary(config).digest(),
    "url_lists": lambda config: shared_url_lists(config).digest(),
    "quality": quality_digest,
    "decontamination": benchmarks_digest,
}
"""Config groups whose files measuring reads beside the sources, and how their content is told apart."""

FINGERPRINT = ".fingerprint"
"""In the first directory of a stage: what its files, finished or not, belong to."""

EDGE_BYTES = 1 << 20
GUARD = "guard."
"""Keys that change what a run refuses to go on with, not what it makes: a stopped run continues under others."""


@dataclass(frozen=True)
class Run:
    """One run directory, opened for the config and inputs of `manifest`."""

    path: str
    config: CurationConfig
    manifest: RunManifest

    def __getstate__(self) -> dict[str, Any]:
        """What workers get: without the list of inputs, which would make the graph of a job grow with it."""
        return {**self.__dict__, "manifest": self.manifest.model_copy(update={"inputs": []})}

    def directory(self, name: str) -> str:
        """`RUN/name`."""
        return join(self.path, name)

    def part(self, name: str, split: int) -> str:
        """The file of one input split in `RUN/name`: `part-00000.parquet`."""
        return join(self.path, name, f"part-{split:05d}.parquet")

    def fingerprint(self, stage: str) -> str:
        """Changes when the stage's result can: inputs, code, and every config group read up to this stage."""
        config = self.config
        groups: dict[str, Any] = {
            "measure": [
                config.snapshot,
                config.sources.digest(),
                config.language.digest(),
                config.dedup.measured.digest(),
                config.lines.measured(),
                config.rules.asks_for_ctllm,
                *(_measured(config, group).digest() for group in PARTS),
                self.manifest.parts,
                self.manifest.inputs,
                self.manifest.code,
            ],
            "pairs": [
                [each.id for each in self.manifest.compared],
                config.dedup.threshold,
                *(getattr(config.dedup, key) for key in COMPARING),
            ],
            "lines": [config.lines.digest()],
            "decide": [
                config.rules.digest(),
                config.guard.digest(),
                config.decontamination.action,
                *(getattr(config.dedup, key) for key in CHOOSING),
            ],
            "publish": [config.privacy.digest()],
        }
        upstream = list(groups)[: list(groups).index(stage) + 1]
        canonical = json.dumps([groups[name] for name in upstream], sort_keys=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]

    def finished(self, stage: str) -> bool:
        """Whether `stage` ended here with the present fingerprint and all its files are still there."""
        fingerprint = self.fingerprint(stage)
        return all(finished_stage(self.directory(name), fingerprint=fingerprint) for name in STAGES[stage])

    def begin(self, stage: str) -> None:
        """Keeps what an interrupted attempt at the same result left; deletes anything else the stage has to write."""
        marker = join(self.directory(STAGES[stage][0]), FINGERPRINT)
        if exists(marker) and read_json(marker) == self.fingerprint(stage):
            return
        self.clear(stage)
        write_json(marker, self.fingerprint(stage))

    def clear(self, stage: str) -> None:
        """Removes what `stage` and the stages after it wrote."""
        names = list(STAGES)
        for later in names[names.index(stage) :]:
            for directory in STAGES[later]:
                remove_tree(self.directory(directory))

    def finish(self, stage: str, *, counts: dict[str, int], seconds: float) -> "Run":
        """Writes the stage's `_SUCCESS` files and notes it in the run's manifest."""
        for directory in STAGES[stage][::-1]:
            finish_stage(
                self.directory(directory),
                stage=stage,
                fingerprint=self.fingerprint(stage),
                counts=counts,
                seconds=seconds,
            )
        stages = {**self.manifest.stages, stage: {"counts": counts, "seconds": round(seconds, 3)}}
        manifest = self.manifest.model_copy(update={"stages": stages})
        run = Run(self.path, self.config, manifest)
        run.save()
        return run

    def save(self) -> None:
        """Writes `manifest.json`."""
        write_json(self.directory("manifest.json"), self.manifest.model_dump(mode="json"))

    def with_config(self, config: CurationConfig) -> "Run":
        """The same run under another config: stages that the change touches count as not finished."""
        update = {
            "run_id": f"{config.name}@{config.digest()}",
            "config_digest": config.digest(),
            "config": config.model_dump(mode="json"),
            "parts": _digest_parts(config, earlier=self),
        }
        return Run(self.path, config, self.manifest.model_copy(update=update))


def open_run(
    path: str,
    config: CurationConfig,
    splits: Sequence[Split],
    *,
    fresh: bool = False,
    index: str | None = None,
    compared: Sequence[Comparison] = (),
) -> Run:
    """The run in `path`, new or to be continued, `compared` with snapshots of `index`.

    Raises OutputError when `path` holds a run of another config, inputs or index, naming what differs.
    """
    manifest = RunManifest(
        run_id=f"{config.name}@{config.digest()}",
        version=ctllm.__version__,
        code=code_digest(),
        config_digest=config.digest(),
        config=config.model_dump(mode="json"),
        inputs=_describe_inputs(splits),
        parts=_digest_parts(config),
        index=index,
        compared=tuple(compared),
        stages={},
    )
    run = Run(path, config, manifest)
    if fresh:
        run.clear("measure")
    elif exists(run.directory("manifest.json")):
        earlier = read_run(path)
        _refuse_if_foreign(run, earlier)
        if earlier.manifest.code == manifest.code:
            return Run(path, config, manifest.model_copy(update={"stages": earlier.manifest.stages}))
        run.clear("measure")
    elif any(exists(run.directory(name)) for name in STAGES["measure"]):
        raise OutputError(f"{path}: has results but no manifest.json; choose another --out, or --fresh to delete them")
    run.save()
    return run


def read_run(path: str) -> Run:
    """The run whose manifest is in `path`. Raises InputError when there is none."""
    if not exists(join(path, "manifest.json")):
        raise InputError(f"{path}: not a run directory (no manifest.json); give the --out of a `ctllm curate`")
    manifest = RunManifest.model_validate(read_json(join(path, "manifest.json")))
    return Run(path, CurationConfig.model_validate(manifest.config), manifest)


def under_overrides(run: Run, overrides: Mapping[str, object]) -> Run:
    """A measured run under `{"a.b": value}`. Raises ConfigError for keys that measuring read: they need a new run."""
    changed = run.with_config(overridden(run.config, overrides))
    if run.finished("measure") and not changed.finished("measure"):
        raise ConfigError(
            f"--set {', '.join(overrides)}: changes what is measured, not only what is decided; "
            "run `ctllm curate` with it into another --out"
        )
    return changed


def measured_splits(run: Run) -> list[Split]:
    """The splits the run was made from, as its manifest lists them; the inputs themselves need not be there.

    Raises InputError when the run was not measured to the end.
    """
    if not run.finished("measure"):
        raise InputError(f"{run.path}: not measured to the end with this version; run `ctllm curate` again first")
    names = ("url", "format", "source", "start", "end", "size_bytes")
    return [Split(index=index, **{name: row[name] for name in names}) for index, row in enumerate(run.manifest.inputs)]


def _refuse_if_foreign(run: Run, earlier: Run) -> None:
    way_out = "choose another --out, or --fresh to delete what is there"
    differing = sorted(_differing_keys(earlier.manifest.config, run.manifest.config))
    if foreign := [key for key in differing if not key.startswith(GUARD)]:
        keys = ", ".join(foreign)
        raise OutputError(f"{run.path}: made with another config (different: {keys}); {way_out}")
    if earlier.manifest.index not in (None, run.manifest.index):
        raise OutputError(
            f"{run.path}: compared with the index {earlier.manifest.index}; give it as --index, or {way_out}"
        )
    if earlier.manifest.inputs != run.manifest.inputs:
        before = {each["url"] for each in earlier.manifest.inputs}
        now = {each["url"] for each in run.manifest.inputs}
        names = ", ".join(sorted(before ^ now)) or "same names, other content"
        raise OutputError(f"{run.path}: made from other inputs ({names}); {way_out}")


def _differing_keys(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    keys = []
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            keys += _differing_keys(before, after, f"{prefix}{key}.")
        elif before != after:
            keys.append(f"{prefix}{key}")
    return keys


def _digest_parts(config: CurationConfig, *, earlier: Run | None = None) -> dict[str, str]:
    """Digests of `PARTS`; those of groups that are as in `earlier` are its own, and their files need not be there."""
    known = earlier.manifest.parts if earlier else {}
    return {
        group: known[group]
        if earlier and group in known and _measured(config, group) == _measured(earlier.config, group)
        else digest(getattr(config, group))
        for group, digest in PARTS.items()
    }


def _measured(config: CurationConfig, group: str) -> Config:
    """A group of PARTS as measuring reads it."""
    part: Config = getattr(config, group)
    return part.measured if isinstance(part, DecontaminationConfig) else part


def _describe_inputs(splits: Sequence[Split]) -> list[dict[str, Any]]:
    return [
        {
            "url": split.url,
            "source": split.source,
            "format": split.format,
            "start": split.start,
            "end": split.end,
            "size_bytes": split.size_bytes,
            "edges": _edge_digest(split.url),
        }
        for split in splits
    ]


def _edge_digest(url: str) -> str:
    """Digest of a file's first and last MiB: notices a replaced input without reading terabytes."""
    fs, name = fsspec.core.url_to_fs(url)
    try:
        if fs.isdir(name):
            return ""
        head = fs.read_block(name, 0, EDGE_BYTES)
        tail = fs.read_block(name, max(0, fs.size(name) - EDGE_BYTES), EDGE_BYTES)
    except OSError:
        return "unreadable"
    return hashlib.sha256(head + tail).hexdigest()[:16]


@cache
def code_digest() -> str:
    """Digest of the sources of `pipelines` and `schemas`: new code measures anew."""
    digest = hashlib.sha256()
    for package in ("pipelines", "schemas"):
        module = __import__(f"ctllm.{package}", fromlist=["__file__"])
        for path in sorted(Path(str(module.__file__)).parent.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
