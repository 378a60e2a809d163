"""All signals of a batch of documents: decode once, split once, one pass per group."""

import itertools
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.batch import TextBatch, text_buffers
from ctllm.pipelines.decontaminate.index import BenchmarkIndex
from ctllm.pipelines.quality import score_documents, shared_quality_model
from ctllm.pipelines.secret_patterns import find_secrets, may_hold_secrets
from ctllm.pipelines.signals.boilerplate import BoilerplateIndex
from ctllm.pipelines.signals.character_counts import count_characters
from ctllm.pipelines.signals.characters import classify, measure_characters
from ctllm.pipelines.signals.code import measure_code, measure_heads
from ctllm.pipelines.signals.ctllm import CTLLM_SIGNALS, CtllmMeasurer
from ctllm.pipelines.signals.line_forms import measure_line_forms
from ctllm.pipelines.signals.lines import hash_lines, measure_lines, split_lines
from ctllm.pipelines.signals.paragraphs import measure_paragraphs
from ctllm.pipelines.signals.phrases import PhraseIndex
from ctllm.pipelines.signals.prose import measure_prose
from ctllm.pipelines.signals.repetition import measure_repetition
from ctllm.pipelines.signals.script_shares import measure_scripts
from ctllm.pipelines.signals.sign_shares import measure_sign_shares
from ctllm.pipelines.signals.signs import find_signs
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.word_forms import measure_word_forms
from ctllm.pipelines.signals.words import measure_words, split_units
from ctllm.pipelines.url_lists import shared_url_lists
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.signals import SIGNALS

_NAMES = SIGNALS.names[1:]
_SHARES = [name for name in _NAMES if pa.types.is_float32(SIGNALS.field(name).type)]
_COUNTS = [name for name in _NAMES if name not in _SHARES]
_SLICE_BYTES = 1 << 20  # of text at a time: its arrays stay in the last cache; half as much costs a twentieth more


class Measurer:
    """Measures batches. Holds the tables, lists, benchmark items and models: make one per worker."""

    def __init__(self, config: CurationConfig) -> None:
        self._vocabulary = SpamVocabulary(config.vocabularies)
        self._boilerplate = BoilerplateIndex()
        self._phrases = PhraseIndex.of_terms(self._vocabulary.terms + self._boilerplate.terms)
        self._spam_rows = self._phrases.rows_in(self._vocabulary.index)
        self._boilerplate_rows = self._phrases.rows_in(self._boilerplate.index)
        self.benchmarks = BenchmarkIndex.load(config.decontamination)
        self._url_lists = shared_url_lists(config.url_lists)
        self._ctllm = CtllmMeasurer() if config.rules.asks_for_ctllm else None
        self._quality = shared_quality_model(config.quality)

    def measure(self, documents: pa.RecordBatch, decoded: TextBatch | None = None) -> pa.RecordBatch:
        """The signals of DOCUMENTS, row for row: a batch of SIGNALS. `decoded` where the texts are decoded already."""
        texts = documents.column("text")
        decoded = decoded or TextBatch.of(texts)
        table = _SignalTable(documents.num_rows)
        for first, count in _slices(texts):
            table.fill(first, self._measure_texts(texts.slice(first, count), decoded.slice(first, first + count)))
        table.fill(0, {"lang_score": documents.column("lang_score").to_numpy()})
        table.fill(0, {"quality_score": score_documents(self._quality, documents)})
        table.fill(0, {"url_list": self._url_lists.find(documents.column("url"))})
        table.fill(0, self._measure_ctllm(documents))
        return table.batch(documents.column("key"))

    def _measure_ctllm(self, documents: pa.RecordBatch) -> dict[str, np.ndarray]:
        """The authors' signals of the Chinese documents, where their rules are asked for; NaN elsewhere."""
        if self._ctllm is None:
            return dict.fromkeys(CTLLM_SIGNALS, np.full(documents.num_rows, np.nan))
        values = {name: np.full(documents.num_rows, np.nan) for name in CTLLM_SIGNALS}
        is_chinese = pc.equal(documents.column("lane"), "zh")
        rows = is_chinese.to_numpy(zero_copy_only=False)
        for name, measured in self._ctllm.measure(documents.column("text").filter(is_chinese).to_pylist()).items():
            values[name][rows] = measured
        return values

    def _measure_texts(self, texts: "pa.Array[pa.StringScalar]", decoded: TextBatch) -> dict[str, np.ndarray]:
        data, byte_offsets = text_buffers(texts)
        codepoints, offsets = decoded.codepoints, decoded.offsets
        classes = classify(codepoints)
        lines = split_lines(codepoints, offsets, classes=classes)
        counts, signs = count_characters(codepoints, offsets), find_signs(codepoints, offsets)
        units = split_units(codepoints, offsets, classes=classes)
        matches = self._phrases.find(units)
        hashes = hash_lines(codepoints, lines)
        by_line = measure_lines(codepoints, lines, classes=classes, hashes=hashes)
        repeats_lines = by_line["duplicate_line_share"] > 0
        return {
            "num_chars": np.diff(offsets),
            "num_bytes": np.diff(byte_offsets),
            **measure_characters(codepoints, offsets, counts, classes=classes),
            **measure_sign_shares(codepoints, offsets, signs),
            **measure_scripts(codepoints, offsets, counts),
            **measure_word_forms(codepoints, offsets, units, classes=classes, signs=signs),
            **by_line,
            **measure_line_forms(codepoints, lines),
            **measure_paragraphs(codepoints, lines, hashes=hashes, repeats_lines=repeats_lines),
            **self._boilerplate.measure(lines, units, matches.renumbered(self._boilerplate_rows)),
            **measure_prose(codepoints, lines, classes=classes, signs=signs),
            **measure_code(codepoints, lines, classes=classes),
            **measure_heads(data, byte_offsets),
            "num_secrets": _count_secrets(texts, data, byte_offsets),
            **measure_words(units),
            **measure_repetition(units),
            **self._vocabulary.measure(units, matches.renumbered(self._spam_rows)),
            "benchmark_overlap": self.benchmarks.best(units).shares,
        }


def _slices(texts: "pa.Array[pa.StringScalar]") -> list[tuple[int, int]]:
    """First text and number of texts of each slice, about `_SLICE_BYTES` long; at least one slice."""
    data, offsets = text_buffers(texts)
    cuts = np.searchsorted(offsets, np.arange(_SLICE_BYTES, len(data), _SLICE_BYTES))
    bounds = np.unique([0, *cuts, len(texts)]).tolist()
    return [(first, stop - first) for first, stop in itertools.pairwise(bounds)] or [(0, 0)]


def _count_secrets(texts: "pa.Array[pa.StringScalar]", data: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Keys and tokens in each text: (texts,), int64."""
    counts = np.zeros(len(texts), np.int64)
    forms = may_hold_secrets(data, offsets)
    for text in np.flatnonzero(forms).tolist():
        counts[text] = sum(1 for _ in find_secrets(texts[text].as_py(), forms=int(forms[text])))
    return counts


class _SignalTable:
    """The values of a batch as they are measured, in one array per type: a row for each signal."""

    def __init__(self, num_documents: int) -> None:
        self._shares_SD = np.empty((len(_SHARES), num_documents), np.float32)
        self._counts_SD = np.empty((len(_COUNTS), num_documents), np.int32)
        self._rows = dict(zip((*_SHARES, *_COUNTS), (*self._shares_SD, *self._counts_SD), strict=True))
        self._missing = set(self._rows)

    def fill(self, first: int, values: dict[str, np.ndarray]) -> None:
        """Values of the documents from `first` on."""
        for name, each in values.items():
            self._rows[name][first : first + len(each)] = each
        self._missing -= values.keys()

    def batch(self, keys: "pa.Array[Any]") -> pa.RecordBatch:
        """A batch of SIGNALS; NaN, not measured, becomes null."""
        if self._missing:
            raise AssertionError(f"signals of the schema that nothing measures: {sorted(self._missing)}")
        is_nan_SD = np.isnan(self._shares_SD)
        columns = _columns(self._shares_SD, _SHARES) | _columns(self._counts_SD, _COUNTS)
        missing = pa.nulls(len(keys), pa.float32())
        for row in np.flatnonzero(is_nan_SD.any(axis=1)):
            is_measured = not is_nan_SD[row].all()
            columns[_SHARES[row]] = pa.array(self._shares_SD[row], from_pandas=True) if is_measured else missing
        return pa.RecordBatch.from_arrays([keys, *(columns[name] for name in _NAMES)], schema=SIGNALS)


def _columns(rows_SD: np.ndarray, names: list[str]) -> dict[str, "pa.Array[Any]"]:
    """An Arrow array for each row, over the same memory: several times as fast as `pa.array` of each."""
    buffer, kind = pa.py_buffer(rows_SD), pa.from_numpy_dtype(rows_SD.dtype)
    size = rows_SD.shape[1]
    return {
        name: pa.Array.from_buffers(kind, size, [None, buffer], null_count=0, offset=row * size)
        for row, name in enumerate(names)
    }
