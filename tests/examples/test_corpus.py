"""The example corpus: reproducible, complete, and honest about what it plants."""

import hashlib
import itertools
import json
from collections import Counter
from pathlib import Path

import pytest
from fastwarc.warc import ArchiveIterator

from ctllm.examples.corpus import variants
from ctllm.examples.corpus.build import EXPECTED, build_corpus, documents
from ctllm.examples.corpus.documents import CORPUS, Document, benchmark_items, resident_number
from ctllm.examples.corpus.expected import Expected
from ctllm.schemas.rules import RulesConfig


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Expected]]:
    """The corpus, built once."""
    out = tmp_path_factory.mktemp("build") / "corpus"
    return out, build_corpus(out)


def digests(folder: Path) -> dict[str, str]:
    """Digest of every file by its path in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def shingles(text: str, *, lane: str) -> set[tuple[str, ...]]:
    """Windows of five tokens, the plain way."""
    tokens = variants.tokens(text, lane=lane)
    return {tuple(tokens[start : start + 5]) for start in range(len(tokens) - 4)}


def jaccard(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    """Shared among all."""
    return len(one & other) / len(one | other)


def text_as_read(document: Document) -> str:
    """The document's words without the page around them."""
    return "\n".join([document.title, *document.paragraphs])


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


def test_ids_are_unique(corpus: tuple[Path, list[Expected]]) -> None:
    """A document's id names one document."""
    ids = Counter(line.id for line in corpus[1] if line.outcome != "failed")
    assert [name for name, count in ids.items() if count > 1] == []


def test_every_base_text_is_kept_once(corpus: tuple[Path, list[Expected]]) -> None:
    """Of a base text and its copies exactly one stays, and every base text does."""
    kept = Counter(line.base for line in corpus[1] if line.outcome == "kept" and line.base)
    on_disk = {path.relative_to(CORPUS / "base").as_posix() for path in (CORPUS / "base").rglob("*.*")}
    assert kept == dict.fromkeys(on_disk, 1)


def test_duplicates_name_a_kept_document_of_their_text(corpus: tuple[Path, list[Expected]]) -> None:
    """kept_id leads to a record that is kept and comes from the same base text; only duplicates have one."""
    by_id = {line.id: line for line in corpus[1]}
    for line in corpus[1]:
        is_copy = bool({"exact_duplicate", "near_duplicate"} & set(line.reasons))
        assert is_copy == (line.kept_id is not None), line.id
        if line.kept_id:
            assert by_id[line.kept_id].outcome == "kept", line.id
            assert by_id[line.kept_id].base == line.base, line.id


@pytest.mark.parametrize("lane", ["zh", "en", "code"])
def test_every_rule_has_a_document_that_breaks_it(corpus: tuple[Path, list[Expected]], lane: str) -> None:
    """A rule that is on by default is met by the ground truth in every lane it serves."""
    rules = {rule.name for rule in getattr(RulesConfig(), lane).rules() if rule.threshold is not None}
    planted = {reason for line in corpus[1] if line.lane == lane for reason in line.reasons}
    assert rules - planted == set()


def test_copies_are_as_alike_as_they_claim() -> None:
    """Exact copies have the same words, near copies share at least 0.82 of their five-token windows."""
    groups: dict[str, list[Document]] = {}
    for document in documents():
        if document.group:
            groups.setdefault(document.group, []).append(document)
    for members in groups.values():
        for one, other in itertools.combinations(members, 2):
            texts = text_as_read(one), text_as_read(other)
            if not variants.reads_the_same(*texts, lane=one.lane):
                likeness = jaccard(*(shingles(text, lane=one.lane) for text in texts))
                assert likeness >= 0.82, (one.name, other.name, likeness)


def test_base_texts_are_unlike_each_other() -> None:
    """No two base texts share a tenth of their five-token windows: whatever is a copy was planted."""
    for lane in ("zh", "en", "code"):
        paths = sorted((CORPUS / "base" / lane).iterdir())
        sets = [shingles(path.read_text(encoding="utf-8"), lane=lane) for path in paths]
        for (path, one), (other_path, other) in itertools.combinations(zip(paths, sets, strict=True), 2):
            assert jaccard(one, other) < 0.1, (path.name, other_path.name)


def test_reworded_changes_a_word_in_three_of_ten_sentences() -> None:
    """One word is exchanged in 30 % of the sentences and nothing else is touched."""
    text = "".join(f"因为今天是第{number}天，我们都在这里。" for number in "一二三四五六七八九十")
    changed = variants.reworded(text, lane="zh", seed="test")
    before, after = text.split("。")[:-1], changed.split("。")[:-1]
    differing = [(one, other) for one, other in zip(before, after, strict=True) if one != other]
    assert len(differing) == 3
    assert all(other == one.replace("因为", "由于") for one, other in differing)


def test_pages_are_what_servers_send(corpus: tuple[Path, list[Expected]]) -> None:
    """Another WARC reader finds pages in six charset declarations, or none, and over three codings."""
    declared: Counter[str] = Counter()
    codings: Counter[str | None] = Counter()
    statuses: Counter[int] = Counter()
    for path in sorted((corpus[0] / "pages").glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, parse_http=True):
                if record.headers["WARC-Type"] == "response":
                    statuses[record.http_headers.status_code] += 1
                    declared[record.http_charset or ""] += 1
                    headers = record.http_headers
                    codings[headers.get("Content-Encoding") or headers.get("Transfer-Encoding")] += 1
    assert statuses[200] > 70
    assert {301, 404} <= set(statuses)
    assert {"", "utf-8", "gb2312", "gbk", "big5", "shift_jis"} <= {label.lower() for label in declared}
    assert set(codings) == {None, "gzip", "chunked"}


def test_leaks_hold_the_items_word_for_word() -> None:
    """Every planted leak contains the question of a benchmark item; both languages leak."""
    questions = {name: variants.tokens(item["question"], lane="zh") for name, item in benchmark_items().items()}
    leaked = set()
    for document in documents():
        if "max_benchmark_overlap" in document.reasons:
            words = " ".join(variants.tokens(document.text, lane="zh"))
            found = {name for name, question in questions.items() if " ".join(question) in words}
            assert found, document.name
            leaked |= {(document.lane, name.split("-")[1]) for name in found}
    assert {("zh", "zh"), ("en", "en"), ("code", "en")} <= leaked


def test_resident_numbers_are_valid_and_of_nobody() -> None:
    """The check digit is right (worked example of GB 11643-1999: 11010519491231002X), the date is 1 January 1900."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    number = resident_number("110101")
    for each in (number, "11010519491231002X"):
        total = sum(weight * int(digit) for weight, digit in zip(weights, each, strict=False))
        assert "10X98765432"[total % 11] == each[17]
    assert number[6:14] == "19000101"


def test_expected_lines_are_json_of_one_shape() -> None:
    """Every line has the same keys, outcomes agree with reasons, failures have no lane."""
    lines = [json.loads(line) for line in EXPECTED.read_text(encoding="utf-8").splitlines()]
    assert {tuple(line) for line in lines} == {tuple(lines[0])}
    for line in lines:
        assert (line["outcome"] == "kept") == (line["reasons"] == []), line["id"]
        assert (line["outcome"] == "failed") == (line["lane"] is None), line["id"]
