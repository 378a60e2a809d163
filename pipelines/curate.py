"""Raw sources to curated shards, the whole way. Read this file first.

    sources ─► measure ─► documents, failures, signals, bands …    pass 1: reads the sources, measures once
               pairs   ─► pairs                                    copies: candidates verified, over all documents
               lines   ─► common_lines                             lines that many documents share; shuffles hashes
               decide  ─► duplicates, verdicts                     thresholds applied; never reads text
               publish ─► curated, stats                           pass 2: reads `documents`, writes what is kept

Each stage is one or two Beam jobs and ends by writing `_SUCCESS`; a stage whose fingerprint (inputs, config, code) is
unchanged is skipped, and inside a stage a split whose files are in place is not done again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apache_beam as beam

from ctllm.pipelines.dataflow import JobRecord
from ctllm.pipelines.decide import decide
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.dedup.common_lines import find_common_lines
from ctllm.pipelines.dedup.index import (
    add_compared,
    check_snapshots,
    compared_snapshots,
    snapshots_to_compare,
)
from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.dedup.minhash import banding
from ctllm.pipelines.extract import check_extractor
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.judgement import Amounts, summarise
from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.measure import MeasureSplit, count_records
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.publish import check_accounts, publish
from ctllm.pipelines.quality import shared_quality_model
from ctllm.pipelines.run_directory import Run, measured_splits, open_run, read_run, under_overrides
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.sources.split import Split, plan_splits
from ctllm.pipelines.spread import Spread
from ctllm.pipelines.statistics import merge_statistics
from ctllm.pipelines.url_lists import shared_url_lists
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import OutputError
from ctllm.schemas.files import absolute_path
from ctllm.schemas.progress import Progress, silent


@dataclass(frozen=True)
class RunSummary:
    """What a run did, for the closing screen."""

    path: str
    accounts: dict[str, int]
    lanes: dict[str, Amounts]
    skipped: tuple[str, ...]
    """Stages that were already finished."""
    seconds: float


def curate(
    config: CurationConfig,
    *,
    inputs: Sequence[str],
    out: str,
    options: RunnerOptions,
    fresh: bool = False,
    index: str | None = None,
    progress: Progress = silent,
) -> RunSummary:
    """Curates `inputs` (paths, globs, directories, fsspec URLs) into the run directory `out`.

    Copies of what earlier snapshots in the directory `index` kept are removed, and the run is added to it at the end.
    Raises InputError, OutputError, StageError, GuardError or AccountingError, each naming the way out.
    """
    _check_parts(config)
    index = absolute_path(index) if index else None
    compared = snapshots_to_compare(index, out, config) if index else ()
    splits = plan_splits(inputs, config=config.sources)
    options = options.recorded_in(out)
    if fresh and (jobs := JobRecord(options.record).jobs()):
        under_way = ", ".join(job.job_id for job in jobs.values())
        raise OutputError(f"--fresh: {out} has jobs under way on Dataflow ({under_way}); cancel them, delete jobs.json")
    run = open_run(out, config, splits, fresh=fresh, index=index, compared=compared)
    summary = _run_stages(run, splits, options=options, progress=progress)
    if index:
        add_compared(index, read_run(out))
    return summary


def curate_splits(
    config: CurationConfig,
    splits: Sequence[Split],
    *,
    out: str,
    options: RunnerOptions,
    progress: Progress = silent,
) -> Run:
    """Curates splits that are already planned and numbered from 0. Raises as `curate` does."""
    _check_parts(config)
    run = open_run(out, config, splits)
    _run_stages(run, splits, options=options, progress=progress)
    return read_run(out)


def _check_parts(config: CurationConfig) -> None:
    """Everything that workers will load, loaded once before any work starts, so that what is missing stops the run."""
    LanguageIdentifier.load()
    check_extractor(config.sources.extractor)
    BenchmarkIndex.load(config.decontamination)
    SpamVocabulary(config.vocabularies)
    shared_url_lists.cache_clear()  # files may have changed since this process read them
    shared_url_lists(config.url_lists)
    shared_quality_model.cache_clear()
    shared_quality_model(config.quality)
    banding(config.dedup)


def redecide(
    path: str, *, overrides: dict[str, object], options: RunnerOptions, progress: Progress = silent
) -> RunSummary:
    """Applies changed thresholds to a measured run: decides and publishes again, measures nothing.

    Signed documents are compared again where the change asks for it.

    The run has the new config from here on, also when a guard stops it.
    """
    run = read_run(path)
    splits = measured_splits(run)
    changed = under_overrides(run, overrides)
    if changed.config != run.config:
        changed.save()
        run = changed
    return _run_stages(run, splits, options=options, progress=progress)


def _run_stages(run: Run, splits: Sequence[Split], *, options: RunnerOptions, progress: Progress) -> RunSummary:
    started = time.monotonic()
    earlier = compared_snapshots(run)
    if not run.finished("pairs"):
        check_snapshots(earlier, options=options, progress=progress)
    numbers = [split.index for split in splits]
    sources = [split.source for split in splits]
    skipped: list[str] = []

    def measure() -> dict[str, int]:
        run_job(
            "measure",
            lambda pipeline: (
                pipeline
                | "Splits" >> Spread(_largest_first(splits))  # Split
                | "Measure" >> beam.ParDo(MeasureSplit(run))  # int: the split's files are in place
            ),
            options=options,
            watch=run.directory("documents"),
            total=len(splits),
            progress=progress,
        )
        return count_records(run, list(splits))

    def pairs() -> dict[str, int]:
        bands = [run.part("bands", number) for number in numbers]
        return find_pairs(
            bands,
            document_files=[run.part("documents", number) for number in numbers],
            out=run.directory("pairs"),
            config=run.config.dedup,
            options=options,
            earlier=[split for snapshot in earlier for split in snapshot.splits()],
            progress=progress,
        )

    def lines() -> dict[str, int]:
        files = [run.part("lines", number) for number in numbers]
        return find_common_lines(
            files,
            pairs=run.directory("pairs"),
            out=run.directory("common_lines"),
            config=run.config.lines,
            options=options,
            progress=progress,
        )

    def verdicts() -> dict[str, int]:
        return decide(run, numbers, sources=sources, options=options, progress=progress)

    def published() -> dict[str, int]:
        publish(run, numbers, sources=sources, options=options, progress=progress)
        accounts = check_accounts(run, numbers)
        merge_statistics(run, numbers, accounts=accounts)
        return accounts

    stages: dict[str, Callable[[], dict[str, int]]] = {
        "measure": measure,
        "pairs": pairs,
        "lines": lines,
        "decide": verdicts,
        "publish": published,
    }
    for stage, work in stages.items():
        if run.finished(stage):
            skipped.append(stage)
            continue
        stage_started = time.monotonic()
        run.begin(stage)
        counts = work()
        run = run.finish(stage, counts=counts, seconds=time.monotonic() - stage_started)
    accounts = run.manifest.stages["publish"]["counts"]
    lanes = summarise(run, numbers)
    return RunSummary(run.path, accounts, lanes, tuple(skipped), time.monotonic() - started)


def _largest_first(splits: Sequence[Split]) -> list[Split]:
    """The local runner deals splits out in turn, so the slowest worker decides: begin with the large ones."""
    return sorted(splits, key=lambda split: (-split.size_bytes, split.index))
