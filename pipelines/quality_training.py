"""Trains the quality classifier: two sets of documents in, a model with its measured precision and recall out.

What is drawn and what is held out depends on the texts alone, not on the order of files. The threads of fastText race:
two trainings on the same documents differ somewhat in their scores.
"""

import heapq
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import fasttext
import numpy as np

import ctllm
from ctllm.pipelines.language import LanguageIdentifier
from ctllm.pipelines.quality import NEGATIVE, POSITIVE, prepare, score_lines
from ctllm.pipelines.sources.reader import read_batches
from ctllm.pipelines.sources.split import Split, plan_splits
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.errors import InputError, OutputError, StageError
from ctllm.schemas.files import file_digest, join, write_json
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.quality import CARD, MODEL, QualityCard, QualityTrainingConfig, ThresholdRow
from ctllm.schemas.scratch import scratch_directory

THRESHOLDS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96, 0.99)  # 0.96: MAP-NEO keeps what is above
MIN_DOCUMENTS = 20  # of each class, held-out ones included: fewer measure nothing; chosen

Draw = dict[int, str]
"""Digest of a prepared text to the text."""


@dataclass
class _Class:
    """The documents of one class, while they are read."""

    config: QualityTrainingConfig
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("read", "failed", "copies"), 0))
    _heap: list[tuple[int, str]] = field(default_factory=list)
    """Negated digests: the largest digest is on top and gives way."""
    _digests: set[int] = field(default_factory=set)

    def add(self, text: str) -> None:
        """Takes a text into the draw if its digest is among the smallest so far."""
        self.counts["read"] += 1
        line = prepare(text, num_chars=self.config.num_chars)
        digest = int.from_bytes(blake2b(line.encode("utf-8"), digest_size=8).digest(), "big")
        if digest in self._digests:
            self.counts["copies"] += 1
        elif line and (len(self._heap) < self.config.max_documents or digest < -self._heap[0][0]):
            self._digests.add(digest)
            heapq.heappush(self._heap, (-digest, line))
            if len(self._heap) > self.config.max_documents:
                self._digests.discard(-heapq.heappop(self._heap)[0])

    def drawn(self) -> Draw:
        """The texts by digest, ascending."""
        return {-negated: line for negated, line in sorted(self._heap, reverse=True)}


def train_quality(
    *,
    positive: Sequence[str],
    negative: Sequence[str],
    out: str,
    config: QualityTrainingConfig,
    progress: Progress = silent,
) -> QualityCard:
    """Trains on files of any source that `ctllm curate` reads, writes the model and its card into the directory `out`.

    Raises InputError for too few documents, OutputError when `out` has a model, StageError when fastText yields NaN.
    """
    if (Path(out) / CARD).exists():
        raise OutputError(f"{out}: holds a trained model; choose another --out")
    splits = {
        "positive": plan_splits(positive, config=CurationConfig().sources),
        "negative": plan_splits(negative, config=CurationConfig().sources),
    }
    classes = {name: _read_class(each, config=config, name=name, progress=progress) for name, each in splits.items()}
    draws = {name: each.drawn() for name, each in classes.items()}
    both = draws["positive"].keys() & draws["negative"].keys()
    held_out, trained = _divided(draws, leave_out=both, share=config.held_out_share)
    for name, each in trained.items():
        if len(each) + len(held_out[name]) < MIN_DOCUMENTS or not held_out[name] or not each:
            raise InputError(
                f"--{name}: {len(each)} documents to train on and {len(held_out[name])} held out are too few; "
                f"give {MIN_DOCUMENTS} different ones at least ({len(both)} stand on both sides)"
            )
    model = _fit(trained, config=config, progress=progress)
    rows = _measure(model, held_out)
    counts = {
        name: {
            **each.counts, "contradicting": len(both), "trained": len(trained[name]), "held_out": len(held_out[name])
        }
        for name, each in classes.items()
    }  # fmt: skip
    inputs = {
        name: {split.url: file_digest(split.url) for split in each if not split.files} for name, each in splits.items()
    }
    return _write(model, out, config=config, inputs=inputs, documents=counts, held_out=rows)


def _read_class(splits: Sequence[Split], *, config: QualityTrainingConfig, name: str, progress: Progress) -> _Class:
    found = _Class(config)
    identifier = LanguageIdentifier.load()
    for done, split in enumerate(splits):
        progress(ProgressEvent(f"read {name}", done, len(splits)))
        for batch in read_batches(split, config=CurationConfig(), identifier=identifier):
            found.counts["failed"] += batch.failures.num_rows
            for text in batch.documents.column("text"):
                found.add(text.as_py())
    progress(ProgressEvent(f"read {name}", len(splits), len(splits)))
    return found


def _divided(
    draws: dict[str, Draw], *, leave_out: Iterable[int], share: float
) -> tuple[dict[str, Draw], dict[str, Draw]]:
    """Held-out and trained texts of each class; a text that stands on both sides is in neither."""
    held_out: dict[str, Draw] = {name: {} for name in draws}
    trained: dict[str, Draw] = {name: {} for name in draws}
    excluded = set(leave_out)
    for name, draw in draws.items():
        for digest, line in draw.items():
            if digest not in excluded:
                # The low bits: the draw has taken small digests.
                target = held_out if digest % 1_000_003 < share * 1_000_003 else trained
                target[name][digest] = line
    return held_out, trained


def _fit(
    trained: dict[str, Draw], *, config: QualityTrainingConfig, progress: Progress
) -> "fasttext.FastText._FastText":
    labels = {"positive": POSITIVE, "negative": NEGATIVE}
    lines = {digest: f"{labels[name]} {line}\n" for name, draw in trained.items() for digest, line in draw.items()}
    progress(ProgressEvent("train", 0, config.epoch, unit="epochs"))
    with scratch_directory("ctllm-quality-") as directory:
        path = Path(directory) / "train.txt"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(lines[digest] for digest in sorted(lines))  # digests mix the classes
        model = _unless_nan(lambda: fasttext.train_supervised(
            str(path), dim=config.dim, epoch=config.epoch, wordNgrams=config.word_ngrams, lr=config.learning_rate,
            minCount=config.min_count, bucket=config.buckets, thread=config.threads, verbose=0,
        ))  # fmt: skip
    for matrix in (model.f.getInputMatrix(), model.f.getOutputMatrix()):
        if not np.isfinite(np.asarray(matrix).sum(dtype=np.float64)):
            raise StageError(_NAN)
    progress(ProgressEvent("train", config.epoch, config.epoch, unit="epochs"))
    return model


_NAN = "fastText yields NaN; lower --learning-rate, or try again"


def _unless_nan(fit: Callable[[], "fasttext.FastText._FastText"]) -> "fasttext.FastText._FastText":
    try:
        return fit()
    except RuntimeError as error:
        if "NaN" in str(error):
            raise StageError(_NAN) from error
        raise


def _measure(model: "fasttext.FastText._FastText", held_out: dict[str, Draw]) -> list[ThresholdRow]:
    positive, negative = (score_lines(model, list(held_out[name].values())) for name in ("positive", "negative"))
    if not (np.isfinite(positive).all() and np.isfinite(negative).all()):
        raise StageError(_NAN)
    return [threshold_row(positive, negative, threshold=threshold) for threshold in THRESHOLDS]


def threshold_row(positive: np.ndarray, negative: np.ndarray, *, threshold: float) -> ThresholdRow:
    """Precision, recall and F1 when documents with `threshold` or more are kept, as `min_quality_score` does."""
    bound = np.float32(threshold)
    kept, wrongly = int((positive >= bound).sum()), int((negative >= bound).sum())
    precision = kept / (kept + wrongly) if kept + wrongly else 1.0
    recall = kept / len(positive)
    return ThresholdRow(
        threshold=threshold,
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / (precision + recall) if kept else 0.0,
        kept_negative_share=wrongly / len(negative),
    )


def _write(
    model: "fasttext.FastText._FastText",
    out: str,
    *,
    config: QualityTrainingConfig,
    inputs: dict[str, dict[str, str]],
    documents: dict[str, dict[str, int]],
    held_out: list[ThresholdRow],
) -> QualityCard:
    directory = Path(out)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        temporary = directory / f".{MODEL}.{os.getpid()}.tmp"
        model.save_model(str(temporary))
        shutil.move(temporary, directory / MODEL)
    except (OSError, ValueError) as error:  # ValueError: fastText cannot open the file
        raise OutputError(f"{out}: cannot be written ({error}); choose another --out") from error
    card = QualityCard(
        settings=config,
        inputs=inputs,
        documents=documents,
        held_out=held_out,
        model_sha256=file_digest(str(directory / MODEL)),
        version=ctllm.__version__,
    )
    write_json(join(out, CARD), card.model_dump(mode="json"))
    return card
