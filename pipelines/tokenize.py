"""Curated text to token shards: one `.bin` file and one index per curated part, whatever the number of workers.

The step from `curated/` to `TOKENS/` (schemas/tokens.py). Encoding holds one batch of texts in memory; a finished part
is not encoded again on a re-run.
"""

from collections.abc import Iterable, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ctllm.pipelines.batch import text_buffers
from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.curated import CuratedPart, curated_parts, read_batches
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
    TOKEN_INDEX,
    TOKENIZER,
    TOKENS,
    TokenCounts,
    TokenShard,
    TokensManifest,
    index_file,
    tokens_file,
    tokens_fingerprint,
)
from ctllm.schemas.vocabulary import Vocabulary, read_tokenizer_model

BATCH_ROWS = 256  # chosen: a few MiB of text
COPIED = ("key", "id", "url", "lane", "source")  # columns that the index takes over from the text
FINGERPRINT = "fingerprint.json"


class TokenizePart(beam.DoFn):
    """Curated part → its name, once its `.bin` and then its index are in place; the index marks it as done."""

    def __init__(self, model: bytes, out: str) -> None:
        self.model, self.out = model, out

    def setup(self) -> None:
        """Loads the model."""
        self.vocabulary = Vocabulary(self.model, origin=TOKENIZER)
        self.end = np.array([self.vocabulary.end_of_document_id], np.int32)
        self.dtype = np.dtype(self.vocabulary.dtype).newbyteorder("<")

    def process(self, part: CuratedPart) -> Iterable[str]:
        """Tokenizes one part."""
        index_path = index_file(self.out, part.name)
        if not exists(index_path):
            with written_whole(tokens_file(self.out, part.name)) as file:
                file.write(self._bytes([self.end]))
                tables, offset = [], 1
                for batch in read_batches(part.path, columns=[*COPIED, "text"], rows=BATCH_ROWS):
                    documents = self.vocabulary.encode_batch([str(text) for text in batch["text"].to_pylist()])
                    file.write(self._bytes([each for document in documents for each in (document, self.end)]))
                    lengths = np.array([len(document) + 1 for document in documents], np.int64)
                    tables.append(_index(batch, lengths, first=offset))
                    offset += int(lengths.sum())
            write_parquet(index_path, pa.concat_tables([TOKEN_INDEX.empty_table(), *tables]))
        yield part.name

    def _bytes(self, arrays: Sequence[np.ndarray]) -> bytes:
        return np.concatenate(arrays).astype(self.dtype).tobytes()


def tokenize(
    run: str, *, tokenizer: str, out: str, options: RunnerOptions, progress: Progress = silent
) -> TokensManifest:
    """Tokenizes the curated text of `run` into the directory `out`; skipped when `out` has it already.

    `tokenizer` is any tokenizer.model, or a directory with one. Raises InputError when `run` has no curated text or
    there is no such model. Shards of another text or tokenizer in `out` are replaced.
    """
    parts = curated_parts(run)
    vocabulary = Vocabulary(read_tokenizer_model(tokenizer), origin=tokenizer)
    fingerprint = tokens_fingerprint([(part.name, part.sha256) for part in parts], vocabulary.digest)
    if finished := _finished(out, fingerprint):
        progress(ProgressEvent("tokenize", len(parts), len(parts), message="unchanged"))
        return finished
    _claim(out, fingerprint)

    def build(pipeline: beam.Pipeline) -> None:
        parts_read = pipeline | "Parts" >> Spread(parts)  # CuratedPart
        parts_read | "Tokenize" >> beam.ParDo(TokenizePart(vocabulary.model, out))  # str

    watch = join(out, DOCUMENTS)
    run_job("tokenize", build, options=options.recorded_in(out), watch=watch, total=len(parts), progress=progress)
    with written_whole(join(out, TOKENIZER)) as file:
        file.write(vocabulary.model)
    manifest = _manifest(parts, vocabulary, out=out, fingerprint=fingerprint)
    write_json(join(out, "manifest.json"), manifest.model_dump(mode="json"))
    return manifest


def _index(batch: pa.RecordBatch, lengths: np.ndarray, *, first: int) -> pa.Table:
    columns = {
        **{name: batch[name] for name in COPIED},
        "offset": pa.array(first + np.cumsum(lengths) - lengths),
        "num_tokens": pa.array(lengths),
        "num_bytes": np.diff(text_buffers(batch["text"])[1]),
    }
    return pa.table([columns[name] for name in TOKEN_INDEX.names], schema=TOKEN_INDEX)


def _finished(out: str, fingerprint: str) -> TokensManifest | None:
    """The manifest of `out` if the job ended there for the same text and tokenizer, and its files are still there."""
    path = join(out, "manifest.json")
    if not exists(path) or read_json(path).get("fingerprint") != fingerprint:
        return None
    manifest = TokensManifest.model_validate(read_json(path))
    files = [file(out, shard.name) for shard in manifest.shards for file in (tokens_file, index_file)]
    return manifest if all(exists(file) for file in [*files, join(out, TOKENIZER)]) else None


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
        tokenizer_digest=vocabulary.digest,
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
