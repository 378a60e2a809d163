"""Verified pairs of a run with both documents and where they differ, for a person to judge the threshold by."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.differences import Difference, differences
from ctllm.pipelines.documents import fetch_documents
from ctllm.pipelines.judgement import read_duplicates, read_pairs
from ctllm.pipelines.run_directory import Run, measured_splits, read_run
from ctllm.schemas.document import snapshot_of, split_of
from ctllm.schemas.errors import InputError


@dataclass(frozen=True)
class PairOfTexts:
    """One verified pair."""

    kind: str
    jaccard: float
    containment: float
    one: dict[str, Any]
    """key, id, url, source, text; `removed`: whether the run removed it as a copy."""
    other: dict[str, Any]
    differences: list[Difference]


def pairs_of_texts(
    path: str, *, min_jaccard: float = 0.0, max_jaccard: float = 1.0, source: str | None = None, limit: int = 10
) -> list[PairOfTexts]:
    """Pairs of run `path` within both bounds, inclusive, the least similar first, at most `limit`.

    With `source`, those that have a document of it. Raises InputError where the run has no such source.
    """
    run = read_run(path)
    pairs = read_pairs(run)
    jaccard = pairs["jaccard"]
    pairs = pairs.filter(pc.and_(pc.greater_equal(jaccard, np.float32(min_jaccard)),
                                 pc.less_equal(jaccard, np.float32(max_jaccard))))  # fmt: skip
    if source is not None:
        pairs = pairs.filter(pa.array(_is_of_source(run, pairs, source)))
    order = [("jaccard", "ascending"), ("key_a", "ascending"), ("key_b", "ascending")]
    rows = pairs.sort_by(order).slice(0, limit).to_pylist()
    keys = [row[name] for row in rows for name in ("key_a", "key_b")]
    documents = fetch_documents(run, keys, columns=["id", "url", "source", "text"])
    removed = set(read_duplicates(run, columns=["key"])["key"].to_pylist())
    return [
        PairOfTexts(
            kind=row["kind"],
            jaccard=row["jaccard"],
            containment=row["containment"],
            one=documents[row["key_a"]] | {"removed": row["key_a"] in removed},
            other=documents[row["key_b"]] | {"removed": row["key_b"] in removed},
            differences=differences(documents[row["key_a"]]["text"], documents[row["key_b"]]["text"]),
        )
        for row in rows
    ]


def _is_of_source(run: Run, pairs: pa.Table, source: str) -> np.ndarray:
    """Whether a document of each pair is of `source`: (pairs,), bool. Documents of other snapshots do not count."""
    splits = {split.index: split.source for split in measured_splits(run)}
    if source not in splits.values():
        raise InputError(f"{run.path}: no source {source!r}; there are {', '.join(sorted(set(splits.values())))}")
    wanted = [index for index, name in splits.items() if name == source]
    found = np.zeros(pairs.num_rows, bool)
    for name in ("key_a", "key_b"):
        keys = pairs[name].to_numpy()
        found |= (snapshot_of(keys) == run.config.snapshot) & np.isin(split_of(keys), wanted)
    return found
