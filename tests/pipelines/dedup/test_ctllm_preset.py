"""The preset `ctllm` against the clusters that the CT-LLM authors' own code found in 7,942 real documents."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ctllm.pipelines.dedup.join import find_pairs
from ctllm.pipelines.dedup.signature import Signer
from ctllm.pipelines.dedup.survivors import choose_survivors
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.files import write_parquet

pytestmark = pytest.mark.private_data

FILES = ("web_zh_wet", "zh_corpus_samples")


def rows_of(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a JSONL.zst file."""
    with path.open("rb") as file, zstandard.ZstdDecompressor().stream_reader(file) as reader:
        yield from map(json.loads, io.TextIOWrapper(reader, encoding="utf-8"))


def test_clusters_are_those_of_the_authors(private_data: Path, tmp_path: Path) -> None:
    """312 clusters, 897 documents removed, the first of each kept: the same ids in every cluster."""
    config = DedupConfig(preset="ctllm")
    signer = Signer(config)
    paths, ids = [], []
    for number, name in enumerate(FILES):
        rows = list(rows_of(private_data / "restricted" / f"{name}.jsonl.zst"))
        columns = {
            "key": pa.array(range(len(ids), len(ids) + len(rows)), pa.uint64()),
            "url": pa.nulls(len(rows), pa.string()),
            "lane": ["zh"] * len(rows),
            "text": pa.array([row["text"] for row in rows], pa.large_string()),
        }
        ids += [row["id"] for row in rows]
        paths.append(str(tmp_path / "bands" / f"part-{number:05d}.parquet"))
        write_parquet(paths[-1], signer.sign(pa.record_batch(columns)))
    find_pairs(paths, out=str(tmp_path / "pairs"), config=config, options=RunnerOptions(workers=1))
    keys = np.arange(len(ids), dtype=np.uint64)
    zeros = pa.array(np.zeros(len(ids), np.int32))
    order = pa.table({"key": keys, "source_rank": zeros, "num_chars": zeros})
    duplicates = choose_survivors(pq.read_table(tmp_path / "pairs"), kept_keys=keys, order_columns=order, config=config)
    clusters: dict[int, list[str]] = {}
    for row in duplicates.to_pylist():
        clusters.setdefault(row["kept_key"], [ids[row["kept_key"]]]).append(ids[row["key"]])
    with gzip.open(private_data.parent / "golden" / "ctllm_minhash_clusters.jsonl.gz", "rt", encoding="utf-8") as file:
        golden = [json.loads(line) for line in file]
    assert sorted(clusters.values()) == sorted(golden)
    assert (len(clusters), duplicates.num_rows) == (312, 897)
