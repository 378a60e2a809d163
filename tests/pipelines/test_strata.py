"""Which pieces a sample takes, and totals of all from them."""

from dataclasses import replace

import numpy as np
import pytest

from ctllm.pipelines.sources.split import Split
from ctllm.pipelines.strata import choose, stratum_of, total_of

PIECE = Split(0, "a.jsonl", "jsonl", "a", 0, 1, 1)


def pieces(sizes: list[int], *, source: str = "a") -> list[Split]:
    """Pieces of these sizes."""
    return [replace(PIECE, index=index, size_bytes=size, url=f"{source}.jsonl") for index, size in enumerate(sizes)]


def test_every_source_is_in_the_sample() -> None:
    """At least two pieces of each, by chance, and the same ones for the same seed."""
    many, few = pieces([10] * 5000), pieces([10] * 3, source="b")
    chosen = choose([*many, *few], share=0.02, seed=1)
    assert [sum(split.url == f"{name}.jsonl" for split in chosen) for name in "ab"] == [100, 2]
    assert chosen == choose([*many, *few], share=0.02, seed=1) != choose([*many, *few], share=0.02, seed=2)


def test_numbered_files_are_one_source() -> None:
    """Of 300 parts of one set a few are read, not two pieces of each; another set beside them has its own two."""
    parts = [
        replace(PIECE, index=index, url=f"web-{index // 20}/part-{index:05d}-c1f2a.parquet") for index in range(300)
    ]
    books = [replace(PIECE, index=300 + index, url=f"books/part-{index:05d}.parquet") for index in range(5)]
    assert {stratum_of(split) for split in parts + books} == {"web-#/part-#-#.parquet", "books/part-#.parquet"}
    chosen = choose(parts + books, share=0.1, seed=0)
    assert (sum(split.index < 300 for split in chosen), len(chosen)) == (99, 101)


def test_large_pieces_do_not_make_a_sample_of_everything() -> None:
    """Of 30 row groups of 16 MiB a sample of 1 % takes four, 64 MiB, and not all for the sake of 100 pieces."""
    assert len(choose(pieces([16 << 20] * 30), share=0.01, seed=0)) == 4
    assert len(choose(pieces([1 << 16] * 300), share=0.01, seed=0)) == 100


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of 400 samples of documents that depend on the size but for noise, 95 in 100 intervals hold the total."""
    random = np.random.default_rng(3)
    sizes = random.integers(50, 150, 2000)
    documents = random.poisson(sizes / 5)
    all_pieces = pieces(sizes.tolist())
    held = 0
    for seed in range(400):
        chosen = choose(all_pieces, share=0.05, seed=seed)
        sizes_of_chosen = [split.size_bytes for split in chosen]
        found = total_of(documents[[split.index for split in chosen]], chosen, all_pieces, sizes=sizes_of_chosen)
        held += found.low <= documents.sum() <= found.high
    assert 0.92 <= held / 400 <= 0.98


def test_a_long_document_counts_with_the_bytes_it_has() -> None:
    """Novels of 40 blocks among short texts: by the bytes of lines every sample gives the total, by blocks few do."""
    lines = np.where(np.arange(2000) % 50 == 0, 4000, 20)  # what begins in each block of 100 bytes
    all_pieces = pieces([int(lines.sum()) // 2000] * 2000)
    tokens = lines // 4
    errors = []
    for seed in range(50):
        chosen = choose(all_pieces, share=0.05, seed=seed)
        found = tokens[[split.index for split in chosen]]
        by_lines = total_of(found, chosen, all_pieces, sizes=[int(lines[split.index]) for split in chosen])
        by_block = total_of(found, chosen, all_pieces, sizes=[split.size_bytes for split in chosen])
        assert by_lines.value == pytest.approx(tokens.sum(), rel=0.01)
        errors.append(abs(by_block.value / tokens.sum() - 1))
    assert np.median(errors) > 0.15
