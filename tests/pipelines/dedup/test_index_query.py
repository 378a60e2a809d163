"""Questions to an index, with datasketch as oracle."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from datasketch import MinHash, MinHashLSH

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.dedup.hashing_form import tokens
from ctllm.pipelines.dedup.index import read_index
from ctllm.pipelines.dedup.index_query import IndexLSH, query_index
from ctllm.pipelines.dedup.shingles import distinct_shingles
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.dedup_index import FORMAT, IndexedSnapshot, IndexManifest
from ctllm.schemas.duplicates import BANDS_VERSION
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import read_parquet, write_json, write_parquet

BandFiles = Callable[..., list[str]]
SHORT = "春眠不觉晓"


@pytest.fixture
def make_index(tmp_path: Path, band_files: BandFiles) -> Callable[..., str]:
    """Makes an index of one snapshot, keys from 0, `rows` documents a split; the first text was not kept."""

    def make(texts: list[str], rows: int = 4) -> str:
        paths = band_files(texts, config=DedupConfig(), rows=rows)
        for number, path in enumerate(paths):
            kept = pa.array([number + row > 0 for row in range(min(rows, len(texts) - rows * number))])
            write_parquet(path.replace("bands", "verdicts"), pa.table([kept], names=["kept"]))
        entry = IndexedSnapshot(
            snapshot=0, run=str(tmp_path), run_id="x", documents=len(texts), kept=len(texts) - 1,
            files=(("", ""),) * len(paths), compared=(),
        )  # fmt: skip
        directory = tmp_path / "index"
        settings = DedupConfig().model_dump(mode="json")
        manifest = IndexManifest(format=FORMAT, bands_version=BANDS_VERSION, settings=settings)
        write_json(str(directory / "index.json"), manifest.model_dump(mode="json"))
        write_json(str(directory / "snapshot-00000.json"), entry.model_dump(mode="json"))
        assert len(read_index(str(directory))) == 1
        return str(directory)

    return make


@pytest.fixture
def index(make_index: Callable[..., str], essays: list[str]) -> str:
    """An index of keys 0 to 5: the essays, of which the first was not kept, and a short text."""
    return make_index([*essays, SHORT])


def minhash_of(text: str) -> MinHash:
    """The MinHash, by datasketch, of the shingles of a text."""
    batch = TextBatch.of(pa.array([text], pa.large_string()))
    found, offsets = tokens(batch.codepoints, batch.offsets, is_code=np.zeros(1, bool), fold_variants=True)
    shingles, _ = distinct_shingles(found, offsets, num_chars=5, num_words=3, min_shingles=20)
    minhash = MinHash(num_perm=128, hashfunc=lambda value: value & 0xFFFFFFFF, scheme="affine32")
    minhash.update_batch(shingles.tolist())
    return minhash


def test_lsh_answers_as_datasketch_does(index: str, essays: list[str], edited: list[str]) -> None:
    """For every text the keys are those that a datasketch LSH of the kept documents gives."""
    lsh = IndexLSH(index)
    oracle = MinHashLSH(num_perm=128, params=(lsh.b, lsh.r))
    for key, text in list(enumerate(essays))[1:]:
        oracle.insert(key, minhash_of(text))
    halves = [one[: len(one) * 9 // 10] + other[:40] for one, other in zip(essays, essays[::-1], strict=True)]
    answers = []
    for text in [*essays, *edited, *halves, *(each[::-1] for each in essays)]:
        expected = sorted(oracle.query(minhash_of(text)))
        assert lsh.query(minhash_of(text)) == lsh.query_text(text) == expected
        answers.append(len(expected))
    assert set(answers) == {0, 1}
    assert [key in lsh for key in range(7)] == [False, True, True, True, True, True, False]
    assert (lsh.query_text(SHORT), lsh.is_empty()) == ([], False)


def test_lsh_refuses_another_minhash(index: str) -> None:
    """A MinHash of other permutations would never match, and no one would know."""
    for wrong in (MinHash(num_perm=64, scheme="affine32"), MinHash(num_perm=128, scheme="legacy")):
        with pytest.raises(ValueError, match="the index has 128, affine32"):
            IndexLSH(index).query(wrong)


def test_text_is_found_with_its_similarity(index: str, essays: list[str], edited: list[str]) -> None:
    """Exact and near copies of what was kept, short ones too; nothing for other texts and for what was not kept."""
    asked = [essays[1].replace("，", ","), edited[2], SHORT + "！", edited[0], essays[1][::-1], ""]
    found = [[(match.key, match.kind) for match in query_index(index, text)] for text in asked]
    assert found == [[(1, "exact")], [(2, "near")], [(5, "exact")], [], [], []]
    match = query_index(index, edited[2])[0]
    assert 0.8 <= match.jaccard < 1
    assert 0 < match.standard_error < 0.025  # and no texts to compare
    assert match.containment >= match.jaccard
    assert "key 2, not in" in match.id  # this index has no documents to show


def grams(text: str) -> set[str]:
    """Character 5-grams of a text of Han characters only."""
    return {text[at : at + 5] for at in range(len(text) - 4)}


def test_the_border_is_decided_by_all_shingles(make_index: Callable[..., str], tmp_path: Path) -> None:
    """Where texts are at hand a copy is what truly reaches the threshold; else the answer has its standard error."""
    generator = np.random.default_rng(1)
    texts = ["".join(map(chr, generator.integers(0x4E00, 0x9FA5, 1000))) for _ in range(24)]
    ends = ["".join(map(chr, generator.integers(0x4E00, 0x9FA5, 110 + row % 8))) for row in range(24)]
    asked = [text[:-108] + end for text, end in zip(texts, ends, strict=True)]
    sets = [(grams(one), grams(other)) for one, other in zip(texts, asked, strict=True)]
    truth = [len(one & other) / len(one | other) for one, other in sets]
    index = make_index(texts, rows=24)
    table = read_parquet(str(tmp_path / "texts" / "part-00000.parquet"))
    for name in ("id", "source"):
        table = table.append_column(name, pa.array([name] * len(table), pa.string()))
    write_parquet(str(tmp_path / "documents" / "part-00000.parquet"), table)
    candidates = [IndexLSH(index).query_text(text) for text in asked]
    exact = [query_index(index, text) for text in asked]
    shutil.rmtree(tmp_path / "documents")
    estimated = [query_index(index, text) for text in asked]
    for row, matches in enumerate(exact):
        met = row > 0 and candidates[row] == [row] and truth[row] >= 0.8
        assert [(each.key, each.jaccard, each.standard_error) for each in matches] == (
            [(row, pytest.approx(truth[row]), 0)] if met else []
        )
    assert 5 < sum(map(len, exact)) < 20
    assert [len(each) for each in exact] != [len(each) for each in estimated]
    assert all(0.02 < each.standard_error < 0.03 for matches in estimated for each in matches)


def test_no_index_is_named(tmp_path: Path) -> None:
    """A directory without an index has no answer."""
    with pytest.raises(InputError, match="not a dedup index"):
        query_index(str(tmp_path), "文")
