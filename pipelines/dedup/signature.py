"""Everything dedup needs to know of a document, measured in the one pass over its text: a row of BANDS."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.batch import TextBatch, as_batch
from ctllm.pipelines.dedup.exact import exact_signatures, text_signatures
from ctllm.pipelines.dedup.hashing_form import tokens
from ctllm.pipelines.dedup.licence_header import licence_headers
from ctllm.pipelines.dedup.minhash import band_keys, banding, permutations, signatures
from ctllm.pipelines.dedup.shingles import distinct_shingles
from ctllm.pipelines.dedup.sketch import bottom_sketches
from ctllm.pipelines.dedup.url_identity import url_signatures
from ctllm.pipelines.dedup.verbatim import sha1_shingles, verbatim_tokens
from ctllm.schemas.curation_config import DedupConfig
from ctllm.schemas.duplicates import BANDS

SLICE_CHARS = 800_000  # at a time: half or twice as many are 1.1 times as slow (calls; cache), 2026-11


class Signer:
    """Signs batches of documents; made once per worker, cheap to call, safe in threads."""

    def __init__(self, config: DedupConfig) -> None:
        self._config = config
        self._num_bands, self._num_rows = banding(config)
        factors, summands = permutations(config.num_permutations, config.scheme)
        used = self._num_bands * self._num_rows  # the permutations beyond the last band are never looked at
        self._factors, self._summands = factors[:used], summands[:used]

    def sign(self, documents: pa.RecordBatch, texts: TextBatch | None = None) -> pa.RecordBatch:
        """One row of BANDS per document (columns key, url, lane, text); `texts` where they are decoded already.

        A document without enough shingles (or all, when `near` is off) has `num_shingles` 0, no bands and no sketch.
        """
        decoded = texts or TextBatch.of(documents.column("text"))
        slices = [
            self._sign_slice(documents.slice(start, stop - start), decoded.slice(start, stop))
            for start, stop in decoded.slices(SLICE_CHARS)
        ]
        return as_batch(pa.Table.from_batches(slices, schema=BANDS))

    def _sign_slice(self, documents: pa.RecordBatch, texts: TextBatch) -> pa.RecordBatch:
        return self.sign_tokens(documents, texts, *self._tokens(texts, _is_code(documents)))

    def sign_tokens(
        self, documents: pa.RecordBatch, texts: TextBatch, found: np.ndarray, offsets: np.ndarray
    ) -> pa.RecordBatch:
        """As `sign`, of a slice whose tokens are `found`: uint64, and (texts + 1,), int64 offsets into them."""
        keys = documents.column("key").to_numpy()
        is_code = _is_code(documents)
        skipped = np.zeros(len(keys), np.int64)
        if self._config.form == "folded" and is_code.any():
            skipped = np.diff(self._tokens(licence_headers(texts, is_code=is_code), is_code)[1])
        high, low = exact_signatures(found, offsets, keys=keys, skipped=skipped)
        sets = self._shingles(texts, found, offsets)
        halves = [high, low, *text_signatures(texts), *url_signatures(documents.column("url"))]
        columns = [documents.column("key"), *map(pa.array, halves), *self._near_columns(*sets)]
        return pa.record_batch(columns, schema=BANDS)

    def shingles(self, documents: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        """All shingles of each document (columns lane, text), as they are signed: (shingles,), uint64, and offsets."""
        texts = TextBatch.of(documents.column("text"))
        return self._shingles(texts, *self._tokens(texts, _is_code(documents)))

    def _tokens(self, texts: TextBatch, is_code: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if self._config.form == "verbatim":
            return verbatim_tokens(texts.codepoints), texts.offsets
        return tokens(texts.codepoints, texts.offsets, is_code=is_code, fold_variants=self._config.fold_variants)

    def _shingles(self, texts: TextBatch, found: np.ndarray, offsets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        config = self._config
        if not config.near:
            return np.empty(0, np.uint64), np.zeros(len(offsets), np.int64)
        num_chars, min_shingles = config.shingle_chars, config.min_shingles
        if config.shingle_hash == "sha1":
            return sha1_shingles(texts.codepoints, offsets, num_chars=num_chars, min_shingles=min_shingles)
        return distinct_shingles(
            found, offsets, num_chars=num_chars, num_words=config.shingle_words, min_shingles=min_shingles
        )

    def _near_columns(self, shingles: np.ndarray, offsets: np.ndarray) -> "list[pa.Array[Any]]":
        num_shingles = np.diff(offsets)
        signatures_DP = signatures(shingles, offsets, factors=self._factors, summands=self._summands)
        keys_DB = band_keys(signatures_DP, num_bands=self._num_bands, num_rows=self._num_rows)
        has_bands = num_shingles > 0
        band_offsets = np.concatenate([[0], np.cumsum(has_bands * self._num_bands)]).astype(np.int32)
        values, sketch_offsets = bottom_sketches(shingles, offsets, size=self._config.sketch_size)
        byte_offsets = (sketch_offsets * values.itemsize).astype(np.int32)
        buffers = [None, pa.py_buffer(byte_offsets.data), pa.py_buffer(values.astype("<u4", copy=False).data)]
        return [
            pa.array(num_shingles.astype(np.int32)),
            pa.ListArray.from_arrays(pa.array(band_offsets), pa.array(keys_DB[has_bands].ravel())),
            pa.Array.from_buffers(pa.binary(), len(num_shingles), buffers),
        ]


def _is_code(documents: pa.RecordBatch) -> np.ndarray:
    return np.asarray(pc.equal(documents.column("lane"), pa.scalar("code")).to_numpy(zero_copy_only=False))
