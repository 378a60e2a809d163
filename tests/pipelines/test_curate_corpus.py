"""`ctllm curate` on the example corpus: every record gets the verdict that expected.jsonl states."""

import hashlib
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ctllm.examples.corpus.build import build_corpus
from ctllm.examples.corpus.documents import CORPUS
from ctllm.examples.corpus.expected import Expected
from ctllm.pipelines.curate import RunSummary, curate
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.config import read_config
from ctllm.schemas.curation_config import CurationConfig

CONFIG = Path(__file__).resolve().parents[2] / "configs/curation/demo.yaml"
TIMED = ("manifest.json", "_SUCCESS")  # hold seconds

Row = dict[str, Any]


@dataclass(frozen=True)
class CuratedCorpus:
    """The corpus, what it must become and what became of it."""

    inputs: Path
    run: Path
    expected: list[Expected]
    summary: RunSummary

    def rows(self, name: str) -> list[Row]:
        """All rows of one table of the run."""
        return read_rows(self.run / name)


def read_rows(folder: Path) -> list[Row]:
    """The rows of all parts below a folder, in the order of their names."""
    tables = [pq.read_table(path) for path in sorted(folder.rglob("part-*.parquet"))]
    return pa.concat_tables(tables).to_pylist()


def run_curate(inputs: Path, out: Path, *, workers: int) -> RunSummary:
    """Curates a folder with the demo's config."""
    config = read_config(CONFIG, CurationConfig)
    return curate(config, inputs=[str(inputs)], out=str(out), options=RunnerOptions(workers=workers))


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> CuratedCorpus:
    """The corpus, curated once with two workers."""
    folder = tmp_path_factory.mktemp("curate")
    expected = build_corpus(folder / "corpus")
    summary = run_curate(folder / "corpus", folder / "run", workers=2)
    return CuratedCorpus(folder / "corpus", folder / "run", expected, summary)


def reached(line: Expected) -> str:
    """The outcome that the pipeline reaches at present."""
    return "kept" if line.known_miss else line.outcome


def test_every_document_gets_its_verdict(curated: CuratedCorpus) -> None:
    """Source, lane, verdict, reasons and the copy kept instead are as stated, for each record.

    Lines with `known_miss` must still miss: who mends one takes the mark away.
    """
    documents = curated.rows("documents")
    ids = {row["key"]: row["id"] for row in documents}
    by_id = {row["id"]: row for row in documents}
    verdicts = {row["key"]: row for row in curated.rows("verdicts")}
    kept_ids = {row["key"]: ids[row["kept_key"]] for row in curated.rows("duplicates")}
    stated = [line for line in curated.expected if line.outcome != "failed"]
    assert sorted(by_id) == sorted(line.id for line in stated)
    wrong = []
    for line in stated:
        row = by_id[line.id]
        verdict = verdicts[row["key"]]
        reasons = {reason["reason"] for reason in verdict["reasons"]}
        is_right = (
            verdict["kept"] == (line.outcome == "kept")
            and set(line.reasons) <= reasons
            and kept_ids.get(row["key"]) == line.kept_id
        )
        origin = (row["source"], row["lane"], row["path"].endswith(line.container.split("/")[-1]))
        if is_right == bool(line.known_miss) or origin != (line.source, line.lane, True):
            wrong.append((line, verdict, kept_ids.get(row["key"]), origin))
    assert wrong == []


def test_every_damage_is_a_failure(curated: CuratedCorpus) -> None:
    """What could not become a document stands in `failures/` with file and kind, and nothing else does."""
    found = Counter((row["path"].removeprefix(f"{curated.inputs}/"), row["error"]) for row in curated.rows("failures"))
    stated = Counter((line.container, line.reasons[0]) for line in curated.expected if line.outcome == "failed")
    assert found == stated


def test_accounts_add_up_for_every_source(curated: CuratedCorpus) -> None:
    """Per source, the funnel's kept, removed and failed are the stated ones; their sum is what was read."""
    funnel: Counter[tuple[str, str]] = Counter()
    for row in pq.read_table(curated.run / "stats" / "funnel.parquet").to_pylist():
        funnel[row["source"], row["outcome"]] += row["documents"]
    assert funnel == Counter((line.source, reached(line)) for line in curated.expected)
    outcomes = Counter(map(reached, curated.expected))
    assert curated.summary.accounts == {"read": len(curated.expected), **outcomes}


def test_published_is_what_is_kept(curated: CuratedCorpus) -> None:
    """`curated/` holds exactly the kept documents, each in the folder of its lane."""
    published = {
        (row["id"], lane) for lane in ("zh", "en", "code") for row in read_rows(curated.run / "curated" / lane)
    }
    assert published == {(line.id, line.lane) for line in curated.expected if reached(line) == "kept"}


def test_pages_are_published_with_their_text_and_without_their_frame(curated: CuratedCorpus) -> None:
    """From every container, charset and coding, 99 % of the base text's words arrive, and at most a fifth more.

    The most is what a reprint adds in its article: a note on rights and a word of the editor.
    """
    published = {row["id"]: row["text"] for row in curated.rows("curated")}
    for line in curated.expected:
        if line.base and reached(line) == "kept":
            base = Counter(re.findall(r"\w", (CORPUS / "base" / line.base).read_text(encoding="utf-8")))
            text = Counter(re.findall(r"\w", published[line.id]))
            assert (base - text).total() <= 0.01 * base.total(), line.id
            assert (text - base).total() <= 0.2 * base.total(), line.id


def test_personal_data_is_redacted(curated: CuratedCorpus) -> None:
    """Invented telephone, identity and e-mail data is gone from the published text, and every place is recorded."""
    published = {row["id"]: row for row in curated.rows("curated")}
    planted = [line for line in curated.expected if line.redacted]
    assert len(planted) >= 7
    for line in planted:
        row = published[line.id]
        digits = re.sub(r"[ -]", "", row["text"])
        assert not [secret for secret in line.redacted if secret in digits], line.id
        assert len(row["edits"]) == len(line.redacted), line.id


def test_the_evidence_names_the_planted_items(curated: CuratedCorpus) -> None:
    """Each document that leaks has a row in `contamination/` for every item it quotes; no other document has any."""
    ids = {row["key"]: row["id"] for row in curated.rows("documents")}
    found = defaultdict(set)
    for row in curated.rows("contamination"):
        assert row["overlap"] > 0.8
        found[ids[row["key"]]].add(row["item_id"])
    planted = {line.id for line in curated.expected if "max_benchmark_overlap" in line.reasons}
    assert found.keys() == planted
    assert found["leak-zh-01"] == {"mini-zh-01", "mini-zh-04"}
    assert found["leak-zh-03"] == {"mini-zh-05", "mini-zh-09"}
    assert found["leak-en-02"] == {"mini-en-03"}
    stats = pq.read_table(curated.run / "stats" / "contamination.parquet").to_pylist()
    assert sum(row["documents"] for row in stats) == sum(row["leaked"] for row in stats) == len(planted)
    assert {row["benchmark"] for row in stats} == {"mini_zh", "mini_en"}


def test_results_do_not_depend_on_the_number_of_workers(curated: CuratedCorpus, tmp_path: Path) -> None:
    """One worker writes the same bytes as two."""
    run_curate(curated.inputs, tmp_path / "run", workers=1)
    assert digests(tmp_path / "run") == digests(curated.run)


def digests(run: Path) -> dict[str, str]:
    """Digest of every file of a run that holds no time."""
    files = sorted(path for path in run.rglob("*") if path.is_file() and path.name not in TIMED)
    return {path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
