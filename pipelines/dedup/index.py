"""The dedup index: which finished runs a new snapshot is compared with, and that their signatures are as they were.

An index names runs and holds no signatures itself (`schemas/dedup_index.py`). Only documents that a run kept stand for
others: what it removed, as a copy too, is not in the index. Earlier output is never touched.
"""

from collections.abc import Iterable, Sequence

import apache_beam as beam

from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import STAGES, Run
from ctllm.pipelines.spread import Spread
from ctllm.schemas.curation_config import CHOOSING, COMPARING, CurationConfig, DedupConfig
from ctllm.schemas.dedup_index import FORMAT, Comparison, IndexedSnapshot, IndexManifest
from ctllm.schemas.duplicates import BANDS_VERSION
from ctllm.schemas.errors import AccountingError, ConfigError, InputError, OutputError, StageError
from ctllm.schemas.files import (
    absolute_path,
    exists,
    file_digest,
    filesystem_of,
    join,
    list_files,
    read_json,
    write_json,
)
from ctllm.schemas.manifest import SUCCESS, StageManifest
from ctllm.schemas.progress import Progress, silent

_FREE = frozenset({"preset", *COMPARING, *CHOOSING})
"""Keys of `dedup` that may differ between snapshots: they are read after signing. `threshold` makes the bands."""


def read_index(path: str) -> list[IndexedSnapshot]:
    """The snapshots of the index in `path`, by number. Raises InputError when there is no index."""
    if not exists(_manifest_path(path)):
        raise InputError(f"{path}: not a dedup index (no index.json); `ctllm curate --index` or `index add` makes one")
    return [_read_snapshot(each) for each in list_files(path, suffix=".json") if "/snapshot-" in each]


def index_settings(path: str) -> DedupConfig:
    """The settings that the snapshots of the index were signed with, and the defaults of all others.

    Raises InputError when there is no index, ConfigError when another version made it.
    """
    read_index(path)
    _refuse_other_version(path)
    return DedupConfig.model_validate(read_json(_manifest_path(path))["settings"])


def snapshots_to_compare(path: str, run_path: str, config: CurationConfig) -> tuple[Comparison, ...]:
    """The snapshots of the index that a run in `run_path` is compared with; none where the index is not there yet.

    For a run that is in the index itself those that it was compared with and that are still as they were. Raises
    ConfigError, naming the setting, when the index is of other settings, or its snapshot number is taken.
    """
    if not exists(_manifest_path(path)):
        return ()
    _refuse_other_settings(path, config.dedup)
    snapshots = {each.snapshot: each for each in read_index(path)}
    mine = snapshots.pop(config.snapshot, None)
    present = tuple(each.as_comparison() for each in snapshots.values())
    if mine is None:
        return present
    _refuse_taken_number(path, mine, run_path)
    return tuple(each for each in mine.compared if each in present)


def compared_snapshots(run: Run) -> list[IndexedSnapshot]:
    """The snapshots that `run` is compared with, as the index holds them now; [] for a run without index.

    Raises InputError when one of them was withdrawn or replaced since the run was begun.
    """
    if not run.manifest.index or not run.manifest.compared:
        return []
    present = {each.as_comparison(): each for each in read_index(run.manifest.index)}
    for each in run.manifest.compared:
        if each not in present and not run.finished("pairs"):
            raise InputError(
                f"{run.manifest.index}: snapshot {each.snapshot} was withdrawn or replaced since {run.path} was begun; "
                "run its `ctllm curate` with --index again"
            )
    return [present[each] for each in run.manifest.compared if each in present]


def check_snapshots(
    snapshots: Sequence[IndexedSnapshot], *, options: RunnerOptions, progress: Progress = silent
) -> None:
    """Reads all files of the snapshots once. Raises AccountingError naming one that is lost, cut off or changed."""
    files = [
        (snapshot.snapshot, path, digest)
        for snapshot in snapshots
        for split, digests in zip(snapshot.splits(), snapshot.files, strict=True)
        for path, digest in zip((split.bands, split.verdicts), digests, strict=True)
    ]
    if not files:
        return
    run_job(
        "index",
        lambda pipeline: (
            pipeline
            | "Files of the index" >> Spread(files)  # (snapshot, path, sha256)
            | "Check" >> beam.ParDo(CheckFile())
        ),
        options=options,
        progress=progress,
    )


class CheckFile(beam.DoFn):
    """(snapshot, path, sha256) to nothing; AccountingError where the file is another."""

    def process(self, element: tuple[int, str, str]) -> Iterable[int]:
        """Reads one file."""
        snapshot, path, digest = element
        way_out = f"restore it, or `ctllm index withdraw` snapshot {snapshot} and `index add` its run again"
        if not exists(path):
            raise AccountingError(f"{path}: of snapshot {snapshot} of the index, but not there any more; {way_out}")
        if file_digest(path) != digest:
            raise AccountingError(
                f"{path}: not as it was when snapshot {snapshot} came into the index (cut off, or decided anew); "
                f"{way_out}"
            )
        return ()


def add_compared(path: str, run: Run) -> IndexedSnapshot:
    """Adds `run`, which was compared with the index, once it ended.

    Raises StageError when the index has changed meanwhile: the same command then compares with the new ones too.
    """
    if snapshots_to_compare(path, run.path, run.config) != run.manifest.compared:
        raise StageError(
            f"{path}: the index changed while {run.path} was made; run the same command again, it compares anew "
            "without measuring again, and adds the run"
        )
    return add_snapshot(path, run)


def add_snapshot(path: str, run: Run) -> IndexedSnapshot:
    """Adds the finished `run` to the index in `path`, which is made if it is not there; a run may be added again.

    Raises InputError when the run is not finished, ConfigError when its settings or its number do not fit.
    """
    entry = _describe(run)
    if exists(_manifest_path(path)):
        _refuse_other_settings(path, run.config.dedup)
        if exists(_snapshot_path(path, entry.snapshot)):
            _refuse_taken_number(path, _read_snapshot(_snapshot_path(path, entry.snapshot)), run.path)
    else:
        if exists(path) and list_files(path):
            raise OutputError(f"{path}: holds files but no index.json; choose another directory for the index")
        manifest = IndexManifest(format=FORMAT, bands_version=BANDS_VERSION, settings=_settings(run.config.dedup))
        write_json(_manifest_path(path), manifest.model_dump(mode="json"))
    write_json(_snapshot_path(path, entry.snapshot), entry.model_dump(mode="json"))
    return entry


def withdraw_snapshot(path: str, number: int) -> list[IndexedSnapshot]:
    """Takes a snapshot out of the index; its run stays. Returns the snapshots that have lost copies to it.

    Raises InputError when it is not in the index.
    """
    snapshots = {each.snapshot: each for each in read_index(path)}
    if number not in snapshots:
        there = ", ".join(map(str, snapshots)) or "none"
        raise InputError(f"{path}: no snapshot {number}; it holds {there} (`ctllm index ls {path}`)")
    fs, name = filesystem_of(_snapshot_path(path, number))
    fs.rm(name)
    gone = snapshots.pop(number).as_comparison()
    return [each for each in snapshots.values() if gone in each.compared]


def _describe(run: Run) -> IndexedSnapshot:
    for stage in STAGES:
        if not run.finished(stage):
            raise InputError(f"{run.path}: {stage} has not ended; run its `ctllm curate` again, then add it")
    bands, verdicts = (
        StageManifest.model_validate(read_json(join(run.directory(name), SUCCESS))).files
        for name in ("bands", "verdicts")
    )
    counts = run.manifest.stages["decide"]["counts"]
    return IndexedSnapshot(
        snapshot=run.config.snapshot,
        run=absolute_path(run.path),
        run_id=run.manifest.run_id,
        documents=counts["kept"] + counts["removed"],
        kept=counts["kept"],
        files=tuple((bands[name], verdicts[name]) for name in sorted(bands)),
        compared=run.manifest.compared,
    )


def _refuse_other_version(path: str) -> None:
    manifest = read_json(_manifest_path(path))
    for name, ours in (("format", FORMAT), ("bands_version", BANDS_VERSION)):
        if manifest.get(name) != ours:
            raise ConfigError(
                f"{path}: {name} is {manifest.get(name)}, this version of ctllm writes {ours}; make the index anew: "
                "curate its snapshots again"
            )


def _refuse_other_settings(path: str, config: DedupConfig) -> None:
    _refuse_other_version(path)
    theirs, ours = IndexManifest.model_validate(read_json(_manifest_path(path))).settings, _settings(config)
    for key in sorted(theirs.keys() | ours.keys()):
        if theirs.get(key) != ours.get(key):
            raise ConfigError(
                f"dedup.{key}: {ours.get(key)} here, {theirs.get(key)} in the index {path}; signatures of other "
                "settings cannot be compared: set it alike, or use another index"
            )


def _refuse_taken_number(path: str, there: IndexedSnapshot, run_path: str) -> None:
    if there.run != absolute_path(run_path):
        raise ConfigError(
            f"snapshot: {there.snapshot} is in the index {path} already (run {there.run}); give this one another "
            f"number (--set snapshot=…), or `ctllm index withdraw {path} {there.snapshot}`"
        )


def _settings(config: DedupConfig) -> dict[str, object]:
    """What the signatures depend on, by key of `dedup`."""
    return {key: value for key, value in config.model_dump(mode="json").items() if key not in _FREE}


def _read_snapshot(path: str) -> IndexedSnapshot:
    try:
        return IndexedSnapshot.model_validate(read_json(path))
    except ValueError as error:
        raise InputError(f"{path}: not a snapshot of an index ({error}); withdraw it and add its run again") from error


def _manifest_path(path: str) -> str:
    return join(path, "index.json")


def _snapshot_path(path: str, number: int) -> str:
    return join(path, f"snapshot-{number:05d}.json")
