"""All signals of a batch of documents: decode once, split once, one pass per group."""

import numpy as np
import pyarrow as pa

from ctllm.pipelines.batch import decode_utf8, text_buffers
from ctllm.pipelines.decontaminate import BenchmarkIndex
from ctllm.pipelines.signals.characters import class_table, measure_characters
from ctllm.pipelines.signals.code import measure_code
from ctllm.pipelines.signals.lines import measure_lines, split_lines
from ctllm.pipelines.signals.repetition import measure_repetition
from ctllm.pipelines.signals.spam import SpamVocabulary
from ctllm.pipelines.signals.words import measure_words, split_units
from ctllm.pipelines.url_lists import shared_url_lists
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.signals import SIGNALS


class Measurer:
    """Measures batches. Holds the tables, word and URL lists and benchmark items: make one per worker."""

    def __init__(self, config: CurationConfig) -> None:
        self._classes = class_table()
        self._vocabulary = SpamVocabulary(config.vocabularies)
        self._benchmarks = BenchmarkIndex.load(config.decontamination)
        self._url_lists = shared_url_lists(config.url_lists)

    def measure(self, documents: pa.RecordBatch) -> pa.RecordBatch:
        """The signals of DOCUMENTS, row for row: a batch of SIGNALS."""
        values = self._measure_texts(documents.column("text"))
        values["lang_score"] = documents.column("lang_score").to_numpy()
        values["url_list"] = self._url_lists.find(documents.column("url"))
        columns = [_column(values[field.name], field.type) for field in list(SIGNALS)[1:]]
        return pa.RecordBatch.from_arrays([documents.column("key"), *columns], schema=SIGNALS)

    def _measure_texts(self, texts: "pa.Array[pa.StringScalar]") -> dict[str, np.ndarray]:
        data, byte_offsets = text_buffers(texts)
        codepoints, offsets = decode_utf8(data, byte_offsets)
        classes = self._classes[codepoints]
        lines = split_lines(codepoints, offsets, classes=classes)
        units = split_units(codepoints, offsets, classes=classes)
        return {
            "num_chars": np.diff(offsets),
            "num_bytes": np.diff(byte_offsets),
            **measure_characters(codepoints, offsets, classes=classes),
            **measure_lines(codepoints, lines, classes=classes),
            **measure_code(codepoints, lines),
            **measure_words(units),
            **measure_repetition(units),
            **self._vocabulary.measure(units),
            "benchmark_overlap": self._benchmarks.best(units).shares,
        }


def _column(values: np.ndarray, kind: pa.DataType) -> "pa.Array[pa.Scalar[pa.DataType]]":
    return pa.array(values.astype(np.int32 if pa.types.is_integer(kind) else np.float32))
