"""A sample of the run's documents with what was measured of them, so that several thresholds can be tried at once.

Of every lane the documents with the smallest hash of their key: the same on any number of workers, and the first rows
of a lane are a smaller sample of it.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.cuts import after_cuts, cut_chars, emptied
from ctllm.pipelines.judgement import candidate_keys, weights_of
from ctllm.pipelines.reasons import flatten
from ctllm.pipelines.run_directory import Run
from ctllm.schemas.document import CURATED_LANES
from ctllm.schemas.files import join, read_parquet, remove_tree, write_parquet
from ctllm.schemas.mixture import fill, key_hash
from ctllm.schemas.stats import MAX_SAMPLED_DOCUMENTS, SAMPLED_SIGNALS, SIGNAL_SAMPLE
from ctllm.schemas.verdict import COPIES

SAMPLE_SALT = 11  # another order than that of held-out documents (0) and of the tokenizer's sample
SPARE_DEVIATIONS = 6  # chosen: a lane falls short of its quota once in 10^9 runs; with a smaller sample, no harm done
PARTS = join("stats", "signal_sample_parts")


def lane_counts(run: Run, splits: Sequence[int]) -> dict[str, int]:
    """Documents of each lane that has rules, kept or not; lanes without any are left out."""
    counts: Counter[str] = Counter()
    for split in splits:
        counts.update(read_parquet(run.part("verdicts", split), columns=["lane"])["lane"].to_pylist())
    return {lane: counts[lane] for lane in CURATED_LANES if counts[lane]}


def quotas(counts: Mapping[str, int]) -> dict[str, int]:
    """Documents to sample of each lane: equally many, and what a small lane lacks the others give."""
    return fill(counts, weights=dict.fromkeys(counts, 1), total=MAX_SAMPLED_DOCUMENTS)


def cutoffs(counts: Mapping[str, int]) -> dict[str, float]:
    """Lane to the hash below which its quota of documents lies, with some to spare."""
    wanted = quotas(counts)
    return {lane: (wanted[lane] + SPARE_DEVIATIONS * sqrt(wanted[lane])) / counts[lane] for lane in counts}


def write_sample_part(
    run: Run, split: int, *, signals: pa.Table, verdicts: pa.Table, cuts: pa.Table, below: Mapping[str, float]
) -> None:
    """Writes the rows of one split whose hash is below that of their lane; `merge_samples` takes the quota of them."""
    lanes = verdicts["lane"].to_numpy()
    hashes = key_hash(verdicts["key"].to_numpy(), salt=SAMPLE_SALT)
    rows = np.flatnonzero(hashes < np.array([below.get(lane, -1.0) for lane in lanes]))
    left = after_cuts(signals, cut_chars(cuts, signals.num_rows))
    _, chars, tokens = weights_of(left)
    columns = {
        "key": verdicts["key"],
        "lane": verdicts["lane"],
        "kept": verdicts["kept"],
        "is_copy": np.isin(flatten(verdicts["reasons"]).first_names().astype(str), list(COPIES.values())),
        "has_copies": np.zeros(len(lanes), bool),
        "nothing_left": emptied(cuts, left["num_chars"].to_numpy()),
        "chars": chars,
        "tokens": tokens,
        **{name: left[name].cast(pa.float32(), safe=False) for name in SAMPLED_SIGNALS},  # above 2^24 rounded
    }
    table = pa.table([columns[name] for name in SIGNAL_SAMPLE.names], schema=SIGNAL_SAMPLE)
    write_parquet(run.part(PARTS, split), table.take(pa.array(rows)))


def merge_samples(run: Run, splits: Sequence[int]) -> pa.Table:
    """SIGNAL_SAMPLE of the run, lane by lane in order of the hash; removes the parts."""
    table = pa.concat_tables([SIGNAL_SAMPLE.empty_table(), *(read_parquet(run.part(PARTS, each)) for each in splits)])
    remove_tree(run.directory(PARTS))
    hashes = key_hash(table["key"].to_numpy(), salt=SAMPLE_SALT)
    table = table.take(pa.array(np.argsort(hashes, kind="stable")))
    counts = lane_counts(run, splits)
    wanted = quotas(counts)
    lanes = [table.filter(pc.equal(table["lane"], lane))[: wanted[lane]] for lane in counts]
    sample = pa.concat_tables([SIGNAL_SAMPLE.empty_table(), *lanes]).combine_chunks()
    has_copies = np.isin(sample["key"].to_numpy(), candidate_keys(run))
    at = SIGNAL_SAMPLE.names.index("has_copies")
    return sample.set_column(at, SIGNAL_SAMPLE.field(at), pa.array(has_copies))
