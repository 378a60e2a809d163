"""The corpus as a whole: reproducible and complete."""

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from ctllm.examples.corpus.build import EXPECTED, build_corpus
from ctllm.examples.corpus.documents import CORPUS
from ctllm.examples.corpus.expected import Expected
from ctllm.schemas.rules import RulesConfig


def digests(folder: Path) -> dict[str, str]:
    """Digest of every file by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_expected_verdicts_are_those_of_the_script(corpus: tuple[Path, list[Expected]]) -> None:
    """The committed expected.jsonl is what the script writes; run it again after a change."""
    assert EXPECTED.read_text(encoding="utf-8") == "".join(f"{line.line()}\n" for line in corpus[1])


def test_two_builds_give_the_same_bytes(corpus: tuple[Path, list[Expected]], tmp_path: Path) -> None:
    """No time of day and no unseeded chance gets into the files."""
    build_corpus(tmp_path / "corpus")
    assert digests(tmp_path / "corpus") == digests(corpus[0])


def test_every_container_holds_documents(corpus: tuple[Path, list[Expected]]) -> None:
    """There are at least 300 records, in HTML, WARC, WET, JSON lines of three kinds, Parquet, text and code."""
    endings = Counter(".".join(Path(line.container).name.split(".")[1:]) for line in corpus[1])
    assert len(corpus[1]) >= 300
    kinds = {
        "html",
        "warc.gz",
        "warc.wet.gz",
        "jsonl",
        "jsonl.gz",
        "jsonl.zst",
        "parquet",
        "txt",
        "py",
        "rs",
        "go",
        "c",
    }
    assert kinds <= set(endings)


def test_every_base_text_is_kept_once(corpus: tuple[Path, list[Expected]]) -> None:
    """Of a base text and its copies exactly one stays, and every base text does."""
    kept = Counter(line.base for line in corpus[1] if line.outcome == "kept" and line.base)
    on_disk = {path.relative_to(CORPUS / "base").as_posix() for path in (CORPUS / "base").rglob("*.*")}
    assert kept == dict.fromkeys(on_disk, 1)


@pytest.mark.parametrize("lane", ["zh", "en", "code"])
def test_every_rule_has_a_document_that_breaks_it(corpus: tuple[Path, list[Expected]], lane: str) -> None:
    """A rule that is on by default is met by the ground truth in every lane; lists of the user's own aside."""
    rules = {rule.name for rule in getattr(RulesConfig(), lane).rules() if rule.threshold is not None}
    rules -= {"max_url_list", "max_custom_share"}
    planted = {reason for line in corpus[1] if line.lane == lane for reason in line.reasons}
    assert rules - planted == set()
