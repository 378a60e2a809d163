"""What dedup stores of each document in the measure pass, from one tokenisation: its bands, lines and repeats."""

import pyarrow as pa

from ctllm.pipelines.batch import TextBatch, as_batch
from ctllm.pipelines.dedup.line_tables import LineMeasurer
from ctllm.pipelines.dedup.signature import SLICE_CHARS, Signer
from ctllm.schemas.curation_config import CurationConfig
from ctllm.schemas.duplicates import BANDS
from ctllm.schemas.lines import LINES, REPEATS

_TABLES: dict[str, pa.Schema] = {"bands": BANDS, "lines": LINES, "repeats": REPEATS}


class Fingerprinter:
    """Signs batches of documents and finds their lines; made once per worker."""

    def __init__(self, config: CurationConfig) -> None:
        self._signer = Signer(config.dedup)
        self._lines = LineMeasurer(config.lines, fold_variants=config.dedup.fold_variants)
        self._signs_tokens_of_lines = config.dedup.form == "folded"

    def measure(self, documents: pa.RecordBatch, texts: TextBatch) -> dict[str, pa.RecordBatch]:
        """`bands`, `lines` and `repeats` of DOCUMENTS (columns key, url, lane, text), whose texts are decoded."""
        slices = [
            self._measure_slice(documents.slice(start, stop - start), texts.slice(start, stop))
            for start, stop in texts.slices(SLICE_CHARS)
        ]
        return {
            name: as_batch(pa.Table.from_batches([each[name] for each in slices], schema=schema))
            for name, schema in _TABLES.items()
        }

    def _measure_slice(self, documents: pa.RecordBatch, texts: TextBatch) -> dict[str, pa.RecordBatch]:
        lines = self._lines.tokenise(documents, texts)
        if lines is not None and self._signs_tokens_of_lines:
            bands = self._signer.sign_tokens(documents, texts, lines.tokens, lines.text_offsets())
        else:
            bands = self._signer.sign(documents, texts)
        return {"bands": bands, **self._lines.measure(documents, texts, lines)}
