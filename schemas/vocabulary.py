"""A SentencePiece model with our symbols: text to ids and back, the same for pipelines and for the model.

A model that `ctllm tokenizer train` made has SYMBOLS as pieces 1 to 5. Any other `tokenizer.model` (Baichuan 2's,
MAP-NEO's) gets the symbols it lacks as ids after its last piece, as CT-LLM's authors did with their end of document
(id 125,696 and up); SentencePiece never makes these from text.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import fsspec
import numpy as np
import sentencepiece

from ctllm.schemas.errors import InputError
from ctllm.schemas.files import exists, join
from ctllm.schemas.tokens import END_OF_DOCUMENT, SYMBOLS, TOKENIZER, split_symbols

SPACE = "\u2581"
"""How SentencePiece writes a space."""


def read_tokenizer_model(path: str) -> bytes:
    """The bytes of a `.model` file, or of the tokenizer.model in a directory. Raises InputError when there is none."""
    file = path if path.endswith(".model") else join(path, TOKENIZER)
    if not exists(file):
        raise InputError(f"{path}: no {TOKENIZER} here; train one with `ctllm tokenizer train`")
    fs, name = fsspec.core.url_to_fs(file)
    return bytes(fs.cat_file(name))


class Vocabulary:
    """A loaded model. Not to be pickled: workers get the bytes and load them."""

    def __init__(self, model: bytes, *, origin: str) -> None:
        """`origin` is what errors call the model. Raises InputError when the bytes are no SentencePiece model."""
        try:
            self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"{origin}: not a SentencePiece model; give a tokenizer.model, not a tokenizer.json"
            ) from error
        self.model, self.origin = model, origin
        self.num_pieces = int(self.processor.vocab_size())
        """Ids that the model itself knows."""
        own = {symbol: int(self.processor.piece_to_id(symbol)) for symbol in SYMBOLS}
        lacking = [symbol for symbol, token in own.items() if self.processor.id_to_piece(token) != symbol]
        self.appended = {symbol: self.num_pieces + number for number, symbol in enumerate(lacking)}
        """Symbols that the model lacks, and the ids they have after its pieces."""
        self.symbols: dict[str, int] = own | self.appended
        self.vocab_size = self.num_pieces + len(lacking)
        """Ids from 0 to this, symbols included."""
        self.end_of_document_id = self.symbols[END_OF_DOCUMENT]

    @property
    def dtype(self) -> str:
        """The narrowest type for an id in a shard: uint16 where it suffices."""
        return token_dtype(self.vocab_size)

    @cached_property
    def digest(self) -> str:
        """sha256 of the model's bytes."""
        return hashlib.sha256(self.model).hexdigest()

    @cached_property
    def is_exact(self) -> bool:
        """Whether the model leaves text as it is: no normalisation, no space put before it, none taken away."""
        return all(self.processor.normalize(probe) == probe.replace(" ", SPACE) for probe in _PROBES)

    @cached_property
    def has_bytes(self) -> bool:
        """Whether characters without a piece become bytes; without that they become `<unk>` and are lost."""
        return any(self.processor.is_byte(token) for token in range(self.num_pieces))

    @cached_property
    def is_bpe(self) -> bool:
        """Whether pieces are numbered by merges (BPE has whole scores) and not by probabilities (unigram)."""
        return all(self.processor.get_score(token).is_integer() for token in range(self.num_pieces))

    def encode(self, text: str) -> list[int]:
        """Ids of a text; symbols written out in it become ordinary pieces."""
        tokens: list[int] = self.encode_batch([text])[0].tolist()
        return tokens

    def encode_batch(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Ids of each text, int32. Releases the GIL; arrays cost a third less time than lists of Python integers."""
        parts = [self._parts(text) for text in texts]
        flat = self.processor.encode([part for each in parts for part in each], return_type="numpy", num_threads=1)
        if len(flat) == len(texts):
            return list(flat)
        ends = np.cumsum([len(each) for each in parts])
        pairs = zip(ends, parts, strict=True)
        return [np.concatenate(flat[end - len(each) : end]) for end, each in pairs]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD, symbols are written out."""
        if not self.appended:
            return str(self.processor.decode(list(tokens)))
        names = {token: symbol for symbol, token in self.appended.items()}
        text, run = [], list[int]()
        for token in tokens:
            if token in names:
                text += [str(self.processor.decode(run)), names[token]]
                run = []
            else:
                run.append(token)
        return "".join([*text, str(self.processor.decode(run))])

    def piece(self, token: int) -> str:
        """How SentencePiece writes the id: `▁` for a space, `<0x0A>` for a byte; appended symbols by name."""
        if token >= self.num_pieces:
            return next(symbol for symbol, each in self.appended.items() if each == token)
        return str(self.processor.id_to_piece(token))

    def is_byte(self, token: int) -> bool:
        """Whether the id is one byte."""
        return token < self.num_pieces and bool(self.processor.is_byte(token))

    def is_control(self, token: int) -> bool:
        """Whether no text can make the id: `<unk>`, `<s>`, padding, and all symbols."""
        if token >= self.num_pieces or token in self.symbols.values():
            return True
        processor = self.processor
        return bool(processor.is_control(token) or processor.is_unknown(token) or processor.is_unused(token))

    def _parts(self, text: str) -> list[str]:
        """Only models that hold symbols as pieces can be made to speak them by text."""
        return [text] if len(self.appended) == len(SYMBOLS) else split_symbols(text)


_PROBES = ("a", "a  b ", "\t x\n\n", "Ａ①ﬁ…，\u3000\u200b\u0301e\r")
"""A dummy prefix changes the first, white space collapsed the second and third, NFKC the last."""


def token_dtype(vocab_size: int) -> str:
    """uint16 for up to 65,536 ids, else uint32."""
    return "uint16" if vocab_size <= 1 << 16 else "uint32"
