"""What CPU time a curation would take, from timed curations of parts of a sample of it.

A process costs something at its start; what comes on top grows with four things. Text: the slope between a quarter of
the sample and all of it, for the first megabytes touch memory and load tables that those after them use. Published
text: less in all than in the sample, whose copies lack their originals. Splits: what the sample cost more in pieces
than together. Compared pairs: they grow with the square of the documents, so a sample has too few to time, and what one
costs was measured once, beside what a document does.
"""

import gc
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import sqrt
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from ctllm.pipelines.curate import curate_splits
from ctllm.pipelines.group_sizes import pairs_of_all
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.sources.split import Split, plan_splits
from ctllm.pipelines.strata import Estimate, by_stratum
from ctllm.schemas.curation_config import CurationConfig, SourceConfig
from ctllm.schemas.document import split_of
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import join, list_files, read_parquet, written_whole
from ctllm.schemas.progress import ProgressEvent

PAIR_SHARE = 0.025  # of curating a document costs a compared pair: 0.018 and 0.05 in two corpora, 2026-11-27
READ_SHARE = 0.3  # of publishing a text costs one that is not kept: 0.28 and 0.44 there
ERROR = 0.15  # chosen share, for large files cost what small ones do only about
NOISE_SECONDS = 0.2  # by which two runs of 31 MB differed, 2026-11-27
BYTES_TIMED_ONCE = 64 << 20  # chosen: of less the mean of two runs is taken
READ_WHOLE = frozenset({"warc", "html", "json", "tree", "code"})  # formats of which no piece was cut


class CpuTime(NamedTuple):
    """CPU seconds of a curation up to publishing, and of publishing."""

    judging: float
    publishing: float


@dataclass(frozen=True)
class Growth:
    """CPU seconds that come with more input."""

    judged_byte: float
    """Of text that is read, measured, compared and judged."""
    published_byte: float
    """Of text that is kept."""
    split: float
    timed_bytes: float
    """Text that the slope was measured on."""


def curation_time(
    config: CurationConfig, splits: Sequence[Split], *, out: str, options: RunnerOptions, rounds: int = 1
) -> CpuTime:
    """Mean of `rounds` curations of `splits`, also such that no document is in: a piece may lie inside a line."""
    numbered = [replace(split, index=index) for index, split in enumerate(splits)]
    times = [_time_of_one(config, numbered, out=f"{out}-{number}", options=options) for number in range(rounds)]
    return CpuTime(*np.mean(times, axis=0).tolist())


def _time_of_one(config: CurationConfig, splits: Sequence[Split], *, out: str, options: RunnerOptions) -> CpuTime:
    gc.collect()  # 0.1 s of a process with Beam and kernels, which would fall on one curation or another
    times = [time.process_time()]

    def note(event: ProgressEvent) -> None:
        if event.stage == "publish" and len(times) == 1:
            times.append(time.process_time())

    with suppress(InputError):
        curate_splits(config, splits, out=out, options=options, progress=note)
    ended = time.process_time()
    started, judged = times if len(times) > 1 else (*times, ended)
    return CpuTime(judged - started, ended - judged)


def growth_of(
    run: Run, splits: Sequence[Split], *, seconds: float, text_bytes: np.ndarray, scratch: str, options: RunnerOptions
) -> Growth:
    """From the curation `run` of `splits`, which took `seconds`; `text_bytes`: of the documents in each, (splits,)."""
    quarter = [split for stratum in by_stratum(splits) for split in stratum[::4]]
    timed_bytes = max(float(text_bytes.sum() - text_bytes[[split.index for split in quarter]].sum()), 1.0)
    together = [_together(run, some, join(scratch, name)) for name, some in (("quarter", quarter), ("all", splits))]
    config = run.config.model_copy(update={"sources": _as_texts(run.config.sources)})
    rounds = 2 if timed_bytes < BYTES_TIMED_ONCE else 1
    fewer, more = (
        curation_time(config, some, out=join(scratch, f"timed-{number}"), options=options, rounds=rounds)
        for number, some in enumerate(together)
    )
    return Growth(
        judged_byte=max(more.judging - fewer.judging, 0.0) / timed_bytes,
        published_byte=max(more.publishing - fewer.publishing, 0.0) / timed_bytes,
        split=max(seconds - sum(more), 0.0) / max(len(splits) - len(together[1]), 1),
        timed_bytes=timed_bytes,
    )


def cpu_seconds(
    start: float,
    growth: Growth,
    *,
    text: Estimate,
    num_splits: int,
    pairs: Estimate,
    document_bytes: float,
    still_kept: float,
) -> Estimate:
    """Of a curation that has `text` bytes, `num_splits` and `pairs` more than one that takes `start` seconds.

    `document_bytes`: text of a document, in the mean; `still_kept`: what share of the published text of the sample is
    published in a curation of all.
    """
    published = growth.published_byte * (READ_SHARE + (1 - READ_SHARE) * still_kept)
    compared = pairs.scaled(PAIR_SHARE * document_bytes * growth.judged_byte)
    seconds = start + (growth.judged_byte + published) * text.value + growth.split * num_splits + compared.value
    reach = ERROR * seconds + NOISE_SECONDS * text.value / growth.timed_bytes
    low, high = compared.low - compared.value - reach, compared.high - compared.value + reach
    return Estimate(seconds, max(seconds + low, start), seconds + high)


def further_pairs(run: Run, *, share: float) -> Estimate:
    """Compared pairs of all documents beyond those that come with more of them, from `run` of a sample of `share`.

    Where refused pairs lie is not written down: within pieces or across, as those that hold do.
    """
    counts = run.manifest.stages["pairs"]["counts"]
    met = counts["pairs"] + counts["refused"]
    if not met:
        return Estimate(0.0, 0.0, 3 / share**2)  # rule of three: 95 of 100 samples meet one of so many
    pairs = pa.concat_tables(read_parquet(path) for path in list_files(run.directory("pairs"), suffix=".parquet"))
    held = pairs_of_all(*_partners(pairs), share=share, max_bucket=run.config.dedup.max_bucket)
    of_all = held / pairs.num_rows if pairs.num_rows else 1 / share**2
    reach = 2 * sqrt(met) + 3
    about = Estimate(met * of_all, max(met - reach, 0.0) * of_all, (met + reach) * of_all)
    return about.less(met / share)


def _partners(pairs: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """How many partners each document of `pairs` has in its own piece, and how many in others: (documents,) each.

    Exact copies count as of one piece: each is linked to the first one only, so their pairs grow as they do.
    """
    ends = [pairs[name].to_numpy() for name in ("key_a", "key_b")]
    is_far = (split_of(ends[0]) != split_of(ends[1])) & (pairs["kind"].to_numpy() != "exact")
    _, owners = np.unique(np.concatenate(ends), return_inverse=True)
    far = np.bincount(owners, weights=np.tile(is_far, 2))
    return np.bincount(owners) - far, far


def _together(run: Run, splits: Sequence[Split], directory: str) -> list[Split]:
    """Texts of `splits` in one file of `directory` for each stratum: small pieces cost mostly their tables.

    Files that cannot be cut stay as they are.
    """
    for number, stratum in enumerate(by_stratum([split for split in splits if split.format not in READ_WHOLE])):
        with written_whole(join(directory, f"{number}.jsonl")) as file:
            rows = (row for split in stratum for row in _rows(run.part("documents", split.index)))
            file.writelines(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)
    whole = [split for split in splits if split.format in READ_WHOLE]
    texts = plan_splits([directory], config=_as_texts(run.config.sources)) if len(whole) < len(splits) else []
    return [*texts, *whole]


def _as_texts(sources: SourceConfig) -> SourceConfig:
    """How the files that `_together` writes are read."""
    return SourceConfig(block_size_bytes=sources.block_size_bytes)


def _rows(path: str) -> Iterator[dict[str, str | None]]:
    table = read_parquet(path, columns=["id", "url", "text"])
    yield from table.to_pylist()
