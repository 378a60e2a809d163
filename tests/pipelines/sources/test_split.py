"""Tests of planning what to read."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.pipelines.sources.split import MAX_FILES_PER_SPLIT, Split, plan_splits
from ctllm.schemas.curation_config import SourceConfig
from ctllm.schemas.errors import InputError

CONFIG = SourceConfig()
BLOCK = 1 << 16


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a small corpus of every kind in `corpus/`."""
    monkeypatch.chdir(tmp_path)
    for name, content in {
        "b.jsonl": '{"text": "b"}\n', "a.jsonl": '{"text": "a"}\n', "array.json": '[{"text": "c"}]',
        "lines.json": '{"text": "d"}\n', "package.json": '{"name": "no data"}', "tree/z.py": "x = 1\n",
        "tree/a.c": "int x;\n", "notes.md": "# n", "page.html": "<p>p",
        "picture.png": "\0", ".git/config.py": "hidden", "crawl.warc": "WARC/1.0\r\n",
    }.items():  # fmt: skip
        path = tmp_path / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def summary(splits: list[Split]) -> list[tuple[str, str, str]]:
    """Path, format and source of each split."""
    return [(split.url, split.format, split.source) for split in splits]


def test_a_directory_is_walked(inputs: Path) -> None:
    """Containers are inputs of their own, single documents go together; hidden and foreign files are left out."""
    assert inputs.is_dir()
    splits = plan_splits(["corpus"], config=CONFIG)
    assert summary(splits) == [
        ("corpus", "tree", "corpus"),
        ("corpus/a.jsonl", "jsonl", "a"),
        ("corpus/array.json", "json", "array"),
        ("corpus/b.jsonl", "jsonl", "b"),
        ("corpus/crawl.warc", "warc", "crawl"),
        ("corpus/lines.json", "jsonl", "lines"),
    ]
    assert splits[0].files == ("notes.md", "page.html", "tree/a.c", "tree/z.py")
    assert splits[0].size_bytes == sum((Path("corpus") / name).stat().st_size for name in splits[0].files)
    assert [split.index for split in splits] == list(range(6))


def test_order_repetition_and_globs_do_not_matter(inputs: Path) -> None:
    """The same files in another order, named twice or matched by a glob give the same splits."""
    expected = plan_splits(["corpus/a.jsonl", "corpus/b.jsonl", "corpus/tree"], config=CONFIG)
    assert summary(expected)[2] == ("corpus/tree", "tree", "tree")
    assert plan_splits(["corpus/tree/", "corpus/*.jsonl", str(inputs / "corpus/a.jsonl")], config=CONFIG) == [
        *plan_splits([str(inputs / "corpus/a.jsonl"), "corpus/b.jsonl", "corpus/tree"], config=CONFIG)
    ]
    assert plan_splits(["corpus/tree", "corpus/*.jsonl", "corpus/b.jsonl"], config=CONFIG) == expected


def test_large_plain_json_lines_are_cut_and_compressed_ones_are_not(inputs: Path) -> None:
    """Blocks cover the file without gap or overlap; a gzip file, whatever it is called, is one split."""
    data = b'{"text": "x"}\n' * 10_000
    (inputs / "plain.jsonl").write_bytes(data)
    (inputs / "packed.jsonl").write_bytes(gzip.compress(data, 0))
    config = SourceConfig(block_size_bytes=BLOCK)
    splits = plan_splits(["plain.jsonl"], config=config)
    assert [(split.start, split.end) for split in splits] == [(0, BLOCK), (BLOCK, 2 * BLOCK), (2 * BLOCK, len(data))]
    assert sum(split.size_bytes for split in splits) == len(data)
    assert len(plan_splits(["packed.jsonl"], config=config)) == 1


def test_parquet_is_cut_between_row_groups(inputs: Path) -> None:
    """Small row groups share a split, and all of them are covered in order."""
    table = pa.table({"text": [f"{row:08}" * 100 for row in range(1000)]})
    pq.write_table(table, inputs / "rows.parquet", row_group_size=50)
    splits = plan_splits(["rows.parquet"], config=SourceConfig(block_size_bytes=BLOCK))
    assert len(splits) > 1
    assert [split.start for split in splits[1:]] == [split.end for split in splits[:-1]]
    assert (splits[0].start, splits[-1].end) == (0, 20)


def test_a_large_directory_is_cut_by_files_and_bytes(inputs: Path) -> None:
    """No split of a directory holds more files than a batch, or much more bytes than a block."""
    many = inputs / "many"
    many.mkdir()
    for number in range(MAX_FILES_PER_SPLIT + 1):
        (many / f"{number:05}.txt").touch()
    assert [len(split.files) for split in plan_splits(["many"], config=CONFIG)] == [MAX_FILES_PER_SPLIT, 1]
    large = inputs / "large"
    large.mkdir()
    for number in range(4):
        (large / f"{number}.txt").write_bytes(b"x" * (BLOCK // 2))
    splits = plan_splits(["large"], config=SourceConfig(block_size_bytes=BLOCK))
    assert [split.files for split in splits] == [("0.txt", "1.txt"), ("2.txt", "3.txt")]


def test_a_given_file_is_known_by_its_bytes(inputs: Path) -> None:
    """A crawl without an extension is read as what it is; a picture is refused with the list of formats."""
    (inputs / "crawl").write_bytes(gzip.compress(b"WARC/1.0\r\n"))
    assert summary(plan_splits(["crawl"], config=CONFIG)) == [("crawl", "warc", "crawl")]
    with pytest.raises(InputError, match=r"picture\.png.*known are .*\.warc"):
        plan_splits(["corpus/picture.png"], config=CONFIG)


@pytest.mark.parametrize("missing", ["nothing.jsonl", "corpus/*.zip", "nowhere/"])
def test_a_missing_input_is_named(missing: str, inputs: Path) -> None:
    """A path or glob without a file stops the run before it starts, beside inputs that exist too."""
    assert inputs.is_dir()
    with pytest.raises(InputError, match="no such file"):
        plan_splits(["corpus/a.jsonl", missing], config=CONFIG)


def test_a_directory_without_readable_files_is_refused(inputs: Path) -> None:
    """An empty directory and one of pictures hold nothing to curate; nor does an empty list."""
    (inputs / "empty").mkdir()
    with pytest.raises(InputError, match="empty: no readable files"):
        plan_splits(["empty"], config=CONFIG)
    with pytest.raises(InputError, match="--input"):
        plan_splits([], config=CONFIG)
