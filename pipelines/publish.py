"""Pass 2: kept documents are cut, redacted and written to `curated/{zh,en,code}/`; what is countable goes to `stats/`.

The second and last stage that reads text. Per split the statistics part is written last, so it marks the split as done.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import apache_beam as beam
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ctllm.pipelines.cuts import after_cuts, cut_chars
from ctllm.pipelines.edits import Edit, apply_edits, with_planned
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.judgement import read_duplicates
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.planned_edits import PlannedEdits
from ctllm.pipelines.privacy.redact import find_personal_data
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.signal_sample import cutoffs, lane_counts, write_sample_part
from ctllm.pipelines.spread import Spread
from ctllm.pipelines.statistics import split_statistics
from ctllm.schemas.document import CURATED, CURATED_LANES
from ctllm.schemas.errors import AccountingError
from ctllm.schemas.files import exists, join, read_parquet, repeating_columns, write_json, written_whole
from ctllm.schemas.progress import Progress, silent
from ctllm.schemas.token_estimate import estimate_from_signals

BATCH_ROWS = 1024
PUBLISHED_LEVEL = 3  # zstd's own default


class PublishSplit(beam.DoFn):
    """Split → its index, once its curated files and its statistics are in place."""

    def __init__(self, run: Run, sources: dict[int, str], *, sampled_below: dict[str, float]) -> None:
        self.run, self.sources, self.sampled_below = run, sources, sampled_below

    def setup(self) -> None:
        """Counts how many documents each survivor stands for."""
        duplicates = read_duplicates(self.run, columns=["kept_key"])
        self.survivors, copies = np.unique(duplicates["kept_key"].to_numpy(), return_counts=True)
        self.cluster_sizes = copies + 1

    def process(self, split: int) -> Iterable[int]:
        """Publishes one split."""
        done = statistics_part(self.run, split)
        if not exists(done):
            signals = read_parquet(self.run.part("signals", split))
            verdicts = read_parquet(self.run.part("verdicts", split))
            cuts = read_parquet(self.run.part("cuts", split))
            self._write_curated(split, after_cuts(signals, cut_chars(cuts, signals.num_rows)), verdicts, cuts)
            write_sample_part(self.run, split, signals=signals, verdicts=verdicts, cuts=cuts, below=self.sampled_below)
            counts = split_statistics(self.run, split, source=self.sources[split], signals=signals, verdicts=verdicts)
            write_json(done, counts, indent=None)
        yield split

    def _write_curated(self, split: int, signals: pa.Table, verdicts: pa.Table, cuts: pa.Table) -> None:
        kept = verdicts["kept"].to_numpy()
        lanes = verdicts["lane"].to_numpy()
        with ExitStack() as stack:
            writers = {
                lane: self._writer(stack, lane, split) for lane in CURATED_LANES if np.any(kept & (lanes == lane))
            }
            for first_row, documents in _document_batches(self.run.part("documents", split)):
                rows = slice(first_row, first_row + documents.num_rows)
                published = self._publish(documents, signals[rows.start : rows.stop], kept[rows], cuts)
                for lane, writer in writers.items():
                    chosen = published.filter(pc.equal(published["lane"], lane))
                    if chosen.num_rows:
                        writer.write_table(chosen)

    def _writer(self, stack: ExitStack, lane: str, split: int) -> pq.ParquetWriter:
        path = self.run.part(join("curated", lane), split)
        file = stack.enter_context(written_whole(path))
        return stack.enter_context(
            pq.ParquetWriter(
                file,
                CURATED,
                compression="zstd",
                compression_level=PUBLISHED_LEVEL,
                use_dictionary=repeating_columns(CURATED),
            )
        )

    def _publish(self, documents: pa.RecordBatch, signals: pa.Table, kept: np.ndarray, cuts: pa.Table) -> pa.Table:
        mask = pa.array(kept)
        chosen = pa.Table.from_batches([documents]).filter(mask)
        before = chosen["text"].combine_chunks()
        planned = PlannedEdits.of(cuts, chosen["key"].to_numpy())
        personal = find_personal_data(before, config=self.run.config.privacy)
        others = {row: with_planned(edits, planned.of_row(row)) for row, edits in personal.items()}
        alone = planned.only(~np.isin(planned.rows_E, list(others)))
        texts = _edited(alone.cut_out(before), before, others)
        columns = {name: chosen[name] for name in CURATED.names if name in chosen.schema.names}
        columns |= {
            "text": texts,
            "num_chars": pc.utf8_length(texts).cast(pa.int32()),
            "token_estimate": pa.array(estimate_from_signals(signals.filter(mask)).astype(np.int32)),
            "cluster_size": pa.array(self._sizes(chosen["key"].to_numpy())),
            "edits": alone.with_others(others, num_rows=len(texts)),
        }
        return pa.table([columns[name] for name in CURATED.names], schema=CURATED)

    def _sizes(self, keys: np.ndarray) -> np.ndarray:
        sizes = np.ones(len(keys), np.int32)
        stands_for_others = np.isin(keys, self.survivors)
        sizes[stands_for_others] = self.cluster_sizes[np.searchsorted(self.survivors, keys[stands_for_others])]
        return sizes


def _edited(texts: pa.Array, before: pa.Array, edits: dict[int, list[Edit]]) -> pa.Array:
    """`texts`, in which rows that have `edits` are those of `before` with these applied."""
    if not edits:
        return texts
    mask = np.zeros(len(texts), bool)
    mask[list(edits)] = True
    changed = [apply_edits(before[row].as_py(), edits[row]) for row in sorted(edits)]
    return pc.replace_with_mask(texts, pa.array(mask), pa.array(changed, texts.type))


def _document_batches(path: str) -> Iterator[tuple[int, pa.RecordBatch]]:
    with fsspec.open(path, "rb") as file:
        first_row = 0
        for batch in pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS):
            yield first_row, batch
            first_row += batch.num_rows


def statistics_part(run: Run, split: int) -> str:
    """Where the statistics of one split stand until they are merged."""
    return join(run.path, "stats", "parts", f"part-{split:05d}.json")


def publish(
    run: Run, splits: Sequence[int], *, sources: Sequence[str], options: RunnerOptions, progress: Progress = silent
) -> None:
    """Writes `curated/` and the statistics parts of every split."""
    names = dict(zip(splits, sources, strict=True))
    below = cutoffs(lane_counts(run, splits))
    run_job(
        "publish",
        lambda pipeline: (
            pipeline
            | "Splits" >> Spread(splits)
            | "Publish" >> beam.ParDo(PublishSplit(run, names, sampled_below=below))
        ),
        options=options,
        watch=join(run.path, "stats", "parts"),
        total=len(splits),
        progress=progress,
    )


def check_accounts(run: Run, splits: Sequence[int]) -> dict[str, Any]:
    """Totals over all splits, after proving read = kept + removed + failed for each of them in the files themselves.

    Raises AccountingError naming the split.
    """
    totals = {"read": 0, "kept": 0, "removed": 0, "failed": 0}
    for split in splits:
        num_documents = read_parquet(run.part("documents", split), columns=["key"]).num_rows
        num_failed = read_parquet(run.part("failures", split), columns=["error"]).num_rows
        kept = read_parquet(run.part("verdicts", split), columns=["kept"])["kept"]
        num_kept, num_removed = pc.sum(kept).as_py() or 0, len(kept) - (pc.sum(kept).as_py() or 0)
        num_curated = sum(
            read_parquet(path, columns=["key"]).num_rows
            for lane in CURATED_LANES
            if exists(path := run.part(join("curated", lane), split))
        )
        if len(kept) != num_documents or num_curated != num_kept:
            raise AccountingError(
                f"{run.path}, split {split}: {num_documents} documents, {len(kept)} verdicts, {num_kept} kept, "
                f"{num_curated} published; run again with --fresh and report this"
            )
        for name, count in zip(totals, (num_documents + num_failed, num_kept, num_removed, num_failed), strict=True):
            totals[name] += count
    return totals
