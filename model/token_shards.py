"""Token shards as arrays: `.bin` files memory-mapped, their document indexes as one table."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ctllm.schemas.errors import AccountingError, InputError
from ctllm.schemas.files import exists, file_digest, join, read_parquet
from ctllm.schemas.manifest import read_manifest
from ctllm.schemas.tokens import TOKENIZER, TokensManifest, index_file, tokens_file


class TokenShards:
    """The directory that `ctllm tokenize` wrote. Shards are numbered in the order of the manifest."""

    def __init__(self, directory: str) -> None:
        """Raises InputError when the directory is not whole, AccountingError when a file's length is wrong."""
        if not exists(join(directory, "manifest.json")):
            raise InputError(f"{directory}: no manifest.json; run `ctllm tokenize` to the end first")
        self.directory = directory
        self.manifest = read_manifest(join(directory, "manifest.json"), TokensManifest, made_by="ctllm tokenize")
        self.end_of_document_id = self.manifest.end_of_document_id
        self.tokenizer = join(directory, TOKENIZER)
        if file_digest(self.tokenizer) != self.manifest.tokenizer_digest:
            raise AccountingError(
                f"{self.tokenizer}: another tokenizer than the one these shards were made with; tokenize again"
            )
        self._dtype = np.dtype(self.manifest.dtype).newbyteorder("<")
        self._arrays = [self._map(number) for number in range(len(self.manifest.shards))]

    def verify(self) -> None:
        """Reads every file once. Raises AccountingError naming the first whose bytes are not those of the manifest."""
        for shard in self.manifest.shards:
            files = {tokens_file: shard.sha256_tokens, index_file: shard.sha256_index}
            for path, digest in ((name(self.directory, shard.name), digest) for name, digest in files.items()):
                if not exists(path) or file_digest(path) != digest:
                    raise AccountingError(f"{path}: missing or changed since it was tokenized; tokenize again")

    def index(self, shard: int, *, columns: Sequence[str] | None = None) -> pa.Table:
        """Documents of one shard, schema TOKEN_INDEX or the named columns of it, in the order of the file."""
        path = index_file(self.directory, self.manifest.shards[shard].name)
        return read_parquet(path, columns=list(columns) if columns else None)

    def tokens(self, shard: int, offset: int, length: int) -> np.ndarray:
        """`length` tokens from `offset`, int64. Raises AccountingError when one of them is none of the vocabulary."""
        tokens = self._arrays[shard][offset : offset + length].astype(np.int64)
        largest = int(tokens.max(initial=0))  # looked up in the embedding it would be an error without a file's name
        if largest >= self.manifest.vocab_size:
            raise AccountingError(
                f"{tokens_file(self.directory, self.manifest.shards[shard].name)}: token {largest} within {length} of "
                f"{offset}, above the vocabulary of {self.manifest.vocab_size}: changed or damaged; tokenize and plan "
                "again"
            )
        return tokens

    def segment(self, shard: int, offset: int, length: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels that predict exactly the tokens [offset, offset + length), each from the one before it."""
        window = self.tokens(shard, offset - 1, length + 1)
        return window[:-1], window[1:]

    def _map(self, number: int) -> np.ndarray:
        shard = self.manifest.shards[number]
        path = Path(tokens_file(self.directory, shard.name))
        expected = (shard.tokens + 1) * self._dtype.itemsize
        if not path.is_file() or path.stat().st_size != expected:
            raise AccountingError(f"{path}: missing or not {expected} bytes long as its manifest says; tokenize again")
        return np.memmap(path, dtype=self._dtype, mode="r")
