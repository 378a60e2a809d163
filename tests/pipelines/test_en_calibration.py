"""The English rules on real text, the whole way: prose and hand-written manuals stay, junk goes.

`en_page_labels.tsv` holds 70 web pages read by eye (ids and labels, no text): `junk` is lists of numbers or keywords,
scraps of forms, footers, shops; `article` has a paragraph of its own; `mixed` is between, spun advertisements and short
notices among them, and is not asserted.
"""

import csv
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest

from ctllm.pipelines.curate import curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.files import list_files, read_parquet
from ctllm.schemas.verdict import EXACT_DUPLICATE, NEAR_DUPLICATE

LABELS = Path(__file__).parent / "en_page_labels.tsv"
CORPORA = ("open/en_docs.jsonl.zst", "restricted/web_en.jsonl.zst")

pytestmark = [pytest.mark.private_data, pytest.mark.slow]


@dataclass(frozen=True)
class Outcome:
    """What the rules made of one document."""

    passed: bool
    """No rule failed; it may still be a copy."""
    origin: str
    """Kind and repository path, as the corpus names them."""


@pytest.fixture(scope="module")
def outcomes(private_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Outcome]:
    """(source, id) to what `ctllm curate` with the default rules made of the document."""
    run = tmp_path_factory.mktemp("calibration") / "run"
    inputs = [str(private_data / name) for name in CORPORA]
    curate(CurationConfig(), inputs=inputs, out=str(run), options=RunnerOptions(workers=2))
    origins = {id_: origin for name in CORPORA for id_, origin in read_origins(private_data / name).items()}
    found = {}
    for path in list_files(str(run / "documents"), suffix=".parquet"):
        documents = read_parquet(path, columns=["source", "id"]).to_pylist()
        verdicts = read_parquet(path.replace("/documents/", "/verdicts/"), columns=["reasons"]).to_pylist()
        for row, verdict in zip(documents, verdicts, strict=True):
            rules = {each["reason"] for each in verdict["reasons"]} - {EXACT_DUPLICATE, NEAR_DUPLICATE}
            found[row["source"], row["id"]] = Outcome(not rules, origins[row["id"]])
    return found


def read_origins(path: Path) -> dict[str, str]:
    """Kind and repository path of every record of a compressed JSONL file, by id."""
    with fsspec.open(str(path), "rt", compression="zstd", encoding="utf-8") as file:
        return {record["id"]: f"{record['kind']} {record['source']}" for record in map(json.loads, file)}


def passed_share(outcomes: dict[tuple[str, str], Outcome], begins: str) -> float:
    """Share of the documents whose origin begins so that no rule refuses."""
    chosen = [each.passed for each in outcomes.values() if each.origin.startswith(begins)]
    return sum(chosen) / len(chosen)


def test_good_documents_of_every_kind_are_kept(outcomes: dict[tuple[str, str], Outcome]) -> None:
    """Of novels, encyclopedia and raw pages of articles at least 97 in 100 pass every rule, kind by kind."""
    shares = {kind: passed_share(outcomes, kind) for kind in ("novel", "wikipedia", "web_wet_like")}
    assert {kind: share for kind, share in shares.items() if share < 0.97} == {}


def test_manuals_written_by_hand_stay_and_generated_ones_mostly_go(
    outcomes: dict[tuple[str, str], Outcome],
) -> None:
    """Guides pass; lists of functions made from source code repeat their frame; release notes are lists of links."""
    assert passed_share(outcomes, "tech_docs apache/") >= 0.97
    assert passed_share(outcomes, "tech_docs ibis-project/") >= 0.95
    prefect = {key: each for key, each in outcomes.items() if each.origin.startswith("tech_docs PrefectHQ/prefect")}
    by_hand = {key: each for key, each in prefect.items() if "api-ref" not in each.origin}
    guides = {key: each for key, each in by_hand.items() if "release-notes" not in each.origin}
    assert passed_share(guides, "tech_docs") >= 0.97
    assert passed_share(prefect, "tech_docs") <= 0.8


def test_junk_goes_and_articles_stay(outcomes: dict[tuple[str, str], Outcome]) -> None:
    """Of pages read by eye, 16 of 18 without a text are refused; at least 9 in 10 articles stay.

    What passes: a page of essay titles strung into sentences, and a bookmark with an advertisement.
    """
    passed: defaultdict[str, list[bool]] = defaultdict(list)
    with LABELS.open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            passed[row["label"]].append(outcomes[row["source"], row["id"]].passed)
    assert {label: len(each) for label, each in passed.items()} == {"junk": 18, "article": 26, "mixed": 26}
    assert sum(passed["junk"]) <= 2
    assert sum(passed["article"]) >= 0.9 * len(passed["article"])
