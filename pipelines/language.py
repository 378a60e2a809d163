"""The language and lane of each document: code by path, name or look, Chinese by its script, the rest by fastText.

The identifier holds the GIL and does 26,000 texts a second; texts whose Han share decides never reach it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import fasttext
import numpy as np

from ctllm.pipelines.batch import TextBatch
from ctllm.pipelines.code_language import NUM_INSPECTED_CHARS, looks_like_code, may_look_like_code
from ctllm.pipelines.language_model import find_language_model
from ctllm.pipelines.scripts import LATIN, Script, count_scripts, dominant_scripts, han_shares
from ctllm.schemas.curation_config import LanguageConfig
from ctllm.schemas.document import Lane

UNDETERMINED = "und"  # ISO 639-2
_CHINESE_LABELS = frozenset({"zh", "yue", "wuu"})  # labels of lid.176 written in Han characters alone
_DEFAULTS = LanguageConfig()

MAX_CODE_HAN_SHARE = 0.1  # of letters: above it are Chinese articles that quote code (web_servicecomb_zh_en)


class DocumentLanguage(NamedTuple):
    """What `documents/` says about one text; `score` is 1 where path or script decide."""

    lane: Lane
    lang: str
    score: float
    script: Script


class LanguageIdentifier:
    """fastText's lid.176. Loads in milliseconds; create it once per worker."""

    def __init__(self, path: str) -> None:
        self._model = fasttext.load_model(path)

    @classmethod
    def load(cls) -> "LanguageIdentifier":
        """The identifier with the installed model. Raises MissingPartError naming `ctllm setup` when there is none."""
        return cls(str(find_language_model()))

    def identify(self, texts: Sequence[str], *, num_chars: int = _DEFAULTS.num_chars) -> tuple[list[str], list[float]]:
        """Language codes and scores (0 to 1) from the first `num_chars` characters of each text, whitespace folded.

        A text without anything but whitespace is "und" with score 0.
        """
        heads = [" ".join(text[: 2 * num_chars].split())[:num_chars] for text in texts]
        labels = [UNDETERMINED] * len(heads)
        scores = [0.0] * len(heads)
        rows = [row for row, head in enumerate(heads) if head]
        if rows:
            # The list form: predict(str) fails with numpy 2 ("Unable to avoid copy").
            found, shares = self._model.predict([heads[row] for row in rows])
            for row, label, share in zip(rows, found, shares, strict=True):
                labels[row] = label[0].removeprefix("__label__")
                scores[row] = min(1.0, float(share[0]))  # the quantised softmax gives up to 1.00006
        return labels, scores

    def best_scores(self, texts: Sequence[str]) -> list[float]:
        """The score of the likeliest language of each whole text, whichever it is.

        Texts hold no line feed. Unlike `identify` it reads all of a text: six times slower (engines notes, section 1).
        """
        _, shares = self._model.predict(list(texts))
        return [min(1.0, float(share[0])) for share in shares]


def describe_languages(
    texts: TextBatch,
    *,
    code_languages: Sequence[str | None],
    identifier: LanguageIdentifier,
    config: LanguageConfig = _DEFAULTS,
) -> list[DocumentLanguage]:
    """Lane, language and script of each text; `code_languages` holds what path or record say, None where nothing."""
    counts = count_scripts(texts)
    shares = np.asarray(han_shares(counts))
    scripts: list[Script] = dominant_scripts(counts, min_han_share=config.min_han_share).tolist()
    has_letters = np.asarray(counts[:, LATIN:].any(axis=1))
    has_no_name = np.array([language is None for language in code_languages], bool)
    candidates = np.asarray(has_no_name & (shares < MAX_CODE_HAN_SHARE) & (shares < config.min_han_share))
    may_be_code = may_look_like_code(texts, candidates=candidates)
    described: dict[int, DocumentLanguage] = {}
    unknown: list[int] = []
    for row, (code_language, script) in enumerate(zip(code_languages, scripts, strict=True)):
        if code_language is not None:
            described[row] = DocumentLanguage("code", code_language, 1.0, script)
        elif shares[row] >= config.min_han_share:
            described[row] = DocumentLanguage("zh", "zh", 1.0, script)
        elif may_be_code[row] and looks_like_code(texts.head(row, 2 * NUM_INSPECTED_CHARS)):
            described[row] = DocumentLanguage("code", "code", 1.0, script)
        elif has_letters[row]:
            unknown.append(row)
        else:
            described[row] = DocumentLanguage("other", UNDETERMINED, 0.0, script)
    heads = [texts.head(row, 2 * config.num_chars) for row in unknown]
    labels, scores = identifier.identify(heads, num_chars=config.num_chars)
    for row, label, score in zip(unknown, labels, scores, strict=True):
        described[row] = DocumentLanguage(_lane_of(label), label, score, scripts[row])
    return [described[row] for row in range(len(texts))]


def _lane_of(label: str) -> Lane:
    if label in _CHINESE_LABELS:
        return "zh"
    return "en" if label == "en" else "other"
