"""Tests of reading directories of single documents."""

from pathlib import Path
from typing import Any

from ctllm.pipelines.sources.records import Failure, Record


def test_each_file_is_a_document_with_its_path_as_id(read: Any, tmp_path: Path) -> None:
    """Source files know their language, texts and pages beside them are read as such; broken ones are counted."""
    root = tmp_path / "repo"
    (root / "src").mkdir(parents=True)
    (root / "src" / "a.rs").write_text("fn main() {}\n")
    (root / "README.md").write_text("# 说明\n")
    (root / "index.html").write_text("<html><title>T</title><p>段落</p>")
    (root / "src" / "empty.py").touch()
    (root / "src" / "lost.py").symlink_to(root / "nowhere.py")
    found = read(root)
    assert found[:3] == [
        Record("README.md", 0, "# 说明\n", path=f"{root}/README.md"),
        Record("index.html", 1, "段落", title="T", path=f"{root}/index.html"),
        Record("src/a.rs", 2, "fn main() {}\n", code_language="rust", path=f"{root}/src/a.rs"),
    ]
    failures = [(each.offset, each.error, each.path) for each in found[3:] if isinstance(each, Failure)]
    assert failures == [(3, "empty_file", f"{root}/src/empty.py"), (4, "unreadable", f"{root}/src/lost.py")]


def test_a_single_source_file_is_read_too(read: Any, tmp_path: Path) -> None:
    """A file that is given itself has the id path#0."""
    path = tmp_path / "a.go"
    path.write_text("package a\n")
    assert read(path) == [Record(f"{path}#0", 0, "package a\n", code_language="go")]
