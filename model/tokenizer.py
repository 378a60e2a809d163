"""The tokenizer of a checkpoint or of `ctllm tokenizer train`, loaded: text to ids, ids to text, symbols by name.

It is SentencePiece and not byte-level BPE because llama.cpp recognises only known byte-level vocabularies
(llama.cpp#9927). With a model of ours `decode(encode(text)) == text` for every text without U+2581, which SentencePiece
itself uses for the space.
"""

from pathlib import Path

from ctllm.schemas.tokens import TOKENIZER
from ctllm.schemas.vocabulary import Vocabulary, read_tokenizer_model


class Tokenizer(Vocabulary):
    """A vocabulary that came from a file."""

    def __init__(self, path: str) -> None:
        """`path` is a tokenizer.model or a directory with one. Raises InputError when there is none."""
        self.path = str(Path(path) / TOKENIZER) if Path(path).is_dir() else path
        super().__init__(read_tokenizer_model(path), origin=self.path)

    def symbol_id(self, symbol: str) -> int:
        """The id of one of SYMBOLS."""
        return self.symbols[symbol]
