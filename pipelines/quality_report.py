"""What a quality model says of documents: the distribution of its scores by source and outcome, and examples."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.quality import QualityModel, score_documents
from ctllm.pipelines.sources.reader import read_batches
from ctllm.pipelines.sources.split import plan_splits
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.files import exists, join, list_files, read_parquet
from ctllm.schemas.progress import Progress, ProgressEvent, silent

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
EXCERPT_CHARS = 120
NUM_EXAMPLES = 5


@dataclass(frozen=True)
class ScoreGroup:
    """Documents of one source with one outcome."""

    source: str
    outcome: str
    """kept or removed in a run that is decided, else empty"""
    num_documents: int
    """Scored ones: Chinese and English"""
    quantiles: tuple[float, ...]
    """At `QUANTILES`"""
    mean: float


@dataclass(frozen=True)
class Example:
    """One document."""

    score: float
    id: str
    excerpt: str


@dataclass(frozen=True)
class QualityReport:
    """The scores of all documents."""

    groups: tuple[ScoreGroup, ...]
    examples: dict[str, tuple[Example, ...]]
    """lowest, undecided (nearest to 0.5), highest"""


def report_quality(inputs: Sequence[str], *, model: str, progress: Progress = silent) -> QualityReport:
    """Scores the documents of runs, or of files of any source that `ctllm curate` reads."""
    scorer = QualityModel(model)
    scores: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    examples: dict[str, tuple[Example, ...]] = {"lowest": (), "undecided": (), "highest": ()}
    for documents, outcomes in _read(inputs, progress):
        found = score_documents(scorer, documents)
        sources = np.array(documents.column("source").to_pylist(), object)
        for group in sorted(set(zip(sources, outcomes, strict=True))):
            members = (sources == group[0]) & (outcomes == group[1]) & ~np.isnan(found)
            scores[group].append(found[members])
        examples = _best_examples(examples, documents, found)
    groups = (_group(source, outcome, np.concatenate(each)) for (source, outcome), each in sorted(scores.items()))
    return QualityReport(tuple(groups), examples)


def _read(inputs: Sequence[str], progress: Progress) -> Iterator[tuple[pa.RecordBatch, np.ndarray]]:
    """Documents with source, lane, id and text, and the outcome of each."""
    runs = [each for each in inputs if exists(join(each, "manifest.json"))]
    for run in runs:
        paths = list_files(join(run, "documents"), suffix=".parquet")
        for done, path in enumerate(paths):
            progress(ProgressEvent("score", done, len(paths)))
            documents = read_parquet(path, columns=["id", "source", "lane", "text"]).combine_chunks()
            verdicts = path.replace("/documents/", "/verdicts/")
            outcomes = np.full(documents.num_rows, "", object)
            if exists(verdicts):
                kept = read_parquet(verdicts, columns=["kept"])["kept"].to_numpy()
                outcomes = np.where(kept, "kept", "removed").astype(object)
            first = 0
            for batch in documents.to_batches(max_chunksize=4096):
                yield batch, outcomes[first : first + batch.num_rows]
                first += batch.num_rows
    files = [each for each in inputs if each not in runs]
    if files:
        identifier = LanguageIdentifier.load()
        splits = plan_splits(files, config=CurationConfig().sources)
        for done, split in enumerate(splits):
            progress(ProgressEvent("score", done, len(splits)))
            for found in read_batches(split, config=CurationConfig(), identifier=identifier):
                yield found.documents, np.full(found.documents.num_rows, "", object)


def _group(source: str, outcome: str, scores: np.ndarray) -> ScoreGroup:
    if not len(scores):
        return ScoreGroup(source, outcome, 0, (float("nan"),) * len(QUANTILES), float("nan"))
    quantiles = tuple(float(value) for value in np.quantile(scores, QUANTILES))
    return ScoreGroup(source, outcome, len(scores), quantiles, float(scores.mean()))


def _best_examples(
    found: dict[str, tuple[Example, ...]], documents: pa.RecordBatch, scores: np.ndarray
) -> dict[str, tuple[Example, ...]]:
    """The best of what was found and of these documents."""
    ids, texts = documents.column("id"), documents.column("text")
    orders = {"lowest": scores, "undecided": np.abs(scores - 0.5), "highest": -scores}
    best = {}
    for name, order in orders.items():
        rows = [row for row in np.argsort(order, kind="stable")[:NUM_EXAMPLES] if not np.isnan(scores[row])]
        new = [Example(float(scores[row]), ids[row].as_py(), _excerpt(texts[row].as_py())) for row in rows]
        best[name] = tuple(sorted([*found[name], *new], key=_SORT[name])[:NUM_EXAMPLES])
    return best


def _excerpt(text: str) -> str:
    return " ".join(text[: 2 * EXCERPT_CHARS].split())[:EXCERPT_CHARS]


_SORT = {
    "lowest": lambda example: example.score,
    "undecided": lambda example: abs(example.score - 0.5),
    "highest": lambda example: -example.score,
}
