"""What a curation would give and cost, from a random sample of its input: `ctllm curate --dry-run --sample 0.01`.

The sample is of pieces of files (blocks of lines, row groups, whole files where they cannot be cut), as `strata.py`
chooses them, and goes through the whole curation in a scratch directory. What depends on the amount of input is scaled
by bytes: what is counted by those of the block, what grows with the text by those of the lines that begin in it, among
which a novel may be. Copies of two documents of one piece scale so too; copies across pieces are met with the square of
the sampled share, so few say little: see `group_sizes.py`.
"""

import io
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.cpu_time import cpu_seconds, curation_time, further_pairs, growth_of
from ctllm.pipelines.curate import curate_splits
from ctllm.pipelines.dedup.minhash import banding
from ctllm.pipelines.group_sizes import copies_of_all
from ctllm.pipelines.judgement import read_duplicates
from ctllm.pipelines.measure import INTERMEDIATE_LEVEL, GroupedWriter
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.publish import PUBLISHED_LEVEL
from ctllm.pipelines.run_directory import Run
from ctllm.pipelines.sources.lines import bytes_of_lines
from ctllm.pipelines.sources.split import Split, plan_splits
from ctllm.pipelines.strata import MIN_PIECES, Estimate, by_stratum, choose, total_of
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import split_of
from ctllm.schemas.files import exists, join, read_parquet
from ctllm.schemas.guard_config import GuardConfig
from ctllm.schemas.progress import Progress, silent

MIN_SAMPLE_BYTES = 32 << 20  # less than two seconds of work drown in the noise of the start-up (docs/scale.md)
MIN_PIECE_BYTES = 1 << 16  # chosen: some twenty documents
DISK_ERROR = 0.1  # files are packed otherwise than pieces: 4.4 % off at 500 MB, 9 % where headers are most (2026-11-27)
TABLES = ("documents", "signals", "bands", "lines", "repeats", "cuts", "verdicts")
TABLES_OF_TEXT = ("documents", "curated")  # they grow with the text, the other tables with the number of documents
PUBLISHED = "documents of the sample that were published"
TOTALS = ("documents", "failed", "kept by the rules", "copies in a piece", "characters kept", "tokens kept")
COUNTS = (*TOTALS[:4], PUBLISHED)
AMOUNTS = (*TOTALS[4:], "bytes of text")


@dataclass(frozen=True)
class Forecast:
    """The sample, and the totals that it leads to."""

    sampled_share: float
    """Of the bytes of input."""
    pieces: int
    totals: dict[str, Estimate]
    """By name: documents, failed, kept by the rules, copies, kept, characters kept, tokens kept, CPU seconds, bytes on
    disk, bytes shuffled."""


def forecast(
    config: CurationConfig,
    *,
    inputs: Sequence[str],
    share: float,
    scratch: str,
    progress: Progress = silent,
    seed: int = 0,
    loading_seconds: float = 0.0,
) -> Forecast:
    """Curates about `share` (0 to 1) of the bytes of `inputs` in the empty directory `scratch`, on one worker.

    Raises what `curate` raises, guards aside: a small sample says nothing about them.
    `loading_seconds`: CPU time that this process has spent before and that a curation would spend too.
    """
    real = plan_splits(inputs, config=config.sources)
    total_bytes = sum(split.size_bytes for split in real)
    share = min(max(share, MIN_SAMPLE_BYTES / max(total_bytes, 1)), 1.0)
    pieces = _cut(inputs, config, piece_bytes=total_bytes * share / MIN_PIECES)
    chosen = choose(pieces, share=share, seed=seed)
    unguarded = config.model_copy(update={"guard": GuardConfig.model_validate(NO_GUARD)})
    options = RunnerOptions(workers=1)
    numbered = [replace(split, index=index) for index, split in enumerate(chosen)]
    few = [stratum[0] for stratum in by_stratum(numbered)]
    start = loading_seconds + sum(curation_time(unguarded, few, out=join(scratch, "start"), options=options))
    began = time.process_time()
    run = curate_splits(unguarded, numbered, out=join(scratch, "sample"), options=options, progress=progress)
    seconds = time.process_time() - began
    found = {name: np.array(values) for name, values in _per_piece(run, numbered).items()}
    sizes = {
        "block": [split.size_bytes for split in chosen],
        "lines": [bytes_of_lines(split) for split in chosen],
    }
    scaled_by = dict.fromkeys(COUNTS, "block") | dict.fromkeys(AMOUNTS, "lines")
    scaled = {name: total_of(found[name], chosen, pieces, sizes=sizes[by]) for name, by in scaled_by.items()}
    sampled_share = sum(sizes["block"]) / total_bytes
    totals = {name: scaled[name] for name in TOTALS}
    members_met = _members_met(run, numbered, num_groups=int(found[PUBLISHED].sum()))
    totals |= _copies(Estimate(*copies_of_all(members_met, share=sampled_share)), scaled)
    growth = {name: scaled[name].scaled(1 / max(found[name].sum(), 1)) for name in ("documents", "bytes of text")}
    still_kept = totals["kept"].scaled(1 / max(scaled[PUBLISHED].value, 1.0))  # whose copies the sample lacks
    text, texts = scaled["bytes of text"], found["bytes of text"]
    totals["CPU seconds"] = cpu_seconds(
        start,
        growth_of(run, numbered, seconds=seconds, text_bytes=texts, scratch=scratch, options=options),
        text=text.less(texts[[split.index for split in few]].sum()),
        num_splits=max(len(real) - len(few), 0),
        pairs=further_pairs(run, share=sampled_share),
        document_bytes=text.value / max(scaled["documents"].value, 1.0),
        still_kept=still_kept.value,
    )
    totals["bytes on disk"] = _disk_bytes(run, numbered, growth, still_kept=still_kept, num_files=len(real))
    shuffled = _shuffled_bytes(run, numbered, num_documents=int(found["documents"].sum()))
    totals["bytes shuffled"] = growth["documents"].scaled(shuffled)
    return Forecast(sampled_share, len(chosen), totals)


def _cut(inputs: Sequence[str], config: CurationConfig, *, piece_bytes: float) -> list[Split]:
    """Pieces of about `piece_bytes`, no larger than the splits of a curation."""
    block = int(min(config.sources.block_size_bytes, max(MIN_PIECE_BYTES, piece_bytes)))
    return plan_splits(inputs, config=config.sources.model_copy(update={"block_size_bytes": block}))


NO_GUARD = {name: 1.0 for name in GuardConfig.model_fields if name.startswith("max_")}


def _copies(across: Estimate, totals: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """Copies in all, and what is kept after them; a document of every piece that has any is kept by the rules."""
    within, by_rules = totals["copies in a piece"], totals["kept by the rules"]
    left = max(by_rules.value - within.value, 0.0)
    between = [min(each, left) for each in (across.value, across.low, across.high)]
    copies = Estimate(within.value + between[0], within.low + between[1], within.high + between[2])
    kept = Estimate(
        by_rules.value - copies.value, max(by_rules.low - copies.high, 0.0), max(by_rules.high - copies.low, 0.0)
    )
    published = max(totals[PUBLISHED].value, 1.0)  # the sample has kept copies whose originals it lacks
    texts = {
        name: Estimate(
            totals[name].value * kept.value / published,
            totals[name].low * min(kept.low / published, 1.0),
            totals[name].high * min(kept.high / published, 1.0),
        )
        for name in ("characters kept", "tokens kept")
    }
    return {"copies": copies, "kept": kept, **texts}


def _per_piece(run: Run, splits: Sequence[Split]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in (*COUNTS, *AMOUNTS)}
    for split in splits:
        kept = read_parquet(run.part("verdicts", split.index), columns=["kept"])["kept"].to_numpy()
        removed = read_duplicates(run, split.index, columns=["key", "kept_key"])
        texts = pa.concat_tables(_published(run, split))
        read = read_parquet(run.part("documents", split.index), columns=["text"])["text"]
        found["bytes of text"].append(pc.sum(pc.binary_length(read)).as_py() or 0)
        found["documents"].append(len(kept))
        found["failed"].append(read_parquet(run.part("failures", split.index), columns=["error"]).num_rows)
        found["kept by the rules"].append(int(kept.sum()) + removed.num_rows)
        found["copies in a piece"].append(removed.num_rows - len(_originals_elsewhere(removed)))
        found[PUBLISHED].append(int(kept.sum()))
        found["characters kept"].append(pc.sum(texts["num_chars"]).as_py() or 0)
        found["tokens kept"].append(pc.sum(texts["token_estimate"]).as_py() or 0)
    return found


def _originals_elsewhere(removed: pa.Table) -> np.ndarray:
    """Keys of kept documents of other pieces that these copies of one piece have, each once."""
    keys, kept_keys = removed["key"].to_numpy(), removed["kept_key"].to_numpy()
    return np.unique(kept_keys[split_of(keys) != split_of(kept_keys)])


def _members_met(run: Run, splits: Sequence[Split], *, num_groups: int) -> np.ndarray:
    """How many groups of copies have a member in 1, 2, ... pieces of the sample; who has no copy is a group."""
    removed = [read_duplicates(run, split.index, columns=["key", "kept_key"]) for split in splits]
    _, others = np.unique(np.concatenate([_originals_elsewhere(table) for table in removed]), return_counts=True)
    met = np.bincount(others + 1, minlength=2)
    met[1] = max(num_groups - len(others), 0)
    return met[1:]


def _published(run: Run, split: Split) -> Iterator[pa.Table]:
    columns = ["num_chars", "token_estimate"]
    yield pa.table({name: pa.array([], pa.int64()) for name in columns})
    for path in _curated_parts(run, split):
        table = read_parquet(path, columns=columns)
        yield pa.table({name: table[name].cast(pa.int64()) for name in columns})


def _curated_parts(run: Run, split: Split) -> list[str]:
    paths = (join(run.path, "curated", lane, f"part-{split.index:05d}.parquet") for lane in ("zh", "en", "code"))
    return [path for path in paths if exists(path)]


def _disk_bytes(
    run: Run, splits: Sequence[Split], growth: Mapping[str, Estimate], *, still_kept: Estimate, num_files: int
) -> Estimate:
    """What the tables take: those of the sample as one file each, for small files are mostly headers."""
    paths = {name: [run.part(name, split.index) for split in splits] for name in TABLES}
    paths["curated"] = [path for split in splits for path in _curated_parts(run, split)]
    value, low, high = 0.0, 0.0, 0.0
    for name, parts in paths.items():
        first, more = _size_as_one_file(parts, level=PUBLISHED_LEVEL if name == "curated" else INTERMEDIATE_LEVEL)
        kept = still_kept if name == "curated" else Estimate(1.0, 1.0, 1.0)
        grown = growth["bytes of text" if name in TABLES_OF_TEXT else "documents"].scaled(more)
        value += num_files * first + grown.value * kept.value
        low += (num_files * first + grown.low * kept.low) * (1 - DISK_ERROR)
        high += (num_files * first + grown.high * kept.high) * (1 + DISK_ERROR)
    return Estimate(value, low, high)


def _shuffled_bytes(run: Run, splits: Sequence[Split], *, num_documents: int) -> int:
    """Of band keys and hashes of lines."""
    num_lines: int = sum(read_parquet(run.part("lines", split.index), columns=["unit"]).num_rows for split in splits)
    num_bands, _ = banding(run.config.dedup)
    return 24 * (num_bands + 1) * num_documents + 16 * num_lines


def _size_as_one_file(paths: Iterable[str], *, level: int) -> tuple[int, float]:
    """Bytes of a file with one row, and what the other rows of all these files add to it."""
    tables = [read_parquet(path) for path in paths]
    if not tables:
        return 0, 0.0
    first, whole = (_written_bytes(each, level=level) for each in ([tables[0].slice(0, 1)], tables))
    return first, max(whole - first, 0)


def _written_bytes(tables: Sequence[pa.Table], *, level: int) -> int:
    buffer = io.BytesIO()
    with GroupedWriter(buffer, tables[0].schema, level=level) as writer:
        for batch in (batch for table in tables for batch in table.to_batches()):
            writer.write(batch)
    return buffer.getbuffer().nbytes
