"""Trains a SentencePiece BPE tokenizer on a weighted sample of curated text, which a Beam job draws.

1. Count: each curated part gives the characters of each source by bucket of the documents' key hashes.
2. From the sums follows, for each lane and source, the bucket up to which its documents fill its quota.
3. Draw: each part gives the texts in those buckets, as a file. So the sample depends on text and config alone, whatever
   the runner and the number of workers, and a larger sample holds the smaller one.
4. Train: SentencePiece reads the files in the order of parts; one thread, equal text, equal bytes.

Byte fallback (nothing is unknown), digits one by one, no normalisation and no added space: encoding loses nothing.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sentencepiece

from ctllm.pipelines.jobs import run_job
from ctllm.pipelines.options import RunnerOptions
from ctllm.pipelines.spread import Spread
from ctllm.schemas.curated import CuratedPart, curated_parts, read_batches
from ctllm.schemas.errors import ConfigError
from ctllm.schemas.files import (
    exists,
    join,
    read_json,
    read_parquet,
    remove_tree,
    write_json,
    write_parquet,
    written_whole,
)
from ctllm.schemas.mixture import HELD_OUT_SALT, Group, group_quotas, key_hash
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tokens import SYMBOLS, TOKENIZER, TokenizerManifest
from ctllm.schemas.training_config import TokenizerConfig

SAMPLE_SALT = 1  # chosen; another than the held-out documents' so that the sample is not their neighbour
NUM_BUCKETS = 1 << 16  # chosen: a quota is met to 1/65,536 of the source, or to one document where it has fewer
MAX_LINE_CHARS = 4000  # SentencePiece skips longer lines without a word; cut, they count (4 bytes each at most)
BATCH_ROWS = 1024  # chosen: a few MiB of text
COUNTS, SAMPLE = "counts", "sample"
"""Working directories in the tokenizer's, gone when it is there."""

_COUNTS = pa.schema([("source", pa.string()), ("bucket", pa.int64()), ("chars", pa.int64())])
_SAMPLE = pa.schema([("text", pa.large_string())])


class CountPart(beam.DoFn):
    """Curated part → its name, once `counts/NAME.parquet` is in place: characters by source and bucket."""

    def __init__(self, out: str, *, held_out_share: float) -> None:
        self.out, self.held_out_share = out, held_out_share

    def process(self, part: CuratedPart) -> Iterable[str]:
        """Reads no text."""
        tables = [_COUNTS.empty_table()]
        for batch in read_batches(part.path, columns=["key", "source", "num_chars"], rows=1 << 16):
            buckets = _buckets(batch, held_out_share=self.held_out_share)
            rows = pa.array(np.flatnonzero(buckets >= 0))
            columns = [batch["source"], pa.array(buckets), batch["num_chars"].cast(pa.int64())]
            tables.append(pa.table([column.take(rows) for column in columns], schema=_COUNTS))
        counts = pa.concat_tables(tables).group_by(["source", "bucket"]).aggregate([("chars", "sum")])
        write_parquet(_counts_file(self.out, part), counts.rename_columns(_COUNTS.names).sort_by("bucket"))
        yield part.name


class DrawPart(beam.DoFn):
    """Curated part → its name, once `sample/NAME.parquet` is in place: the texts that are in the sample."""

    def __init__(self, out: str, *, limits: Mapping[Group, int], held_out_share: float) -> None:
        self.out, self.limits, self.held_out_share = out, dict(limits), held_out_share

    def process(self, part: CuratedPart) -> Iterable[str]:
        """Keeps the documents whose bucket is below the limit of their source."""
        tables = [_SAMPLE.empty_table()]
        for batch in read_batches(part.path, columns=["key", "source", "text"], rows=BATCH_ROWS):
            buckets = _buckets(batch, held_out_share=self.held_out_share)
            limits = [self.limits.get((part.lane, source), 0) for source in batch["source"].to_pylist()]
            is_drawn = pa.array((buckets >= 0) & (buckets < np.array(limits, np.int64)))
            tables.append(pa.table([batch["text"].filter(is_drawn)], schema=_SAMPLE))
        write_parquet(_sample_file(self.out, part), pa.concat_tables(tables))
        yield part.name


def train_tokenizer(
    run: str, *, config: TokenizerConfig, out: str, options: RunnerOptions, progress: Progress = silent
) -> TokenizerManifest:
    """Trains on a sample of the run's curated text, writes `out/tokenizer.model` and `out/manifest.json`.

    Skipped when `out` has it already. Raises InputError without curated text, ConfigError when
    the sample does not support the vocabulary size or a weighted source is not there.
    """
    parts = curated_parts(run)
    fingerprint = _fingerprint(parts, config)
    if finished := _finished(out, fingerprint):
        progress(ProgressEvent("tokenizer", 2, 2, unit="steps", message="unchanged"))
        return finished
    for name in ("manifest.json", COUNTS, SAMPLE):
        remove_tree(join(out, name))
    progress(ProgressEvent("tokenizer", 0, 2, unit="steps", message="choosing the sample"))
    chars = _draw(parts, config=config, out=out, options=options.recorded_in(out))
    progress(ProgressEvent("tokenizer", 1, 2, unit="steps", message="training"))
    model = _train(_sampled_lines(parts, out), config)
    with written_whole(join(out, TOKENIZER)) as file:
        file.write(model)
    manifest = TokenizerManifest(
        fingerprint=fingerprint,
        tokenizer_digest=hashlib.sha256(model).hexdigest(),
        vocab_size=config.vocab_size,
        config=config,
        sample_chars=chars,
    )
    for name in (COUNTS, SAMPLE):
        remove_tree(join(out, name))
    write_json(join(out, "manifest.json"), manifest.model_dump(mode="json"))
    progress(ProgressEvent("tokenizer", 2, 2, unit="steps"))
    return manifest


def _draw(
    parts: Sequence[CuratedPart], *, config: TokenizerConfig, out: str, options: RunnerOptions
) -> dict[str, dict[str, int]]:
    """Writes the sample; lane to source to characters in it."""
    share = config.held_out_share
    _run(parts, CountPart(out, held_out_share=share), label="Count", options=options)
    histograms = _add_counts(parts, out)
    available = {group: int(histogram.sum()) for group, histogram in histograms.items()}
    known = {source for _, source in available}
    config.check_sources(config.source_weights, place="tokenizer, source_weights", known=known)
    total = min(config.sample_chars, sum(available.values()))
    quotas = group_quotas(available, mixture=config, total=total, epochs={}, max_epochs=1)
    limits = {group: bucket_limit(histograms[group], quota) for group, quota in quotas.items()}
    if not any(limits.values()):
        lanes = ", ".join(sorted({part.lane for part in parts}))
        raise ConfigError(f"tokenizer: nothing to train on; the text has {lanes}, the weights leave none of it")
    _run(parts, DrawPart(out, limits=limits, held_out_share=share), label="Draw", options=options)
    chars: dict[str, dict[str, int]] = {}
    for (lane, source), limit in limits.items():
        chars.setdefault(lane, {})[source] = int(histograms[lane, source][:limit].sum())
    return chars


def bucket_limit(chars_by_bucket: np.ndarray, quota: int) -> int:
    """How many buckets, from the first, hold at least `quota` characters: 0 for none."""
    if quota <= 0:
        return 0
    return int(np.searchsorted(np.cumsum(chars_by_bucket), quota)) + 1


def _run(parts: Sequence[CuratedPart], step: beam.DoFn, *, label: str, options: RunnerOptions) -> None:
    def build(pipeline: beam.Pipeline) -> None:
        pipeline | "Parts" >> Spread(parts) | label >> beam.ParDo(step)  # CuratedPart

    run_job("tokenizer", build, options=options)


def _buckets(batch: pa.RecordBatch, *, held_out_share: float) -> np.ndarray:
    """The bucket of each document, int64; -1 for those that are held out."""
    keys = batch["key"].to_numpy(zero_copy_only=False)
    buckets = (key_hash(keys, salt=SAMPLE_SALT) * NUM_BUCKETS).astype(np.int64)
    return np.where(key_hash(keys, salt=HELD_OUT_SALT) < held_out_share, -1, buckets)


def _add_counts(parts: Sequence[CuratedPart], out: str) -> dict[Group, np.ndarray]:
    histograms: dict[Group, np.ndarray] = {}
    for part in parts:
        table = read_parquet(_counts_file(out, part))
        for source in sorted(map(str, pc.unique(table["source"]).to_pylist())):
            rows = table.filter(pc.field("source") == source)
            histogram = histograms.setdefault((part.lane, source), np.zeros(NUM_BUCKETS, np.int64))
            histogram[rows["bucket"].to_numpy()] += rows["chars"].to_numpy()
    return histograms


def _sampled_lines(parts: Sequence[CuratedPart], out: str) -> Iterator[str]:
    for part in parts:
        for batch in read_batches(_sample_file(out, part), columns=_SAMPLE.names, rows=BATCH_ROWS):
            for text in batch["text"].to_pylist():
                yield from _lines(str(text))


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        for start in range(0, len(line), MAX_LINE_CHARS):
            yield line[start : start + MAX_LINE_CHARS]


def _train(lines: Iterator[str], config: TokenizerConfig) -> bytes:
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines,
            model_writer=model,
            model_type="bpe",
            vocab_size=config.vocab_size,
            character_coverage=config.character_coverage,
            max_sentencepiece_length=config.max_piece_chars,
            max_sentence_length=4 * MAX_LINE_CHARS,
            byte_fallback=True,
            split_digits=True,
            allow_whitespace_only_pieces=True,  # runs of spaces: indentation of code
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            user_defined_symbols=list(SYMBOLS),
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            shuffle_input_sentence=False,
            num_threads=1,  # equal text, equal bytes
            minloglevel=2,
        )
    except (RuntimeError, ValueError) as error:
        raise _explain(error, config) from error
    return model.getvalue()


def _explain(error: Exception, config: TokenizerConfig) -> ConfigError:
    place = f"tokenizer, vocab_size {config.vocab_size}"
    if needed := re.search(r"smaller than required_chars. \d+ vs (\d+)", str(error)):
        way_out = f"raise it, or lower character_coverage (now {config.character_coverage})"
        return ConfigError(f"{place}: the characters of the sample alone need {needed[1]} pieces; {way_out}")
    if allowed := re.search(r"set it to a value <= (\d+)", str(error)):
        return ConfigError(f"{place}: the sample supports at most {allowed[1]} pieces; lower it or add text")
    return ConfigError(f"{place}: SentencePiece refuses the sample: {error}")


def _fingerprint(parts: Sequence[CuratedPart], config: TokenizerConfig) -> str:
    inputs = [(part.name, part.sha256) for part in parts]
    identity = repr((inputs, config.digest(), sentencepiece.__version__))
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _finished(out: str, fingerprint: str) -> TokenizerManifest | None:
    """The manifest of `out` if it is of the same text and config; a manifest of before fingerprints has none."""
    path = join(out, "manifest.json")
    if not (exists(path) and exists(join(out, TOKENIZER))) or read_json(path).get("fingerprint") != fingerprint:
        return None
    return TokenizerManifest.model_validate(read_json(path))


def _counts_file(out: str, part: CuratedPart) -> str:
    return join(out, COUNTS, f"{part.name}.parquet")


def _sample_file(out: str, part: CuratedPart) -> str:
    return join(out, SAMPLE, f"{part.name}.parquet")
