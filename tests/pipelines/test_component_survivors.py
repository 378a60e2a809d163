"""Survivors chosen component by component, against the choice made in memory at once."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from ctllm.pipelines import component_survivors
from ctllm.pipelines.component_survivors import choose_by_component
from ctllm.pipelines.decide import decide
from ctllm.pipelines.judgement import (
    count_pairs,
    duplicates_among,
    rank_candidates,
    read_duplicates,
    write_duplicates,
)
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.run_directory import Run, read_run
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.document import document_keys
from ctllm.schemas.duplicates import PAIRS
from ctllm.schemas.files import write_parquet

NUM_SPLITS, NUM_ROWS = 3, 120


def random_pairs(keys: np.ndarray, earlier: np.ndarray, rng: np.random.Generator) -> pa.Table:
    """PAIRS of chains, stars and single pairs; some of exact copies, some with a document of an earlier snapshot."""
    places = rng.permutation(len(keys))
    chain = np.column_stack([places[:40], places[1:41]])
    star = np.column_stack([np.full(30, places[41]), places[42:72]])
    random = rng.integers(0, len(keys), (120, 2))
    edges = keys[np.concatenate([chain, star, random])]
    edges[::9, 0] = rng.choice(earlier, len(edges[::9]))
    edges = np.unique(np.sort(edges[edges[:, 0] != edges[:, 1]], axis=1), axis=0)
    is_exact = (rng.random(len(edges)) < 0.1) & ~np.isin(edges[:, 0], earlier)
    jaccard = np.where(is_exact, 1, rng.choice([0.8, 0.85, 0.9], len(edges))).astype(np.float32)
    kinds = np.where(is_exact, "exact", "near")
    return pa.table([edges[:, 0], edges[:, 1], kinds, jaccard, jaccard], schema=PAIRS)


@pytest.mark.parametrize("shuffle", ["gbk", "files"])
def test_same_files_as_in_memory(
    small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shuffle: str
) -> None:
    """Rules that remove some, sources of different rank, an earlier snapshot: every byte of `duplicates/` is equal."""
    rng = np.random.default_rng(3)
    config = CurationConfig(snapshot=2)
    run = Run(str(tmp_path / "run"), config, read_run(str(small_run / "run")).manifest)
    splits = [document_keys(snapshot=2, split=split, first_row=0, num_rows=NUM_ROWS) for split in range(NUM_SPLITS)]
    pairs = random_pairs(np.concatenate(splits), document_keys(snapshot=1, split=0, first_row=0, num_rows=9), rng)
    for number in range(3):
        write_parquet(run.part("pairs", number), pairs.take(np.arange(number, len(pairs), 3)))
    judged = {
        split: SimpleNamespace(
            keys=keys,
            kept=rng.random(NUM_ROWS) < 0.8,
            num_chars=rng.integers(10, 14, NUM_ROWS).astype(np.int32),
            ordering={},
        )
        for split, keys in enumerate(splits)
    }
    monkeypatch.setattr(component_survivors, "judge_split", lambda _run, split: judged[split])
    monkeypatch.setattr(component_survivors, "PARTITION_BYTES", 2000)
    ranks = {0: 0, 1: 1, 2: 0}
    ranked = [rank_candidates(judged[split], candidates=None, source_rank=rank) for split, rank in ranks.items()]  # type: ignore[arg-type]
    expected = duplicates_among(pairs, np.concatenate(ranked), config=config)
    assert len(expected) > 60
    write_duplicates(run, expected)
    in_memory = {path.name: path.read_bytes() for path in (tmp_path / "run" / "duplicates").iterdir()}
    assert sorted(in_memory) == ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]
    for name in in_memory:
        (tmp_path / "run" / "duplicates" / name).unlink()
    options = RunnerOptions(workers=1 if shuffle == "gbk" else 3, shuffle=shuffle)  # type: ignore[arg-type]
    choose_by_component(run, ranks, num_pairs=len(pairs), options=options)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run" / "duplicates").iterdir()} == in_memory


@pytest.mark.parametrize("bound", [1, 2])
def test_decide_above_the_bound_writes_the_same_verdicts(small_run: Path, bound: int) -> None:
    """Two pairs are one more than memory is allowed to hold, or as many: the run ends in the same bytes."""
    run = read_run(str(small_run / "run"))
    tables = ("duplicates", "verdicts")
    before = {path: path.read_bytes() for name in tables for path in (small_run / "run" / name).glob("*.parquet")}
    assert (len(before), count_pairs(run), len(read_duplicates(run))) == (3, 2, 2)
    for path in before:
        path.unlink()
    stages: set[str] = set()
    options = RunnerOptions(workers=1, max_pairs_in_memory=bound)
    counts = decide(
        run, [0, 1], sources=["bad", "good"], options=options, progress=lambda event: stages.add(event.stage)
    )
    assert ("components" in stages) == (bound < 2)
    assert counts == {"kept": 8, "removed": 4}
    assert {path: path.read_bytes() for path in before} == before
    assert not (small_run / "run" / "duplicates" / "components").exists()
