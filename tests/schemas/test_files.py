"""Files: whole or not there."""

from pathlib import Path

import pyarrow as pa
import pytest

from ctllm.schemas import files
from ctllm.schemas.errors import ConfigError, InputError, OutputError


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    """An error in the middle of a write leaves what was there, and no temporary file."""
    path = tmp_path / "data.json"
    files.write_json(str(path), {"version": 1})
    with pytest.raises(RuntimeError), files.written_whole(str(path)) as file:
        file.write(b"half")
        raise RuntimeError
    assert files.read_json(str(path)) == {"version": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["data.json"]


def test_unwritable_directory_is_an_output_error(tmp_path: Path) -> None:
    """A path below a plain file cannot be written, and the message names it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/data\.json"):
        files.write_json(str(tmp_path / "file" / "data.json"), 1)


def test_full_disk_is_an_output_error(tmp_path: Path) -> None:
    """A full device ends in one sentence that says what to do, and leaves nothing half-written."""
    with (
        pytest.raises(OutputError, match="no space left"),
        files.written_whole(str(tmp_path / "data")),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_packaged_files_are_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A config of ours is found in any directory; a file of the user's with that name comes first."""
    monkeypatch.chdir(tmp_path)
    assert Path(files.packaged("configs/curation/recommended.yaml")).is_file()
    assert files.packaged("configs/curation/mine.yaml") == "configs/curation/mine.yaml"
    (tmp_path / "configs" / "curation").mkdir(parents=True)
    (tmp_path / "configs" / "curation" / "recommended.yaml").write_text("{}")
    assert files.packaged("configs/curation/recommended.yaml") == "configs/curation/recommended.yaml"


def test_equal_tables_give_equal_bytes(tmp_path: Path) -> None:
    """The same rows are the same bytes, so digests can be compared between runs."""
    table = pa.table({"text": ["一", "二"] * 100})
    for name in ("a", "b"):
        files.write_parquet(str(tmp_path / name), table)
    assert files.file_digest(str(tmp_path / "a")) == files.file_digest(str(tmp_path / "b"))


def test_broken_parquet_is_an_input_error(tmp_path: Path) -> None:
    """A truncated Parquet file is named, with what to do."""
    path = tmp_path / "part.parquet"
    files.write_parquet(str(path), pa.table({"a": [1]}))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"part\.parquet"):
        files.read_parquet(str(path))


def test_columns_come_as_asked_for(tmp_path: Path) -> None:
    """In the order of the call, not of the file; one that is not there is named."""
    path = str(tmp_path / "part.parquet")
    files.write_parquet(path, pa.table({"a": [1], "b": [2], "c": [3]}))
    assert files.read_parquet(path, columns=["c", "a"]).to_pydict() == {"c": [3], "a": [1]}
    assert files.read_parquet(path).column_names == ["a", "b", "c"]
    with pytest.raises(InputError, match=r'part\.parquet: .*"d".*run the stage again'):
        files.read_parquet(path, columns=["a", "d"])


def test_listing_leaves_out_temporary_files(tmp_path: Path) -> None:
    """Files that are being written do not count as there."""
    for name in ("b.parquet", "a.parquet", ".a.parquet.tmp", "note.txt"):
        (tmp_path / name).write_text("")
    assert files.list_files(str(tmp_path), suffix=".parquet") == [f"{tmp_path}/a.parquet", f"{tmp_path}/b.parquet"]
    assert files.walk_files(str(tmp_path)) == ["a.parquet", "b.parquet", "note.txt"]


@pytest.mark.parametrize(
    "url",
    [
        "https://user:PLANTED@example.org/a.jsonl",
        "https://example.org/a?X-Amz-Signature=PLANTED&X-Amz-Expires=60",
        "https://example.org/a?page=1&access_token=PLANTED",
        "gs://PLANTED@bucket/a",
    ],
)
def test_a_url_with_a_secret_is_refused_without_showing_it(url: str) -> None:
    """A password or signature in an input's URL would be written into manifests: refused, and not repeated."""
    with pytest.raises(ConfigError, match="carries a password or a signature") as refused:
        files.check_has_no_secret(url)
    assert "PLANTED" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["a@b/c.jsonl", "s3://bucket/a?b.parquet", "https://example.org/a?page=1&keyword=x", "zh@3"]
)
def test_other_urls_and_paths_pass(url: str) -> None:
    """An at sign in a path, a question mark in an object's name, a harmless query."""
    files.check_has_no_secret(url)
