"""Corpora that break a dedup: nothing but copies, nothing at all, one endless document, one huge cluster."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.judgement import RANKED, duplicates_among
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig, DedupConfig

BandFiles = Callable[..., list[str]]


def deduplicated(
    paths: Sequence[str], out: Path, texts: Sequence[str], config: DedupConfig
) -> tuple[dict[str, int], pa.Table]:
    """Counts of the join, and DUPLICATES where the rules keep every document."""
    counts = find_pairs(paths, out=str(out), config=config, options=RunnerOptions(workers=2))
    ranked = np.zeros(len(texts), RANKED)
    ranked["key"], ranked["num_chars"] = np.arange(len(texts)), list(map(len, texts))
    return counts, duplicates_among(pq.read_table(out), ranked, config=CurationConfig(dedup=config))


def test_corpus_of_one_document_many_times_keeps_one(band_files: BandFiles, tmp_path: Path, essays: list[str]) -> None:
    """Every copy is linked to the first: n - 1 pairs, not n squared, though all share all bands."""
    texts = [essays[0]] * 300
    config = DedupConfig(max_bucket=5)
    paths = band_files(texts, config=config, rows=100)
    counts, duplicates = deduplicated(paths, tmp_path / "pairs", texts, config)
    assert counts == {"pairs": 299, "exact": 299, "near": 0, "url": 0, "refused": 0, "border": 0, "hot_buckets": 0}
    assert duplicates["key"].to_pylist() == list(range(1, 300))
    assert set(duplicates["kept_key"].to_pylist()) == {0}
    assert set(duplicates["cluster_size"].to_pylist()) == {300}


@pytest.mark.parametrize("texts", [[], [""], ["", "", "！"]])
def test_corpus_of_nothing_has_no_pairs(band_files: BandFiles, tmp_path: Path, texts: list[str]) -> None:
    """No files, an empty document, several of them: none is a copy of another."""
    counts, duplicates = deduplicated(band_files(texts, config=DedupConfig()), tmp_path / "pairs", texts, DedupConfig())
    assert set(counts.values()) == {0}
    assert duplicates.num_rows == 0


def test_copy_of_ten_million_characters_is_found(band_files: BandFiles, tmp_path: Path, essays: list[str]) -> None:
    """A document as long as a library, with random characters so that no shingle repeats, and a copy with changes."""
    rng = np.random.default_rng(0)
    long = "".join(map(chr, rng.integers(0x4E00, 0x9F00, 10_000_000).tolist()))
    texts = [essays[0], long, long[:5_000_000] + essays[1] + long[5_000_000:]]
    counts, duplicates = deduplicated(band_files(texts, config=DedupConfig()), tmp_path / "pairs", texts, DedupConfig())
    assert (counts["near"], counts["exact"]) == (1, 0)
    assert duplicates.select(["key", "kept_key", "kind"]).to_pylist() == [{"key": 1, "kept_key": 2, "kind": "near"}]


def test_cluster_of_more_than_a_bucket_leaves_few(band_files: BandFiles, tmp_path: Path, essays: list[str]) -> None:
    """600 near copies in buckets of 200, the longest not the one they were compared with: 9 of 10 go.

    The full size is measured in benchmarks/dedup_scale.py --cluster.
    """
    texts = [essays[0] + "尾" * (1 + number % 37) + f"第{number}页" for number in range(600)]
    config = DedupConfig(max_bucket=200)
    counts, duplicates = deduplicated(band_files(texts, config=config, rows=300), tmp_path / "pairs", texts, config)
    assert counts["hot_buckets"] > 0
    assert counts["pairs"] < 600 * 17
    assert duplicates.num_rows > 540
    assert not set(duplicates["key"].to_pylist()) & set(duplicates["kept_key"].to_pylist())
