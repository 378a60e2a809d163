"""Decide: small tables joined with thresholds become one verdict per document. Never reads text.

1. Every document is judged by the rules of its lane, by what planned cuts (`cuts.py`) leave of it.
2. Among the documents the rules keep, one per group of verified copies survives (`dedup/survivors.py`).
3. The verdict holds all failing rules, or the duplicate's similarity; `duplicates/` names the document kept instead.
"""

from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np

from ctllm.pipelines.component_survivors import choose_by_component
from ctllm.pipelines.guard import check_removed
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.judgement import (
    Removed,
    candidate_keys,
    count_pairs,
    find_duplicates,
    judge_split,
    rank_candidates,
    ranked_type,
    read_duplicates,
    source_ranks,
    summarise,
    write_duplicates,
)
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.spread import Spread
from ctllm.schemas.files import remove_tree, write_parquet
from ctllm.schemas.progress import Progress, silent


class RankCandidates(beam.DoFn):
    """Split → (0, packed RANKED rows) of its documents that the rules keep and that have a verified copy."""

    def __init__(self, run: Run, ranks: dict[int, int]) -> None:
        self.run, self.ranks = run, ranks

    def setup(self) -> None:
        """Loads the keys that occur in any pair."""
        self.candidates = candidate_keys(self.run)

    def process(self, split: int) -> Iterable[tuple[int, bytes]]:
        """Ranks the candidates of one split."""
        judged = judge_split(self.run, split)
        rows = rank_candidates(judged, candidates=self.candidates, source_rank=self.ranks[split])
        yield 0, rows.tobytes()


class ChooseSurvivors(beam.DoFn):
    """(0, all packed rows) → `duplicates/`. One worker: edges are few beside documents."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterable[int]:
        """Chooses one survivor per star of verified copies."""
        dtype = ranked_type(self.run.config.dedup.survivor_order)
        duplicates = find_duplicates(self.run, np.frombuffer(b"".join(element[1]), dtype=dtype))
        write_duplicates(self.run, duplicates)
        yield duplicates.num_rows


class WriteVerdicts(beam.DoFn):
    """Split → its index, once `cuts/part-N` and `verdicts/part-N` are in place."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def process(self, split: int) -> Iterable[int]:
        """Judges one split again (cheaper than shuffling the first result) and adds the duplicates."""
        judged = judge_split(self.run, split)
        write_parquet(self.run.part("cuts", split), judged.cuts)
        removed = Removed(read_duplicates(self.run, split), self.run.config.dedup)
        write_parquet(self.run.part("verdicts", split), removed.verdicts(judged))
        yield split


def decide(
    run: Run, splits: Sequence[int], *, sources: Sequence[str], options: RunnerOptions, progress: Progress = silent
) -> dict[str, int]:
    """Writes `duplicates/`, `cuts/` and `verdicts/` of `run` and returns documents kept and removed.

    `sources` names the source of each split. Raises GuardError when a lane, a source or a rule loses more than its
    share; what was written stays.
    """
    _choose(run, source_ranks(splits, sources, config=run.config.dedup), options=options, progress=progress)
    run_job(
        "verdicts",
        lambda pipeline: pipeline | "Splits" >> Spread(splits) | "Write verdicts" >> beam.ParDo(WriteVerdicts(run)),
        options=options,
        watch=run.directory("verdicts"),
        total=len(splits),
        progress=progress,
    )
    check_removed(run, splits, sources=sources)
    summary = summarise(run, splits)
    kept = sum(lane.kept_documents for lane in summary.values())
    return {"kept": kept, "removed": sum(lane.documents for lane in summary.values()) - kept}


def _choose(run: Run, ranks: dict[int, int], *, options: RunnerOptions, progress: Progress) -> None:
    """Writes `duplicates/`: on one worker where the pairs fit in its memory, else component by component."""
    remove_tree(run.directory("duplicates") + "/components")  # of a killed attempt
    num_pairs = count_pairs(run)
    if num_pairs > options.max_pairs_in_memory:
        choose_by_component(run, ranks, num_pairs=num_pairs, options=options, progress=progress)
        return
    run_job(
        "survivors",
        lambda pipeline: (
            pipeline
            | "Splits" >> Spread(ranks)
            | "Rank candidates" >> beam.ParDo(RankCandidates(run, ranks)).with_output_types(tuple[int, bytes])
            | "To one worker" >> beam.GroupByKey()
            | "Choose survivors" >> beam.ParDo(ChooseSurvivors(run))
        ),
        options=options,
        progress=progress,
    )
