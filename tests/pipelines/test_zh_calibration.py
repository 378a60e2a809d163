"""The Chinese rules on real text, the whole way: good prose stays, junk and pages of menus go.

`zh_page_labels.tsv` holds 170 web pages read by eye (ids and labels, no text): `menu_only` is navigation, lists of
titles or goods, forms and footers without a paragraph of its own; `article` has one; `mixed` is between, not asserted.
"""

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.files import list_files, read_parquet
from ctllm.schemas.verdict import EXACT_DUPLICATE, NEAR_DUPLICATE

LABELS = Path(__file__).parent / "zh_page_labels.tsv"
CORPORA = (
    "open/zh_docs.jsonl.zst",
    "restricted/zh_corpus_samples.jsonl.zst",
    "restricted/web_zh_pages.warc.gz",
    "restricted/web_zh_wet.jsonl.zst",
)
KINDS = ("classical", "classical_modern_translation", "law", "poetry", "tech_article", "wiki")
PARAGRAPH_CHARS = 60  # an entry of an encyclopedia with a line as long that ends a sentence is prose, not a table

pytestmark = [pytest.mark.private_data, pytest.mark.slow]


@dataclass(frozen=True)
class Outcome:
    """What became of one document."""

    kept: bool
    passed: bool
    """No rule failed; it may still be a copy."""
    url: str | None
    text: str


@pytest.fixture(scope="module")
def outcomes(private_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Outcome]:
    """(source, id) to what `ctllm curate` with the default rules made of the document."""
    run = tmp_path_factory.mktemp("calibration") / "run"
    inputs = [str(private_data / name) for name in CORPORA]
    curate(CurationConfig(), inputs=inputs, out=str(run), options=RunnerOptions(workers=2))
    found = {}
    for path in list_files(str(run / "documents"), suffix=".parquet"):
        documents = read_parquet(path, columns=["source", "id", "url", "text"]).to_pylist()
        verdicts = read_parquet(path.replace("/documents/", "/verdicts/"), columns=["kept", "reasons"]).to_pylist()
        for row, verdict in zip(documents, verdicts, strict=True):
            rules = {each["reason"] for each in verdict["reasons"]} - {EXACT_DUPLICATE, NEAR_DUPLICATE}
            found[row["source"], row["id"]] = Outcome(verdict["kept"], not rules, row["url"], row["text"])
    return found


def records(path: Path) -> list[dict[str, Any]]:
    """The records of a compressed JSONL file."""
    with fsspec.open(str(path), "rt", compression="zstd", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def kept_shares(outcomes: dict[tuple[str, str], Outcome], path: Path, *, prose_only: bool = False) -> dict[str, float]:
    """Kind of document to the share that no rule refuses."""
    source = path.name.split(".")[0]
    passed: defaultdict[str, list[bool]] = defaultdict(list)
    for record in records(path):
        outcome = outcomes[source, record["id"]]
        lines = [line.strip() for line in outcome.text.split("\n")]
        if not prose_only or any(len(line) >= PARAGRAPH_CHARS and "。" in line for line in lines):
            passed[record["kind"]].append(outcome.passed)
    return {kind: sum(each) / len(each) for kind, each in passed.items()}


def test_good_documents_of_every_kind_are_kept(outcomes: dict[tuple[str, str], Outcome], private_data: Path) -> None:
    """Of articles, laws, wiki pages, classical texts and verse at least 97 in 100 pass every rule, kind by kind."""
    shares = kept_shares(outcomes, private_data / CORPORA[0])
    assert set(shares) == set(KINDS)
    assert {kind: share for kind, share in shares.items() if share < 0.97} == {}


def test_prose_of_published_corpora_is_kept(outcomes: dict[tuple[str, str], Outcome], private_data: Path) -> None:
    """Entries of two encyclopedias and filtered web text that hold a paragraph pass in at least 97 of 100 cases."""
    shares = kept_shares(outcomes, private_data / CORPORA[1], prose_only=True)
    assert {kind: shares[kind] for kind in ("zhwiki", "baike", "skypile_web") if shares[kind] < 0.97} == {}


def test_junk_pages_are_removed(outcomes: dict[tuple[str, str], Outcome], private_data: Path) -> None:
    """Of the pages that their collectors call junk or not Chinese at least 95 in 100 are not published."""
    with (private_data / "restricted" / "web_zh_pages.index.tsv").open(encoding="utf-8") as file:
        junk = [row["url"] for row in csv.DictReader(file, delimiter="\t") if row["class"] == "junk_or_non_zh"]
    kept = {outcome.url for (source, _), outcome in outcomes.items() if source == "web_zh_pages" and outcome.kept}
    assert len(junk) == 60
    assert len(kept & set(junk)) <= 3


def test_pages_of_menus_are_removed_and_articles_stay(outcomes: dict[tuple[str, str], Outcome]) -> None:
    """Of pages read by eye, at least 95 in 100 without a paragraph are refused; 9 in 10 raw pages of articles stay."""
    passed: defaultdict[str, list[bool]] = defaultdict(list)
    with LABELS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            passed[row["label"]].append(outcomes[row["source"], row["id"]].passed)
    assert {label: len(each) for label, each in passed.items()} == {"menu_only": 87, "article": 44, "mixed": 39}
    assert sum(passed["menu_only"]) <= 0.05 * len(passed["menu_only"])
    assert sum(passed["article"]) >= 0.9 * len(passed["article"])
