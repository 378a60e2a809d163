"""Curated text to token shards: one `.bin` file and one index per curated part, whatever the number of workers.

The step from `curated/` to `TOKENS/` (schemas/tokens.py). Encoding holds one batch of texts in memory; a finished part
is not encoded again on a re-run.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import apache_beam as beam
import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sentencepiece

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.schemas.curated import CuratedPart, curated_parts
from ctllm.schemas.errors import InputError
from ctllm.schemas.files import (
    exists,
    file_digest,
    join,
    read_json,
    read_parquet,
    remove_tree,
    write_json,
    write_parquet,
    written_whole,
)
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tokens import (
    DOCUMENTS,
    END_OF_DOCUMENT,
    TOKEN_INDEX,
    TOKENIZER,
    TOKENS,
    TokenCounts,
    TokenShard,
    TokensManifest,
    index_file,
    split_symbols,
    tokens_file,
)

BATCH_ROWS = 256  # chosen: a few MiB of text, whose tokens as Python integers take some 30 times that
FINGERPRINT = "fingerprint.json"


@dataclass(frozen=True)
class Vocabulary:
    """What the job needs to know of a tokenizer: the model's bytes, the end of document, the width of a token."""

    model: bytes
    end_of_document_id: int
    vocab_size: int

    @property
    def dtype(self) -> str:
        """uint16 where it suffices."""
        return "uint16" if self.vocab_size <= 1 << 16 else "uint32"


class TokenizePart(beam.DoFn):
    """Curated part → its name, once its `.bin` and then its index are in place; the index marks it as done."""

    def __init__(self, vocabulary: Vocabulary, out: str) -> None:
        self.vocabulary, self.out = vocabulary, out

    def setup(self) -> None:
        """Loads the model."""
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=self.vocabulary.model)

    def process(self, part: CuratedPart) -> Iterable[str]:
        """Tokenizes one part."""
        index_path = index_file(self.out, part.name)
        if not exists(index_path):
            with written_whole(tokens_file(self.out, part.name)) as file:
                file.write(self._bytes([self.vocabulary.end_of_document_id]))
                tables, offset = [], 1
                for batch in _batches(part.path):
                    tokens = [self._encode(str(text)) for text in batch["text"].to_pylist()]
                    for document in tokens:
                        file.write(self._bytes(document))
                    lengths = np.array([len(document) for document in tokens], np.int64)
                    tables.append(_index(batch, lengths, first=offset))
                    offset += int(lengths.sum())
            write_parquet(index_path, pa.concat_tables([TOKEN_INDEX.empty_table(), *tables]))
        yield part.name

    def _encode(self, text: str) -> list[int]:
        parts = self.processor.encode(split_symbols(text))
        return [*(token for part in parts for token in part), self.vocabulary.end_of_document_id]

    def _bytes(self, tokens: Sequence[int]) -> bytes:
        return np.array(tokens, np.dtype(self.vocabulary.dtype).newbyteorder("<")).tobytes()


def tokenize(
    run: str, *, tokenizer: str, out: str, options: RunnerOptions, progress: Progress = silent
) -> TokensManifest:
    """Tokenizes the curated text of `run` into the directory `out`; skipped when `out` has it already.

    Raises InputError when `run` has no curated text or `tokenizer` is not one of ours. Shards of another text or
    tokenizer in `out` are replaced.
    """
    parts = curated_parts(run)
    vocabulary = _read_vocabulary(tokenizer)
    fingerprint = _fingerprint(parts, vocabulary)
    if finished := _finished(out, fingerprint):
        progress(ProgressEvent("tokenize", len(parts), len(parts), message="unchanged"))
        return finished
    _claim(out, fingerprint)

    def build(pipeline: beam.Pipeline) -> None:
        names = pipeline | "Parts" >> beam.Create(parts)  # CuratedPart
        names | "Spread" >> beam.Reshuffle() | "Tokenize" >> beam.ParDo(TokenizePart(vocabulary, out))  # str

    run_job("tokenize", build, options=options, watch=join(out, DOCUMENTS), total=len(parts), progress=progress)
    with written_whole(join(out, TOKENIZER)) as file:
        file.write(vocabulary.model)
    manifest = _manifest(parts, vocabulary, out=out, fingerprint=fingerprint)
    write_json(join(out, "manifest.json"), manifest.model_dump(mode="json"))
    return manifest


def _batches(path: str) -> Iterator[pa.RecordBatch]:
    fs, name = fsspec.core.url_to_fs(path)
    with fs.open(name, "rb") as file:
        yield from pq.ParquetFile(file).iter_batches(batch_size=BATCH_ROWS, columns=["key", "lane", "source", "text"])


def _index(batch: pa.RecordBatch, lengths: np.ndarray, *, first: int) -> pa.Table:
    columns = {
        "key": batch["key"],
        "lane": batch["lane"],
        "source": batch["source"],
        "offset": pa.array(first + np.cumsum(lengths) - lengths),
        "num_tokens": pa.array(lengths),
        "num_bytes": np.diff(text_buffers(batch["text"])[1]),
    }
    return pa.table([columns[name] for name in TOKEN_INDEX.names], schema=TOKEN_INDEX)


def _read_vocabulary(tokenizer: str) -> Vocabulary:
    path = tokenizer if tokenizer.endswith(".model") else join(tokenizer, TOKENIZER)
    if not exists(path):
        raise InputError(f"{tokenizer}: no {TOKENIZER} here; train one with `ctllm tokenizer train`")
    fs, name = fsspec.core.url_to_fs(path)
    model = fs.cat_file(name)
    processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    end_of_document_id = processor.piece_to_id(END_OF_DOCUMENT)
    if processor.id_to_piece(end_of_document_id) != END_OF_DOCUMENT:
        raise InputError(f"{path}: has no piece {END_OF_DOCUMENT}; it was not trained by `ctllm tokenizer train`")
    return Vocabulary(model, end_of_document_id, processor.vocab_size())


def _fingerprint(parts: Sequence[CuratedPart], vocabulary: Vocabulary) -> str:
    inputs = [(part.name, part.sha256) for part in parts]
    return hashlib.sha256(repr((inputs, hashlib.sha256(vocabulary.model).hexdigest())).encode()).hexdigest()[:16]


def _finished(out: str, fingerprint: str) -> TokensManifest | None:
    """The manifest of `out` if the job ended there for the same text and tokenizer, and its files are still there."""
    path = join(out, "manifest.json")
    if not exists(path):
        return None
    manifest = TokensManifest.model_validate(read_json(path))
    files = [file(out, shard.name) for shard in manifest.shards for file in (tokens_file, index_file)]
    is_same = manifest.fingerprint == fingerprint and all(exists(file) for file in [*files, join(out, TOKENIZER)])
    return manifest if is_same else None


def _claim(out: str, fingerprint: str) -> None:
    """Keeps the parts of an interrupted job for the same text and tokenizer, removes any others."""
    path = join(out, FINGERPRINT)
    if exists(path) and read_json(path) == fingerprint:
        return
    for name in ("manifest.json", TOKENS, DOCUMENTS):
        remove_tree(join(out, name))
    write_json(path, fingerprint)


def _manifest(parts: Sequence[CuratedPart], vocabulary: Vocabulary, *, out: str, fingerprint: str) -> TokensManifest:
    indexes = {part.name: read_parquet(index_file(out, part.name)) for part in parts}
    shards = tuple(
        TokenShard(
            name=part.name,
            lane=part.lane,
            sha256_tokens=file_digest(tokens_file(out, part.name)),
            sha256_index=file_digest(index_file(out, part.name)),
            **_count(indexes[part.name]).model_dump(),
        )
        for part in parts
    )
    documents = pa.concat_tables(indexes.values())
    lanes = {lane: documents.filter(pc.field("lane") == lane) for lane in sorted({part.lane for part in parts})}
    return TokensManifest(
        fingerprint=fingerprint,
        tokenizer_digest=hashlib.sha256(vocabulary.model).hexdigest(),
        vocab_size=vocabulary.vocab_size,
        dtype=vocabulary.dtype,
        end_of_document_id=vocabulary.end_of_document_id,
        shards=shards,
        lanes={lane: _count(table) for lane, table in lanes.items()},
        sources={lane: _count_sources(table) for lane, table in lanes.items()},
    )


def _count_sources(table: pa.Table) -> dict[str, TokenCounts]:
    sources = sorted(str(source) for source in pc.unique(table["source"]).to_pylist())
    return {source: _count(table.filter(pc.field("source") == source)) for source in sources}


def _count(table: pa.Table) -> TokenCounts:
    return TokenCounts(
        documents=len(table),
        tokens=pc.sum(table["num_tokens"]).as_py() or 0,
        bytes=pc.sum(table["num_bytes"]).as_py() or 0,
    )
