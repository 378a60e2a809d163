"""What measuring stores of a document's lines: hashes to count across documents, and sentences it says twice."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.batch import TextBatch, as_batch, text_buffers
from ctllm.pipelines.dedup.lines import HashedUnits, TokenisedLines
from ctllm.pipelines.dedup.runs import hash_runs
from ctllm.pipelines.dedup.sentences import Sentences, cut_as_ctllm, cut_prose, list_marks
from ctllm.pipelines.dedup.similar_sentences import equal_to_earlier, similar_to_earlier
from ctllm.pipelines.url_keys import site_numbers
from ctllm.schemas.curation_config import LinesConfig
from ctllm.schemas.lines import LINE, LINES, PARAGRAPH, REPEATS, RUN


class LineMeasurer:
    """Rows of LINES and REPEATS of batches of documents; code has none."""

    def __init__(self, config: LinesConfig, *, fold_variants: bool) -> None:
        self._config, self._fold_variants = config, fold_variants

    def tokenise(self, documents: pa.RecordBatch, texts: TextBatch) -> TokenisedLines | None:
        """The tokens of DOCUMENTS (column lane), whose texts are decoded; None where only characters are compared."""
        config = self._config
        least = config.min_sentence_tokens  # a token is a character at least
        with_prose = config.within_document in ("repeated", "similar")
        if not with_prose and not config.counts_lines:
            return None
        marks, prose = list_marks(texts.codepoints), _no_sentences(len(texts))
        if with_prose:
            prose = cut_prose(texts.codepoints, texts.offsets, marks=marks, min_chars=least)
        is_code = ~_is_prose(documents)
        return TokenisedLines.of(texts, prose, marks=marks, is_code=is_code, fold_variants=self._fold_variants)

    def measure(
        self, documents: pa.RecordBatch, texts: TextBatch, tokenised: TokenisedLines | None
    ) -> dict[str, pa.RecordBatch]:
        """`lines` and `repeats` of DOCUMENTS (columns key, lane, url), as `tokenise` gave their tokens."""
        return {
            "lines": self._lines(documents, texts, tokenised),
            "repeats": self._repeats(documents, texts, tokenised),
        }

    def _lines(self, documents: pa.RecordBatch, texts: TextBatch, lines: TokenisedLines | None) -> pa.RecordBatch:
        config = self._config
        keys = documents.column("key").to_numpy()
        tables = [_rows(_NO_UNITS, LINE, keys=keys, sites=keys, chosen=keys)]
        if lines is not None and config.counts_lines:
            sites = site_numbers(*text_buffers(pc.fill_null(documents.column("url"), "")))
            counted = _is_prose(documents) & ((sites != 0) | (config.across_documents is not None))
            units = {LINE: lines.lines(min_tokens=config.min_tokens)}
            if config.paragraphs:
                units[PARAGRAPH] = lines.paragraphs(min_tokens=config.min_tokens)
            tables += [_rows(each, unit, keys=keys, sites=sites, chosen=counted) for unit, each in units.items()]
        if config.substrings is not None:
            is_english = pc.equal(documents.column("lane"), "en").to_numpy(zero_copy_only=False)
            runs = hash_runs(texts, num_words=config.substrings, chosen=is_english)
            tables.append(_rows(runs, RUN, keys=keys, sites=np.zeros(len(keys), np.uint64), chosen=is_english))
        return as_batch(pa.Table.from_batches(tables, schema=LINES))

    def _repeats(self, documents: pa.RecordBatch, texts: TextBatch, lines: TokenisedLines | None) -> pa.RecordBatch:
        form = self._config.within_document
        if form == "off":
            return as_batch(REPEATS.empty_table())
        if form == "ctllm" or lines is None:
            sentences = cut_as_ctllm(texts.codepoints, texts.offsets)
            ends_S, earlier_S = sentences.ends_S, similar_to_earlier(texts.codepoints, sentences)
        else:
            hashes_S, sizes_S = lines.hash_sentences()
            is_long = sizes_S >= self._config.min_sentence_tokens
            sentences = lines.sentences.only(is_long)
            ends_S = _with_line_feed(texts, sentences)
            if form == "repeated":
                earlier_S = equal_to_earlier(hashes_S[is_long], sentences.offsets)
            else:
                earlier_S = similar_to_earlier(texts.codepoints, sentences)
        texts_S = np.repeat(np.arange(len(texts)), np.diff(sentences.offsets))
        found = np.flatnonzero((earlier_S >= 0) & _is_prose(documents)[texts_S])
        first, origins = earlier_S[found], texts.offsets[texts_S[found]]
        columns = [
            documents.column("key").to_numpy()[texts_S[found]],
            np.full(len(found), "sentence:repeated" if form == "repeated" else "sentence:similar"),
            *(each - origins for each in (sentences.starts_S[found], ends_S[found])),
            *(each - origins for each in (sentences.starts_S[first], sentences.ends_S[first])),
        ]
        return as_batch(pa.table([pa.array(column) for column in columns], names=REPEATS.names).cast(REPEATS))


_NOTHING = np.empty(0, np.int64)
_NO_UNITS = HashedUnits(_NOTHING, _NOTHING, _NOTHING, _NOTHING.astype(np.uint64))


def _no_sentences(num_texts: int) -> Sentences:
    return Sentences(_NOTHING, _NOTHING, np.zeros(num_texts + 1, np.int64))


def _is_prose(documents: pa.RecordBatch) -> np.ndarray:
    is_prose: np.ndarray = pc.not_equal(documents.column("lane"), "code").to_numpy(zero_copy_only=False)
    return is_prose


def _rows(units: HashedUnits, unit: int, *, keys: np.ndarray, sites: np.ndarray, chosen: np.ndarray) -> pa.RecordBatch:
    rows = np.flatnonzero(chosen[units.texts_U])
    texts_U = units.texts_U[rows]
    columns = [
        keys[texts_U],
        np.full(len(texts_U), unit, np.uint8),
        sites[texts_U],
        units.hashes_U[rows],
        units.starts_U[rows].astype(np.int32),
        units.ends_U[rows].astype(np.int32),
    ]
    return pa.record_batch([pa.array(column) for column in columns], schema=LINES)


def _with_line_feed(texts: TextBatch, sentences: Sentences) -> np.ndarray:
    """The ends of sentences, one further where a sentence is a whole line: its line feed goes with it."""
    before, after = sentences.starts_S - 1, sentences.ends_S
    sizes = np.diff(sentences.offsets)
    begins, stops = np.repeat(texts.offsets[:-1], sizes), np.repeat(texts.offsets[1:], sizes)
    begins_line = (before < begins) | (texts.codepoints[before] == 0x0A)
    ends_line = (after < stops) & (texts.codepoints[np.minimum(after, stops - 1)] == 0x0A)
    wider: np.ndarray = after + (begins_line & ends_line)
    return wider
