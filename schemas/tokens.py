"""Token shards, the plan over them, and the symbols of the vocabulary.

    TOKENS/{manifest.json, tokenizer.model, tokens/zh-part-00000.bin, documents/zh-part-00000.parquet, ...}
    PLAN/{manifest.json, segments.npy, sequences.npy, held_out.parquet}

A `.bin` file holds tokens in little-endian uint16 or uint32: one `<|endofdoc|>`, then documents, each ended by
`<|endofdoc|>`. So every token of every document, its end included, has a token before it to be predicted from.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ctllm.schemas.config import Config
from ctllm.schemas.files import join
from ctllm.schemas.training_config import TokenizerConfig

TOKENIZER = "tokenizer.model"
TOKENS, DOCUMENTS = "tokens", "documents"
"""Names in a directory of token shards."""

END_OF_DOCUMENT = "<|endofdoc|>"
SYSTEM, USER, ASSISTANT, END_OF_TURN = "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
SYMBOLS = (END_OF_DOCUMENT, SYSTEM, USER, ASSISTANT, END_OF_TURN)
"""Pieces 1 to 5 of every tokenizer of ours; piece 0 is <unk>, which byte fallback never uses."""

_INSIDE_SYMBOL = re.compile("|".join(f"(?<=<)(?={re.escape(symbol[1:])})" for symbol in SYMBOLS))


def split_symbols(text: str) -> list[str]:
    """`text` in parts none of which holds a whole symbol, so that a document cannot speak as the system.

    split_symbols("a<|user|>b") == ["a<", "|user|>b"]; the parts joined are the text.
    """
    return _INSIDE_SYMBOL.split(text) if "<|" in text else [text]


def tokens_file(directory: str, shard: str) -> str:
    """The tokens of one shard."""
    return join(directory, TOKENS, f"{shard}.bin")


def index_file(directory: str, shard: str) -> str:
    """The documents of one shard, schema TOKEN_INDEX."""
    return join(directory, DOCUMENTS, f"{shard}.parquet")


_INDEX_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("key", pa.uint64(), nullable=False, metadata={"meaning": "the document"}),
    pa.field("id", pa.string(), nullable=False, metadata={"meaning": "the source's own"}),
    pa.field("url", pa.string(), metadata={"meaning": "null where the source names none"}),
    pa.field("lane", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("offset", pa.int64(), nullable=False, metadata={"unit": "tokens, from the start of the .bin file"}),
    pa.field("num_tokens", pa.int64(), nullable=False, metadata={"meaning": "with the end of document"}),
    pa.field("num_bytes", pa.int64(), nullable=False, metadata={"unit": "bytes of UTF-8 text"}),
]
TOKEN_INDEX = pa.schema(_INDEX_FIELDS)


def tokens_fingerprint(parts: Sequence[tuple[str, str]], tokenizer_digest: str) -> str:
    """What token shards are called after: names and digests of the curated parts, in order, and the tokenizer."""
    identity = repr((list(parts), tokenizer_digest, TOKEN_INDEX.names))
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


class TokenizerManifest(Config):
    """`manifest.json` beside a tokenizer.model that we trained, written last."""

    fingerprint: str
    """Digest of the curated parts and the config: training is skipped on a re-run when it is unchanged."""
    tokenizer_digest: str
    """sha256 of tokenizer.model."""
    vocab_size: int
    config: TokenizerConfig
    sample_chars: dict[str, dict[str, int]]
    """Lane to source to characters trained on."""


class TokenCounts(Config):
    """Sums over documents."""

    documents: int
    tokens: int
    """With the end of each document."""
    bytes: int
    """Of UTF-8 text."""


class TokenShard(TokenCounts):
    """One `.bin` file and its index, made from one curated part."""

    name: str
    """File name without suffix, e.g. zh-part-00000."""
    lane: str
    sha256_tokens: str
    sha256_index: str


class TokensManifest(Config):
    """`TOKENS/manifest.json`, written last."""

    fingerprint: str
    """Digest of the curated parts and the tokenizer: the job is skipped on a re-run when it is unchanged."""
    tokenizer_digest: str
    vocab_size: int
    dtype: str
    """uint16 or uint32, little-endian."""
    end_of_document_id: int
    """The piece of that name, or the id after the pieces of a model that has none."""
    shards: tuple[TokenShard, ...]
    lanes: dict[str, TokenCounts]
    sources: dict[str, dict[str, TokenCounts]]
    """Lane to source to counts."""


class SourcePlan(Config):
    """What the plan takes from one source of a lane."""

    available_tokens: int
    """Outside the held-out documents."""
    planned_tokens: int
    epochs: float
    """planned / available."""


class LanePlan(SourcePlan):
    """What the plan takes from one lane."""

    wanted_share: float
    """Configured weight among the lanes that are there."""
    planned_share: float
    held_out_documents: int


class PlanManifest(Config):
    """`PLAN/manifest.json`, written last."""

    plan_digest: str
    """Changes when, and only when, a batch changes: config, tokens and the plan's files."""
    tokens_fingerprint: str
    config: dict[str, object]
    context_length: int
    num_sequences: int
    num_segments: int
    num_label_tokens: int
    """Every one is predicted once per pass over the plan."""
    padding_share: float
    """Of the positions of all sequences."""
    num_documents: int
    """Documents in the plan, each as often as it is repeated."""
    num_split_documents: int
    """Those longer than a sequence, which are in several."""
    missing_lanes: tuple[str, ...]
    """Lanes with a weight but without documents; their weight went to the others."""
    lanes: dict[str, LanePlan]
    sources: dict[str, dict[str, SourcePlan]]
    """Lane to source to what is taken from it."""
    files: dict[str, str]
    """File name to sha256."""
