"""The quality classifier as a signal: fastText's probability that a text is like the positive examples.

Han, kana and hangul characters, words and punctuation marks are its tokens, in lower case, without line breaks, so that
the form of a source tells it nothing. Scores 4 to 12 MB/s of CPU (2026-11-25), and `predict` holds the GIL.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import fasttext
import numpy as np
import pyarrow as pa

from ctllm.schemas.curation_config import QualityConfig
from ctllm.schemas.errors import InputError, MissingPartError
from ctllm.schemas.files import file_digest, read_json
from ctllm.schemas.quality import CARD, MODEL, QualityCard

POSITIVE, NEGATIVE = "__label__positive", "__label__negative"
SCORED_LANES = ("zh", "en")  # trained on prose; a score of code means nothing

_SINGLE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_TOKENS = re.compile(rf"[{_SINGLE}]|[^\W{_SINGLE}]+|[^\w\s]")


def prepare(text: str, *, num_chars: int) -> str:
    """The tokens of the first `num_chars` characters with single spaces between them: what fastText reads as one line.

    >>> prepare("你好，World！", num_chars=100)
    '你 好 , world !'
    """
    return " ".join(_TOKENS.findall(unicodedata.normalize("NFKC", text[:num_chars]).lower()))


class QualityModel:
    """A trained classifier; loads in a second, holds the whole model in memory."""

    def __init__(self, directory: str) -> None:
        """Raises MissingPartError when there is no whole model, InputError when its files are not each other's."""
        path = Path(directory)
        if not (path / CARD).is_file() or not (path / MODEL).is_file():
            raise MissingPartError(
                f"quality.model: {directory} holds no {MODEL} and {CARD}; "
                "give the --out of a `ctllm quality train`, or set it to null"
            )
        self.card = QualityCard.model_validate(read_json(str(path / CARD)))
        if file_digest(str(path / MODEL)) != self.card.model_sha256:
            raise InputError(f"quality.model: {path / MODEL} is not the file that {CARD} describes; train again")
        self._model = fasttext.load_model(str(path / MODEL))

    def score(self, texts: Sequence[str]) -> np.ndarray:
        """Probability of being like the positive examples, 0 to 1; NaN for a text without tokens: (texts,), float32."""
        lines = [prepare(text, num_chars=self.card.settings.num_chars) for text in texts]
        return score_lines(self._model, lines)


def score_lines(model: "fasttext.FastText._FastText", lines: Sequence[str]) -> np.ndarray:
    """Scores of prepared texts, NaN for empty ones: (lines,), float32."""
    scores = np.full(len(lines), np.nan, np.float32)
    rows = [row for row, line in enumerate(lines) if line]
    if rows:
        # The list form: predict(str) fails with numpy 2 ("Unable to avoid copy").
        labels, shares = model.predict([lines[row] for row in rows], k=2)
        for row, names, values in zip(rows, labels, shares, strict=True):
            found = dict(zip(names, values, strict=True))
            scores[row] = min(1.0, float(found.get(POSITIVE, 0.0)))  # softmax sums give up to 1.00001
    return scores


def score_documents(model: QualityModel | None, documents: pa.RecordBatch) -> np.ndarray:
    """The signal `quality_score`: NaN (a null later) without a model and outside `SCORED_LANES`: float32."""
    scores = np.full(documents.num_rows, np.nan, np.float32)
    if model is not None:
        lanes = documents.column("lane").to_pylist()
        rows = [row for row, lane in enumerate(lanes) if lane in SCORED_LANES]
        texts = documents.column("text")
        scores[rows] = model.score([texts[row].as_py() for row in rows])
    return scores


@lru_cache(maxsize=1)
def shared_quality_model(config: QualityConfig) -> QualityModel | None:
    """The configured model, once per process: it may be 2 GB and `predict` does not run in parallel anyway."""
    return QualityModel(config.model) if config.model is not None else None


def quality_digest(config: QualityConfig) -> str:
    """Digest of the configured model, "" when there is none."""
    model = shared_quality_model(config)
    return model.card.model_sha256 if model else ""
