"""SentencePiece BPE: training on a sample of the curated text, encoding, decoding.

Byte fallback (nothing is unknown), digits one by one, no normalisation and no added space, so that
`decode(encode(text)) == text` for every text without U+2581, which SentencePiece itself uses for the space. It is
SentencePiece and not byte-level BPE because llama.cpp recognises only known byte-level vocabularies (llama.cpp#9927).
"""

import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import sentencepiece

from ctllm.model.mixture import key_hash, lane_quotas
from ctllm.schemas.config import Config
from ctllm.schemas.curated import CuratedPart, curated_parts
from ctllm.schemas.errors import ConfigError, InputError
from ctllm.schemas.files import join, read_parquet, write_json, written_whole
from ctllm.schemas.progress import Progress, ProgressEvent, silent
from ctllm.schemas.tokens import END_OF_DOCUMENT, SYMBOLS, TOKENIZER, split_symbols
from ctllm.schemas.training_config import TokenizerConfig

SAMPLE_SALT = 1  # chosen; another than the held-out documents' so that the sample is not their neighbour
MAX_LINE_CHARS = 4000  # SentencePiece skips longer lines without a word; cut, they count (4 bytes each at most)


class TokenizerManifest(Config):
    """`manifest.json` beside the model."""

    tokenizer_digest: str
    """sha256 of tokenizer.model."""
    vocab_size: int
    config: TokenizerConfig
    sample_chars: dict[str, int]
    """Lane to characters trained on."""


class Tokenizer:
    """A trained model, loaded."""

    def __init__(self, path: str) -> None:
        """`path` is a tokenizer.model or a directory with one. Raises InputError when there is none."""
        file = Path(path) / TOKENIZER if Path(path).is_dir() else Path(path)
        if not file.is_file():
            raise InputError(f"{path}: no {TOKENIZER} here; train one with `ctllm tokenizer train`")
        self.path = str(file)
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=file.read_bytes())
        self.vocab_size = int(self._processor.vocab_size())
        self.end_of_document_id = self.symbol_id(END_OF_DOCUMENT)

    @property
    def digest(self) -> str:
        """sha256 of the model file."""
        return hashlib.sha256(Path(self.path).read_bytes()).hexdigest()

    def symbol_id(self, symbol: str) -> int:
        """The token of one of SYMBOLS. Raises InputError when the vocabulary lacks it."""
        token = int(self._processor.piece_to_id(symbol))
        if self._processor.id_to_piece(token) != symbol:
            raise InputError(f"{self.path}: has no piece {symbol}; it was not trained by `ctllm tokenizer train`")
        return token

    def encode(self, text: str) -> list[int]:
        """Tokens of a text; symbols written out in it become ordinary pieces, only `symbol_id` makes real ones."""
        return [int(token) for part in self._processor.encode(split_symbols(text)) for token in part]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of tokens; bytes that are not UTF-8 become U+FFFD, symbols are written out."""
        return str(self._processor.decode(list(tokens)))

    def piece(self, token: int) -> str:
        """How SentencePiece writes the token: `▁` for a space, `<0x0A>` for a byte."""
        return str(self._processor.id_to_piece(token))


def train_tokenizer(run: str, *, config: TokenizerConfig, out: str, progress: Progress = silent) -> TokenizerManifest:
    """Trains on a sample of the run's curated text, writes `out/tokenizer.model` and `out/manifest.json`.

    Equal text and config give equal bytes. Raises InputError without curated text, ConfigError when the sample does not
    support the vocabulary size.
    """
    progress(ProgressEvent("tokenizer", 0, 2, unit="steps", message="choosing the sample"))
    sample = _Sample(curated_parts(run), config)
    progress(ProgressEvent("tokenizer", 1, 2, unit="steps", message="training"))
    model = _train(sample.lines(), config)
    with written_whole(join(out, TOKENIZER)) as file:
        file.write(model)
    manifest = TokenizerManifest(
        tokenizer_digest=hashlib.sha256(model).hexdigest(),
        vocab_size=config.vocab_size,
        config=config,
        sample_chars=sample.chars,
    )
    write_json(join(out, "manifest.json"), manifest.model_dump(mode="json"))
    progress(ProgressEvent("tokenizer", 2, 2, unit="steps"))
    return manifest


class _Sample:
    """Documents with the smallest key hashes of each lane, until the lane's quota of characters is full."""

    def __init__(self, parts: Sequence[CuratedPart], config: TokenizerConfig) -> None:
        self.parts = parts
        tables = [read_parquet(part.path, columns=["key", "num_chars"]) for part in parts]
        self._hashes = [key_hash(table["key"].to_numpy(), salt=SAMPLE_SALT) for table in tables]
        sizes = [table["num_chars"].to_numpy().astype(np.int64) for table in tables]
        available = dict.fromkeys((part.lane for part in parts), 0)
        for part, chars in zip(parts, sizes, strict=True):
            available[part.lane] += int(chars.sum())
        self.chars = lane_quotas(
            available,
            weights=config.lane_weights,
            total=min(config.sample_chars, sum(available.values())),
            max_epochs=1,
        )
        self._limits = {lane: self._limit(lane, sizes) for lane in self.chars}

    def _limit(self, lane: str, sizes: Sequence[np.ndarray]) -> float:
        """The hash up to which documents of the lane are in the sample."""
        chosen = [number for number, part in enumerate(self.parts) if part.lane == lane]
        hashes = np.concatenate([self._hashes[number] for number in chosen])
        order = np.argsort(hashes, kind="stable")
        chars = np.concatenate([sizes[number] for number in chosen])[order]
        num_documents = int(np.searchsorted(np.cumsum(chars), self.chars[lane])) + 1
        return float(hashes[order[min(num_documents, len(order)) - 1]])

    def lines(self) -> Iterator[str]:
        """The lines of the sampled documents, in the order of parts and rows."""
        for part, hashes in zip(self.parts, self._hashes, strict=True):
            limit, first = self._limits.get(part.lane, -1.0), 0
            with pq.ParquetFile(part.path) as file:
                for batch in file.iter_batches(columns=["text"]):
                    texts: list[str] = batch.column(0).to_pylist()
                    for text, value in zip(texts, hashes[first : first + len(texts)], strict=True):
                        if value <= limit:
                            yield from _lines(text)
                    first += len(texts)


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
